create table credits.billing_orders (
  account_id uuid not null
    constraint billing_orders_account_id_fkey references credits.accounts (account_id),
  id uuid not null,
  kind text not null,
  user_id uuid not null,
  pack_id text,
  plan_id text,
  billing_interval text,
  quantity integer not null,
  price_id text,
  credit_type text,
  credits bigint,
  expires_after interval,
  currency text not null,
  unit_amount bigint,
  state text not null default 'open',
  session_id text,
  invoice_id text,
  paid_at timestamptz,
  paid_amount bigint,
  paid_net bigint,
  grant_id uuid,
  voided bigint not null default 0,
  target bigint not null default 0,
  is_disputed boolean not null default false,
  note text,
  created_at timestamptz not null,
  constraint billing_orders_pkey primary key (account_id, id),
  constraint billing_orders_kind_is_known check (kind in ('pack', 'plan', 'auto_top_up')),
  constraint billing_orders_state_is_known
    check (state in ('open', 'pending', 'paid', 'failed', 'expired', 'mismatch')),
  constraint billing_orders_buy_a_plan_or_a_pack check ((kind = 'plan') = (plan_id is not null)
    and (kind = 'plan') = (pack_id is null) and (kind = 'plan') = (credits is null)),
  constraint billing_orders_quantity_is_positive check (quantity between 1 and 1000000),
  constraint billing_orders_paid_ones_have_a_time check ((state = 'paid') = (paid_at is not null)),
  constraint billing_orders_only_paid_ones_have_a_grant check (grant_id is null or state = 'paid'),
  constraint billing_orders_voids_are_a_part check (voided between 0 and coalesce(credits, 0)
    and target between 0 and coalesce(credits, 0))
);
create index billing_orders_id_idx on credits.billing_orders (id);
create index billing_orders_open_idx on credits.billing_orders (account_id, kind, created_at);
create index billing_orders_user_id_idx on credits.billing_orders (user_id);
comment on table credits.billing_orders is
  'What an account is about to buy, written before the provider is asked: what was bought, and '
  'for how much, is read here alone.';
comment on column credits.billing_orders.credits is 'Of all packs of the order together.';
comment on column credits.billing_orders.paid_net is 'What was paid, tax excluded.';
comment on column credits.billing_orders.voided is
  'Credits of its grant that were taken back by refunds and lost disputes.';
comment on column credits.billing_orders.target is
  'Credits that refunds and lost disputes take back in all: voided, and what had been spent as a '
  'debt.';
alter table credits.billing_orders enable row level security;
revoke all on table credits.billing_orders from public, anon, authenticated, service_role;

create table credits.billing_references (
  reference_id text not null,
  account_id uuid not null,
  order_id uuid not null,
  constraint billing_references_pkey primary key (reference_id),
  constraint billing_references_order_fkey foreign key (account_id, order_id)
    references credits.billing_orders (account_id, id)
);
create index billing_references_order_idx on credits.billing_references (account_id, order_id);
comment on table credits.billing_references is
  'Which order a provider''s checkout session or invoice belongs to.';
alter table credits.billing_references enable row level security;
revoke all on table credits.billing_references from public, anon, authenticated, service_role;

create table credits.billing_payments (
  payment_id text not null,
  account_id uuid,
  order_id uuid,
  invoice_id text,
  linked_at timestamptz,
  constraint billing_payments_pkey primary key (payment_id),
  constraint billing_payments_of_an_order_or_an_invoice
    check ((account_id is null) = (order_id is null) and (order_id is null or invoice_id is null))
);
create index billing_payments_order_idx on credits.billing_payments (account_id, order_id);
create index billing_payments_invoice_id_idx on credits.billing_payments (invoice_id);
comment on table credits.billing_payments is
  'What a provider''s payment, or its charge, paid: an order or an invoice. A row without either '
  'is known from a refund or a dispute alone.';
alter table credits.billing_payments enable row level security;
revoke all on table credits.billing_payments from public, anon, authenticated, service_role;

create table credits.billing_refunds (
  refund_id text not null,
  payment_id text not null,
  amount bigint not null,
  currency text,
  status text not null,
  rank integer not null,
  happened_at timestamptz not null,
  given_back_at timestamptz not null,
  constraint billing_refunds_pkey primary key (refund_id),
  constraint billing_refunds_amount_is_not_negative check (amount >= 0)
);
create index billing_refunds_payment_id_idx on credits.billing_refunds (payment_id);
comment on table credits.billing_refunds is 'What was given back of a payment, tax included.';
comment on column credits.billing_refunds.rank is
  '1 on its way, 2 done, 3 failed or taken back: the greatest counts.';
