-- Money in, credits out. A payment provider's events come in as neutral facts (apply_billing_event)
-- and are kept as such: what a subscription was at an instant, which invoice was paid, what was
-- refunded. Effects are worked out from all facts that are known, so that doubles and the order of
-- arrival do not matter. No provider's word is needed beyond this chapter.

create table credits.billing_prices (
  price_id text not null,
  livemode boolean not null,
  plan_id text,
  pack_id text,
  billing_interval text,
  currency text not null,
  unit_amount bigint,
  valid_from timestamptz not null,
  valid_to timestamptz,
  constraint billing_prices_pkey primary key (price_id),
  constraint billing_prices_sell_a_plan_or_a_pack check ((plan_id is null) <> (pack_id is null)),
  constraint billing_prices_plans_are_by_month_or_year
    check ((plan_id is not null) = (billing_interval is not null)
      and coalesce(billing_interval in ('month', 'year'), true)),
  constraint billing_prices_currency_is_iso_4217 check (currency ~ '^[a-z]{3}$'),
  constraint billing_prices_amount_is_not_negative check (unit_amount >= 0),
  constraint billing_prices_end_after_they_begin check (valid_to >= valid_from)
);
create unique index billing_prices_plan_key on credits.billing_prices
  (livemode, plan_id, billing_interval, currency) where plan_id is not null and valid_to is null;
create unique index billing_prices_pack_key on credits.billing_prices (livemode, pack_id, currency)
  where pack_id is not null and valid_to is null;
comment on table credits.billing_prices is
  'What a provider''s price buys. A row stays for ever: who subscribed at an old price renews at '
  'it.';
comment on column credits.billing_prices.unit_amount is
  'In the smallest unit of the currency, tax excluded; null where it was not said.';
comment on column credits.billing_prices.valid_to is
  'Since when it is no longer sold; null while it is.';
alter table credits.billing_prices enable row level security;
revoke all on table credits.billing_prices from public, anon, authenticated, service_role;

create table public.credit_packs (
  id text not null,
  name text not null,
  credit_type text not null,
  credits bigint not null,
  price_cents bigint not null,
  currency text not null default 'usd',
  expires_after interval default interval '12 months',
  rank integer not null default 0,
  constraint credit_packs_pkey primary key (id),
  constraint credit_packs_credit_type_fkey foreign key (credit_type)
    references credits.credit_types (id),
  constraint credit_packs_id_is_short check (id ~ '^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$'),
  constraint credit_packs_have_whole_credits check (credits between 1 and 9007199254740992),
  constraint credit_packs_price_is_not_negative check (price_cents >= 0),
  constraint credit_packs_currency_is_iso_4217 check (currency ~ '^[a-z]{3}$'),
  constraint credit_packs_expire_later check (expires_after > interval '0')
);
comment on table public.credit_packs is
  'Credits that are sold beside the plans. World-readable: a pricing page reads it.';
comment on column public.credit_packs.price_cents is
  'Price in the smallest unit of the currency, tax excluded.';
comment on column public.credit_packs.expires_after is
  'How long its credits live from the payment on; null for ever.';
comment on column public.credit_packs.rank is 'Order from the smallest pack to the largest.';
alter table public.credit_packs enable row level security;
revoke all on table public.credit_packs from public, anon, authenticated, service_role;
grant select on table public.credit_packs to anon, authenticated, service_role;
create policy "Everybody may read the packs" on public.credit_packs
  for select to anon, authenticated using (true);

-- The guide names no packs and no prices: these are a starting point, change the rows to yours.
insert into public.credit_packs (id, name, credit_type, credits, price_cents, rank) values
  ('message_100', '100 messages', 'message', 100, 1500, 10),
  ('message_500', '500 messages', 'message', 500, 6000, 20),
  ('integration_5000', '5,000 integration credits', 'integration', 5000, 1000, 30);

create function credits.sold_mode(p_livemode boolean)
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return coalesce(p_livemode, exists (select 1 from credits.billing_prices b where b.livemode));
end
$$;
comment on function credits.sold_mode(boolean) is
  'Which mode is sold in, live or test: the one that is said (an application knows it by its '
  'key), else live once a live price is registered.';
revoke all on function credits.sold_mode(boolean) from public, anon, authenticated, service_role;

create function credits.price_of_pack(p_pack_id text, p_currency text, p_livemode boolean)
returns text
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select b.price_id from credits.billing_prices b
    where b.pack_id = p_pack_id and b.currency = p_currency and b.valid_to is null
      and b.livemode = credits.sold_mode(p_livemode));
end
$$;
comment on function credits.price_of_pack(text, text, boolean) is
  'The provider''s price at which a pack is sold now; null while none is registered.';
revoke all on function credits.price_of_pack(text, text, boolean)
  from public, anon, authenticated, service_role;

create function credits.amount_of_pack(p_pack_id text, p_livemode boolean)
returns bigint
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select coalesce(b.unit_amount, k.price_cents)
    from public.credit_packs k
    left join credits.billing_prices b
      on b.price_id = credits.price_of_pack(k.id, k.currency, p_livemode)
    where k.id = p_pack_id);
end
$$;
comment on function credits.amount_of_pack(text, boolean) is
  'What a pack is sold for now: what its price at the provider costs, else what its row says.';
revoke all on function credits.amount_of_pack(text, boolean)
  from public, anon, authenticated, service_role;
