create table public.credit_grants (
  account_id uuid not null constraint credit_grants_account_id_fkey
    references credits.accounts (account_id),
  id uuid not null default gen_random_uuid(),
  amount bigint not null,
  remaining bigint not null,
  held bigint not null default 0,
  spent bigint not null default 0,
  lapsed bigint not null default 0,
  starts_at timestamptz not null,
  created_at timestamptz not null,
  expires_at timestamptz,
  period_start timestamptz,
  frozen_at timestamptz,
  voided_at timestamptz,
  paid_amount bigint,
  priority integer not null,
  plan_version integer,
  is_open boolean not null generated always as (remaining > 0) stored,
  credit_type text not null,
  source text not null,
  plan_id text,
  currency text,
  description text,
  frozen_reason text,
  void_reason text,
  metadata jsonb not null default '{}',
  constraint credit_grants_pkey primary key (account_id, id),
  constraint credit_grants_nothing_is_lost check (amount = remaining + spent + lapsed),
  constraint credit_grants_no_part_is_negative
    check (least(held, remaining - held, spent, lapsed) >= 0)
) with (fillfactor = 70);
create index credit_grants_open_idx on public.credit_grants
  (account_id, credit_type, priority, expires_at, starts_at, id) where is_open;
create unique index credit_grants_period_key on public.credit_grants (account_id, credit_type,
  period_start)
  where period_start is not null and voided_at is null;
-- A check costs every spend its share of time. Here stand those that keep credits from being lost
-- or overspent; verify_books checks the rest.
comment on table public.credit_grants is
  'The only home of credits. What a grant held at first is spent, lapsed (expired or voided) or '
  'remaining; nothing else can happen to it.';
comment on column public.credit_grants.source is
  'plan, rollover, trial, promotion, compensation, top_up or goodwill.';
comment on column public.credit_grants.priority is
  'Burn order: lower first. Taken from the source when the grant was issued.';
comment on column public.credit_grants.amount is
  'Credits issued. Grows for a plan grant when an upgrade adds to it.';
comment on column public.credit_grants.held is 'The part of remaining that live holds have pinned.';
comment on column public.credit_grants.spent is 'Consumed or captured, less refunded.';
comment on column public.credit_grants.lapsed is 'Expired or voided.';
comment on column public.credit_grants.period_start is
  'For the plan''s allowance: start of its period. A limit has none: then it is 1970, an instant '
    'that
   every client can read. One per account, type and period.';
comment on column public.credit_grants.plan_version is
  'For the plan''s allowance: the version of plan_id that its period began with.';
comment on column public.credit_grants.frozen_at is
  'Not spendable from here on, not lost either: a payment is past due or disputed.';
comment on column public.credit_grants.paid_amount is
  'What was paid for it, in the smallest unit of the currency; null where nothing was sold.';
alter table public.credit_grants enable row level security;
revoke all on table public.credit_grants from public, anon, authenticated, service_role;
grant select on table public.credit_grants to authenticated, service_role;
create policy "Users may read their grants" on public.credit_grants
  for select to authenticated using (account_id = any (credits.readable_ids()));