comment on column credits.billing_refunds.given_back_at is 'The earliest that was told of it.';
alter table credits.billing_refunds enable row level security;
revoke all on table credits.billing_refunds from public, anon, authenticated, service_role;

create table credits.billing_credit_notes (
  credit_note_id text not null,
  invoice_id text not null,
  total bigint not null,
  net_total bigint not null,
  refund_ids text[] not null,
  is_voided boolean not null,
  happened_at timestamptz not null,
  constraint billing_credit_notes_pkey primary key (credit_note_id)
);
create index billing_credit_notes_refund_ids_idx
  on credits.billing_credit_notes using gin (refund_ids);
comment on table credits.billing_credit_notes is
  'Says of refunds how much of them is tax. One that refunds nothing has no effect on credits.';
alter table credits.billing_credit_notes enable row level security;
revoke all on table credits.billing_credit_notes from public, anon, authenticated, service_role;

create table credits.billing_disputes (
  dispute_id text not null,
  payment_id text not null,
  amount bigint not null,
  currency text,
  status text not null,
  rank integer not null,
  kind text not null,
  happened_at timestamptz not null,
  opened_at timestamptz not null,
  constraint billing_disputes_pkey primary key (dispute_id)
);
create index billing_disputes_payment_id_idx on credits.billing_disputes (payment_id);
comment on table credits.billing_disputes is
  'What a buyer''s bank has called into question, and early warnings of it.';
comment on column credits.billing_disputes.rank is
  '0 a warning or prevented, 1 open, 2 won, 3 lost: a decision beats what was before it, and a '
  'later one an earlier one.';
comment on column credits.billing_disputes.opened_at is 'The earliest that was told of it.';
alter table credits.billing_disputes enable row level security;
revoke all on table credits.billing_disputes from public, anon, authenticated, service_role;

create table credits.billing_plan_voids (
  account_id uuid not null,
  credit_type text not null,
  grant_id uuid not null,
  invoice_id text not null,
  share numeric not null,
  amount bigint not null,
  constraint billing_plan_voids_pkey primary key (account_id, credit_type, grant_id, invoice_id),
  constraint billing_plan_voids_grant_fkey foreign key (account_id, grant_id)
    references public.credit_grants (account_id, id),
  constraint billing_plan_voids_share_is_a_part check (share between 0 and 1)
);
comment on table credits.billing_plan_voids is
  'Which share of what was left of a period''s allowance was taken back when its invoice was '
  'refunded.';
comment on column credits.billing_plan_voids.amount is 'How many credits that was.';
alter table credits.billing_plan_voids enable row level security;
revoke all on table credits.billing_plan_voids from public, anon, authenticated, service_role;

create table credits.auto_top_ups (
  account_id uuid not null
    constraint auto_top_ups_account_id_fkey references credits.accounts (account_id),
  credit_type text not null,
  user_id uuid not null,
  threshold bigint not null,
  pack_id text not null,
  monthly_cap integer not null,
  is_enabled boolean not null,
  state text not null default 'ready',
  order_id uuid,
  stopped_at timestamptz,
  note text,
  constraint auto_top_ups_pkey primary key (account_id, credit_type),
  constraint auto_top_ups_order_fkey foreign key (account_id, order_id)
    references credits.billing_orders (account_id, id),
  constraint auto_top_ups_state_is_known check (state in ('ready', 'in_flight', 'stopped')),
  constraint auto_top_ups_one_order_is_in_flight
    check (state <> 'in_flight' or order_id is not null),
  constraint auto_top_ups_stopped_since_then check ((state = 'stopped') = (stopped_at is not null)),
  constraint auto_top_ups_threshold_is_positive check (threshold between 1 and 9007199254740992),
  constraint auto_top_ups_cap_is_positive check (monthly_cap between 1 and 1000000)
);
comment on table credits.auto_top_ups is
  'Which pack an account buys by itself, and below how many credits. At most one purchase is on '
  'its way.';
comment on column credits.auto_top_ups.monthly_cap is
  'How many packs in a calendar month (UTC), at most.';
comment on column credits.auto_top_ups.state is
  'ready; in_flight while an order is unpaid; stopped by a decline, until the card changes or 24 '
  'hours have passed.';
alter table credits.auto_top_ups enable row level security;
revoke all on table credits.auto_top_ups from public, anon, authenticated, service_role;
