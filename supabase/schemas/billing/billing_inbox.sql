-- What a provider has said. The rows are found by the provider's ids and belong to no account until
-- a mapping says so.

create table credits.billing_inbox (
  event_id text not null,
  type text not null,
  happened_at timestamptz not null,
  livemode boolean not null,
  api_version text,
  facts jsonb not null,
  body jsonb,
  outcome text not null,
  note text,
  waits_for text[] not null default '{}',
  effects jsonb not null default '[]',
  tries integer not null default 0,
  received_at timestamptz not null,
  settled_at timestamptz,
  constraint billing_inbox_pkey primary key (event_id),
  constraint billing_inbox_outcome_is_known
    check (outcome in ('applied', 'ignored', 'waiting', 'needs_attention')),
  constraint billing_inbox_waits_for_something check ((outcome = 'waiting') = (waits_for <> '{}'))
);
create index billing_inbox_open_idx on credits.billing_inbox (outcome, received_at)
  where outcome in ('waiting', 'needs_attention');
create index billing_inbox_waits_for_idx on credits.billing_inbox using gin (waits_for)
  where outcome = 'waiting';
comment on table credits.billing_inbox is
  'Every event of a payment provider, by its id: bookkeeping alone. What acts once is the '
  'business object.';
comment on column credits.billing_inbox.waits_for is
  'What is missing: customer:…, session:…, payment:…, invoice:… or fetch:….';
comment on column credits.billing_inbox.body is
  'As it was received; erased after billing_body_retention.';
alter table credits.billing_inbox enable row level security;
revoke all on table credits.billing_inbox from public, anon, authenticated, service_role;

create table credits.billing_customers (
  customer_id text not null,
  account_id uuid not null,
  livemode boolean not null,
  is_default boolean not null default true,
  linked_at timestamptz not null,
  deleted_at timestamptz,
  constraint billing_customers_pkey primary key (customer_id),
  constraint billing_customers_account_id_fkey foreign key (account_id)
    references credits.accounts (account_id)
);
create index billing_customers_account_id_idx on credits.billing_customers (account_id);
comment on table credits.billing_customers is
  'Which account a provider''s customer is. An account may have several: races, merges by hand.';
comment on column credits.billing_customers.is_default is
  'The one that new purchases of the account are made with.';
comment on column credits.billing_customers.deleted_at is
  'When the provider''s customer was deleted: what it had bought stays.';
alter table credits.billing_customers enable row level security;
revoke all on table credits.billing_customers from public, anon, authenticated, service_role;

create table credits.billing_snapshots (
  subscription_id text not null,
  happened_at timestamptz not null,
  rank integer not null,
  digest text not null,
  event_id text not null,
  customer_id text not null,
  status text not null,
  items jsonb not null,
  period_start timestamptz,
  period_end timestamptz,
  anchor_at timestamptz,
  started_at timestamptz,
  cancel_at timestamptz,
  ended_at timestamptz,
  trial_ends_at timestamptz,
  is_collecting boolean not null,
  keeps_paid boolean not null,
  constraint billing_snapshots_pkey primary key (subscription_id, happened_at, rank, digest),
  constraint billing_snapshots_rank_is_known check (rank between 0 and 2)
);
create index billing_snapshots_customer_id_idx on credits.billing_snapshots (customer_id);
comment on table credits.billing_snapshots is
  'What a provider''s subscription was at an instant. All of them are kept, in the order of '
  'happened_at, rank, period_end, event_id.';
comment on column credits.billing_snapshots.rank is
  'Of equal times: 0 incomplete, 1 living, 2 ended. What has ended never lives again.';
comment on column credits.billing_snapshots.event_id is
  'The greatest id of the events that said so.';
comment on column credits.billing_snapshots.keeps_paid is
  'What the setting on_cancel was when it was heard of.';
alter table credits.billing_snapshots enable row level security;
revoke all on table credits.billing_snapshots from public, anon, authenticated, service_role;

create table credits.billing_invoices (
  invoice_id text not null,
  customer_id text,
  subscription_id text,
  paid_at timestamptz not null,
  reason text,
  currency text not null,
  total bigint not null,
  net_total bigint not null,
  proration_at timestamptz,
  constraint billing_invoices_pkey primary key (invoice_id)
);
create index billing_invoices_subscription_id_idx on credits.billing_invoices (subscription_id);
create index billing_invoices_customer_id_idx on credits.billing_invoices (customer_id);
comment on table credits.billing_invoices is
  'Invoices that were paid. No amount decides anything here; that it was paid does.';
comment on column credits.billing_invoices.net_total is
  'Tax excluded, in the smallest unit of the currency.';
comment on column credits.billing_invoices.proration_at is
  'From when on a change within a period was charged.';
alter table credits.billing_invoices enable row level security;
revoke all on table credits.billing_invoices from public, anon, authenticated, service_role;

create table credits.billing_invoice_lines (
  invoice_id text not null,
  line_id text not null,
  price_id text,
  quantity bigint not null,
  amount bigint not null,
  is_proration boolean not null,
  period_start timestamptz,
  period_end timestamptz,
  constraint billing_invoice_lines_pkey primary key (invoice_id, line_id)
);
comment on table credits.billing_invoice_lines is
  'What a paid invoice was for. The period is that of the service.';
alter table credits.billing_invoice_lines enable row level security;
revoke all on table credits.billing_invoice_lines from public, anon, authenticated, service_role;

create table credits.billing_failures (
  invoice_id text not null,
  state text not null,
  attempt integer not null,
  customer_id text,
  subscription_id text,
  happened_at timestamptz not null,
  reason text,
  constraint billing_failures_pkey primary key (invoice_id, state, attempt),
  constraint billing_failures_state_is_known
    check (state in ('failed', 'action_required', 'not_finalized', 'voided', 'uncollectible'))
);
create index billing_failures_subscription_id_idx on credits.billing_failures (subscription_id);
comment on table credits.billing_failures is
  'Attempts to collect an invoice, or a payment of its own (then invoice_id is the payment''s), '
  'that did not succeed.';
alter table credits.billing_failures enable row level security;
revoke all on table credits.billing_failures from public, anon, authenticated, service_role;
