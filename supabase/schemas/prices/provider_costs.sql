-- What operations cost the seller. No API role reads any of it: not what a provider charges, not
-- the markup on it.

create table credits.exchange_rates (
  asset text not null,
  per_unit numeric not null,
  currency text not null,
  valid_from timestamptz not null,
  source text,
  created_at timestamptz not null default clock_timestamp(),
  constraint exchange_rates_pkey primary key (asset, currency, valid_from, created_at),
  constraint exchange_rates_asset_is_a_slug check (asset ~ '^[a-z][a-z0-9_]{0,62}$'),
  constraint exchange_rates_are_positive check (per_unit > 0 and per_unit < 1e30),
  constraint exchange_rates_start_at_an_instant check (isfinite(valid_from))
);
comment on table credits.exchange_rates is
  'What one unit of an asset was worth in a currency, from an instant on. Rows are added, never '
  'changed.';
alter table credits.exchange_rates enable row level security;
revoke all on table credits.exchange_rates from public, anon, authenticated, service_role;

create table credits.provider_prices (
  book text not null,
  operation text not null,
  dimension text not null,
  version bigint not null,
  asset text not null,
  cost_per_unit numeric not null,
  per bigint not null,
  markup numeric,
  steps jsonb,
  constraint provider_prices_pkey primary key (book, operation, dimension, version),
  constraint provider_prices_price_fkey foreign key (book, operation, dimension, version)
    references credits.prices (book, operation, dimension, version),
  constraint provider_prices_are_not_negative check (cost_per_unit >= 0 and per > 0),
  constraint provider_prices_markup_is_a_factor check (markup > 0)
);
comment on table credits.provider_prices is
  'What the provider charges for what a price is for, and how the price was made of it.';
comment on column credits.provider_prices.asset is
  'What the provider is paid in: a currency, or something with an exchange rate.';
comment on column credits.provider_prices.markup is
  'The price is the cost times this; null where the price was set by itself.';
alter table credits.provider_prices enable row level security;
revoke all on table credits.provider_prices from public, anon, authenticated, service_role;

create table credits.operation_costs (
  account_id uuid not null,
  operation_id uuid not null,
  currency text not null,
  provider_nano numeric not null,
  is_complete boolean not null,
  created_at timestamptz not null,
  constraint operation_costs_pkey primary key (account_id, operation_id)
);
create index operation_costs_created_at_idx on credits.operation_costs (account_id, created_at);
comment on table credits.operation_costs is
  'What the provider charged for a priced operation, in billionths of a unit of the currency.';
comment on column credits.operation_costs.is_complete is
  'Whether the cost of every dimension is known.';
alter table credits.operation_costs enable row level security;
revoke all on table credits.operation_costs from public, anon, authenticated, service_role;

create function credits.rate_at(p_asset text, p_currency text, p_at timestamptz)
returns numeric
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  if p_asset = p_currency then
    return 1;
  end if;
  return (
    select r.per_unit from credits.exchange_rates r
    where r.asset = p_asset and r.currency = p_currency and r.valid_from <= p_at
    order by r.valid_from desc, r.created_at desc limit 1);
end
$$;
comment on function credits.rate_at(text, text, timestamptz) is
  'What one unit of an asset was worth in a currency; null where no rate is known.';
revoke all on function credits.rate_at(text, text, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.provider_nano(
  p_book public.credit_price_books, p_lines jsonb, p_at timestamptz, out nano numeric,
  out is_complete boolean)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  select coalesce(sum(l.quantity * 1000000000
      * credits.stepped(c.cost_per_unit, c.steps, l.measure) * r.rate / c.per), 0),
    count(*) = count(r.rate)
    into nano, is_complete
  from jsonb_to_recordset(p_lines) l (pattern text, dimension text, version bigint,
    quantity numeric, measure numeric)
  left join credits.provider_prices c on c.book = p_book.id and c.operation = l.pattern
    and c.dimension = l.dimension and c.version = l.version
  left join lateral credits.rate_at(c.asset, p_book.currency, p_at) r(rate) on true;
end
$$;
comment on function credits.provider_nano(public.credit_price_books, jsonb, timestamptz) is
  'What the provider charges for the lines of a priced operation, in billionths of the book''s '
  'currency, and whether the cost of all of them is known.';
revoke all on function credits.provider_nano(public.credit_price_books, jsonb, timestamptz)
  from public, anon, authenticated, service_role;

create function credits.follow_cost(
  p_book public.credit_price_books, p_price credits.prices, p_cost credits.provider_prices)
returns credits.prices
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_price credits.prices := p_price;
  v_rate numeric := credits.rate_at(p_cost.asset, p_book.currency,
    coalesce(p_price.valid_from, clock_timestamp()));
  v_factor numeric := v_rate * p_cost.markup * p_book.nano_per_unit_of_currency;
begin
  if v_rate is null then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_asset',
      'value', p_cost.asset, 'currency', p_book.currency, 'at', p_price.valid_from),
      'There is no exchange rate for it. Set one with set_exchange_rate.');
  elsif v_factor is null then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_book',
      'value', p_book.id, 'credits_per_unit', null),
      'The book does not say how many credits one unit of its currency is '
      'worth. Say so with set_price_book.');
  end if;
  v_price.nano_per_unit := trim_scale(round(p_cost.cost_per_unit * v_factor, 30));
  v_price.per := p_cost.per;
  v_price.steps := (
    select jsonb_agg(jsonb_build_object('above', s.value -> 'above', 'nano_per_unit',
      trim_scale(round((s.value ->> 'cost_per_unit')::numeric * v_factor, 30))) order by s.nth)
    from jsonb_array_elements(p_cost.steps) with ordinality s(value, nth));
  return v_price;
end
$$;
comment on function credits.follow_cost(
  public.credit_price_books, credits.prices, credits.provider_prices) is
  'The price that a provider''s cost makes: cost × exchange rate × markup × worth of a credit.';
revoke all on function credits.follow_cost(
  public.credit_price_books, credits.prices, credits.provider_prices)
  from public, anon, authenticated, service_role;
