create table public.plans (
  id text primary key,
  name text not null,
  description text not null default '',
  rank integer not null,
  price_cents bigint not null,
  currency text not null default 'usd',
  is_default boolean not null default false,
  per_seat boolean not null default false,
  past_due_grace interval not null default interval '3 days',
  created_at timestamptz not null default now(),
  constraint plans_id_is_a_slug check (id ~ '^[a-z][a-z0-9_-]{0,62}$'),
  constraint plans_price_is_not_negative check (price_cents >= 0),
  constraint plans_currency_is_iso_4217 check (currency ~ '^[a-z]{3}$'),
  constraint plans_default_is_free check (not is_default or price_cents = 0),
  constraint plans_grace_is_not_negative check (past_due_grace >= interval '0')
);
create unique index plans_default_key on public.plans (is_default) where is_default;
create unique index plans_rank_key on public.plans (rank);
comment on table public.plans is
  'What is on sale, one row per plan. World-readable: a pricing page reads it.';
comment on column public.plans.rank is 'Order from the smallest plan to the largest.';
comment on column public.plans.price_cents is
  'Price per month in the smallest unit of the currency. A plan is paid when it is above zero.';
comment on column public.plans.is_default is
  'The plan of new users, and the one whose limits apply when a paid plan is not paid for.';
comment on column public.plans.per_seat is
  'Whether a payment provider''s quantity counts as seats, each with the plan''s allowances.';
comment on column public.plans.past_due_grace is
  'How long plan credits stay spendable after the subscription became past due.';
alter table public.plans enable row level security;
revoke all on table public.plans from public, anon, authenticated, service_role;
grant select on table public.plans to anon, authenticated, service_role;
create policy "Everybody may read the plans" on public.plans
  for select to anon, authenticated using (true);

-- The figures of the limits are the guide's. It names no prices: these are a starting point, change
-- the rows to yours.
insert into public.plans (id, name, description, rank, price_cents, is_default) values
  ('free', 'Free', 'Try it out', 10, 0, true),
  ('starter', 'Starter', 'For a first product', 20, 1900, false),
  ('builder', 'Builder', 'For regular work', 30, 4900, false),
  ('pro', 'Pro', 'For professionals', 40, 9900, false),
  ('elite', 'Elite', 'For teams that never stop', 50, 19900, false);
