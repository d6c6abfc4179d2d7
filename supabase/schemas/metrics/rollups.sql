-- Sums of the ledger that metrics read instead of its rows. How far they have read is kept per
-- balance as a version, and versions have no gaps: rollup plus the rows above that version are the
-- ledger, exactly, in whatever order it was committed. Test accounts are never rolled up.

create table credits.rolled_up (
  account_id uuid not null constraint rolled_up_account_id_fkey
    references credits.accounts (account_id),
  credit_type text not null,
  version bigint not null,
  period_version bigint not null,
  constraint rolled_up_pkey primary key (account_id, credit_type)
);
comment on table credits.rolled_up is 'How far the rollups have read the ledger of each balance.';
comment on column credits.rolled_up.version is 'The last version that is in the rollups.';
comment on column credits.rolled_up.period_version is
  'The version that began the account-period it is in.';

create table credits.rollup_state (
  only_row boolean primary key default true,
  rolled_up_at timestamptz,
  constraint rollup_state_has_one_row check (only_row)
);
comment on table credits.rollup_state is
  'The row that whoever changes the rollups locks first. When they last were up to date.';
insert into credits.rollup_state default values;

create table credits.hourly_flows (
  hour timestamptz not null,
  credit_type text not null,
  plan_id text not null,
  source text not null,
  flow text not null,
  amount bigint not null,
  operations bigint not null,
  constraint hourly_flows_pkey primary key (hour, credit_type, plan_id, source, flow)
);
comment on table credits.hourly_flows is
  'Rollup: credits that moved per hour (UTC), type, plan, source and flow. Amounts are signed, as '
  'in the ledger.';

create table credits.daily_owed (
  day date not null,
  credit_type text not null,
  source text not null,
  amount bigint not null,
  constraint daily_owed_pkey primary key (day, credit_type, source)
);
comment on table credits.daily_owed is
  'Rollup: by how much the credits owed changed per day (UTC), type and source of the grant.';

create table credits.daily_accounts (
  account_id uuid not null,
  day date not null,
  credit_type text not null,
  plan_id text not null,
  spent bigint not null,
  operations bigint not null,
  constraint daily_accounts_pkey primary key (account_id, day, credit_type, plan_id)
);
create index daily_accounts_day_idx on credits.daily_accounts
  (day, account_id) include (credit_type, plan_id, spent);
comment on table credits.daily_accounts is
  'Rollup: credits that an account spent per day (UTC), type and plan, before refunds.';

create table credits.monthly_accounts (
  account_id uuid not null,
  month date not null,
  credit_type text not null,
  plan_id text not null,
  spent bigint not null,
  constraint monthly_accounts_pkey primary key (account_id, month, credit_type, plan_id)
);
create index monthly_accounts_month_idx on credits.monthly_accounts
  (month, account_id) include (credit_type, plan_id, spent);
comment on table credits.monthly_accounts is
  'Rollup: credits that an account spent per month (UTC), type and plan, before refunds.';

create table credits.account_numbers (
  account_id uuid not null constraint account_numbers_pkey primary key,
  number bigint not null generated always as identity
);
comment on table credits.account_numbers is
  'The bit that stands for an account in credits.daily_active.';

create table credits.daily_active (
  day date not null,
  credit_type text not null,
  plan_id text not null,
  chunk bigint not null,
  accounts bit(4096) not null,
  constraint daily_active_pkey primary key (day, credit_type, plan_id, chunk)
);
comment on table credits.daily_active is
  'Rollup: a bit per account that spent on a day (UTC), per type and plan. Sets can be joined for '
  'any window without counting an account twice.';
comment on column credits.daily_active.chunk is
  'The accounts whose number divided by 4096 is this.';

create table credits.daily_segments (
  day date not null,
  segment text not null,
  value text not null,
  credit_type text not null,
  plan_id text not null,
  spent bigint not null,
  operations bigint not null
);
-- Values come from callers and may be longer than an index row.
create unique index daily_segments_key on credits.daily_segments
  (segment, day, md5(value), credit_type, plan_id);
comment on table credits.daily_segments is
  'Rollup: credits spent per day (UTC) and segment: the account''s sign-up month (cohort), or a '
  'tracked key of metadata.';
comment on column credits.daily_segments.segment is '`cohort`, or `metadata:` and the key.';

create table credits.tracked_keys (
  metadata_key text primary key
);
comment on table credits.tracked_keys is
  'Keys of metadata that are rolled up. Any other key is read from the ledger: as exact, slower.';

create table credits.account_periods (
  account_id uuid not null,
  credit_type text not null,
  version bigint not null,
  started_at timestamptz not null,
  plan_id text not null,
  ended_at timestamptz not null,
  crossed_80_at timestamptz,
  ran_dry_at timestamptz,
  constraint account_periods_pkey primary key (account_id, credit_type, version)
);
create index account_periods_started_at_idx on credits.account_periods (started_at)
  include (account_id, credit_type, version, plan_id, ended_at, crossed_80_at, ran_dry_at);
create index account_periods_crossed_80_at_idx on credits.account_periods (crossed_80_at)
  include (account_id, credit_type, version) where crossed_80_at is not null;
comment on table credits.account_periods is
  'Rollup: from one allowance of an account and type to the next, and when it ran low or dry in '
  'between.';
comment on column credits.account_periods.ended_at is
  'When the next one began; infinity for the last one.';
comment on column credits.account_periods.version is 'The ledger row that granted the allowance.';

alter table credits.rolled_up enable row level security;
alter table credits.rollup_state enable row level security;
alter table credits.hourly_flows enable row level security;
alter table credits.daily_owed enable row level security;
alter table credits.daily_accounts enable row level security;
alter table credits.monthly_accounts enable row level security;
alter table credits.account_numbers enable row level security;
alter table credits.daily_active enable row level security;
alter table credits.daily_segments enable row level security;
alter table credits.tracked_keys enable row level security;
alter table credits.account_periods enable row level security;
revoke all on table credits.rolled_up, credits.rollup_state, credits.hourly_flows,
  credits.daily_owed, credits.daily_accounts,
  credits.monthly_accounts, credits.account_numbers, credits.daily_active, credits.daily_segments,
  credits.tracked_keys,
  credits.account_periods from public, anon, authenticated, service_role;

create view credits.lagging with (security_invoker = true) as
select b.account_id, b.credit_type, b.kind, a.is_test, a.created_at as opened_at,
  coalesce(r.version, 0) as version, coalesce(r.period_version, 1) as period_version,
  b.version as until_version
from credits.balances b
join credits.accounts a on a.account_id = b.account_id
left join credits.rolled_up r on r.account_id = b.account_id and r.credit_type = b.credit_type
where b.version > coalesce(r.version, 0);
comment on view credits.lagging is
  'The balances whose last ledger rows are not in the rollups yet. Those of test accounts always '
  'are here.';
revoke all on table credits.lagging from public, anon, authenticated, service_role;
