-- A domain is asked for the columns that a statement changes, and is read once a session. A check
-- is asked whatever was changed, and Postgres reads its text anew in every statement. So columns
-- that may not be negative say so by their type, and a check compares only what is in several
-- columns.
create domain credits.not_negative as bigint
  constraint not_negative_is_0_or_more check (value >= 0);
comment on domain credits.not_negative is
  'Whole credits of which there can be none, but not fewer.';
create domain credits.part_of_a_credit as bigint
  constraint part_of_a_credit_is_less_than_one check (value between 0 and 999999999);
comment on domain credits.part_of_a_credit is 'Less than a credit, in billionths.';

-- A spend writes this row to the WAL, whole. So the columns are in the order that leaves no gaps
-- between them: what has a fixed length first, the long before the short, texts last. The other
-- tables that a spend writes are alike.
create table credits.balances (
  account_id uuid not null constraint balances_account_id_fkey
    references credits.accounts (account_id),
  version bigint not null default 0,
  balance bigint not null default 0,
  withheld credits.not_negative not null default 0,
  reserved credits.not_negative not null default 0,
  reserved_unlimited credits.not_negative not null default 0,
  used credits.not_negative not null default 0,
  granted bigint not null default 0,
  overdrawn bigint not null default 0,
  prepaid_nano credits.part_of_a_credit not null default 0,
  used_since timestamptz not null,
  due_at timestamptz not null default '-infinity',
  settled_at timestamptz not null,
  allowance bigint,
  period_start timestamptz,
  period_end timestamptz,
  restarted_at timestamptz,
  restarted_event bigint,
  alert_amount bigint,
  top_up_below bigint,
  test_now timestamptz,
  is_floating boolean not null default false,
  has_budgets boolean not null default false,
  alert_percent smallint default 0,
  common_budgets smallint,
  plan_version integer,
  anchored_by integer,
  credit_type text not null,
  kind text not null,
  account_status text not null default 'active',
  plan_id text,
  user_id uuid,
  constraint balances_pkey primary key (account_id, credit_type),
  constraint balances_parts_fit_into_the_whole check (balance >= withheld + reserved)
) with (fillfactor = 50);
create index balances_user_id_idx on credits.balances (user_id);
create index balances_due_at_idx on credits.balances (due_at) where test_now is null
  and not is_floating;
create index balances_test_now_idx on credits.balances (test_now) where test_now is not null;
comment on table credits.balances is
  'The booked state of one account and credit type, and the row that every operation on them '
  'locks first. Read public.credit_balances instead: it is right to the second.';
comment on column credits.balances.version is 'The version of the last ledger row.';
comment on column credits.balances.balance is
  'What the grants hold: the last balance_after of the ledger.';
comment on column credits.balances.withheld is
  'The part of it in grants that are frozen or have not started.';
comment on column credits.balances.reserved is 'The part of it that live holds have pinned.';
comment on column credits.balances.reserved_unlimited is
  'What live holds have set aside that were made while the type was unlimited: of no grant, and '
  'of no balance.';
comment on column credits.balances.used is
  'Spent less refunded since used_since; for a limit, how many exist.';
comment on column credits.balances.allowance is 'The allowance in force, null for unlimited.';
comment on column credits.balances.anchored_by is
  'Which anchor of the subscription the booked period follows.';
comment on column credits.balances.restarted_at is
  'When an allowance was last restarted by hand. It counts in a period that contains it.';
comment on column credits.balances.restarted_event is
  'The last event of the subscription that had been heard of then.';
comment on column credits.balances.plan_version is
  'The version of plan_id that the booked period is under.';
comment on column credits.balances.granted is
  'What the plan has granted for the booked period, less what was withdrawn: an upgrade grants '
  'only what exceeds it.';
comment on column credits.balances.overdrawn is
  'What was granted and spent though it was not due: what is refunded of it is withdrawn.';
comment on column credits.balances.prepaid_nano is
  'What is paid of a credit and not used, in billionths of a credit: of priced operations.';
comment on column credits.balances.is_floating is
  'Its terms may change at any moment: a limit, a credit type that the plan does not include, or '
  'one that is overdrawn.';
comment on column credits.balances.alert_percent is
  'The next share used, in percent, of which people are warned: those below it have been told of. '
  'Null is none; 0 stands for the lowest, before anything was spent in the period.';
comment on column credits.balances.alert_amount is
  'The next amount left of which people are warned; null is none.';
comment on column credits.balances.has_budgets is
  'Whether public.credit_budgets has rows for it, so that a spend without them asks no further.';
comment on column credits.balances.common_budgets is
  'How many of its budgets count every spend, where all do: then one statement counts them. '
  'Null where some are about a role, one member, a key of metadata or a single spend.';
comment on column credits.balances.due_at is
  'The next instant at which something expires, starts or renews; until then this row is the '
  'truth. -infinity where it is floating.';
comment on column credits.balances.settled_at is
  'The latest time this row has seen. A clock that steps back is held here.';
comment on column credits.balances.account_status is
  'Copy of accounts.status, so that a spend needs no second row.';
comment on column credits.balances.test_now is
  'Copy of accounts.test_now, so that a spend needs no second row.';
comment on column credits.balances.top_up_below is
  'Fewer credits than this are topped up automatically; null where nothing is.';
alter table credits.balances enable row level security;
revoke all on table credits.balances from public, anon, authenticated, service_role;
grant select on table credits.balances to authenticated, service_role;
create policy "Users may read their balances" on credits.balances
  for select to authenticated using (account_id = any (credits.readable_ids()));
