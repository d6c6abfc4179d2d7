-- edge: result=ExchangeRate callers=service_role repeatable
--   Set what ``per`` units of an asset are worth in a currency, from ``valid_from`` on.
--
--   Every price that follows a cost in this asset is followed by a new one from then on.
--
--   Raises:
--       InvalidArgument: no rate, or an asset that is the currency itself.
create function public.set_exchange_rate(
  p_asset text, p_worth numeric, p_per bigint default 1, p_currency text default 'usd',
  p_valid_from timestamptz default null, p_source text default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_at timestamptz := coalesce(p_valid_from, case when exists (
    select 1 from credits.exchange_rates r where r.asset = p_asset and r.currency = p_currency)
    then clock_timestamp() else 'epoch' end);
  v_rate numeric := p_worth / greatest(p_per, 1)::numeric(60, 40);
begin
  if coalesce(p_asset ~ '^[a-z][a-z0-9_]{0,62}$' and p_worth > 0 and p_worth < 1e18
      and p_per >= 1 and p_currency ~ '^[a-z]{3}$' and p_asset <> p_currency and isfinite(v_at)
      and coalesce(length(p_source) <= 200, true), false) is not true then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_worth',
      'asset', p_asset, 'worth', p_worth, 'per', p_per, 'currency', p_currency), 'A rate is a '
      'number above 0 for 1 unit or more of an asset, which is named in small letters.');
  end if;
  if credits.rate_at(p_asset, p_currency, v_at) is distinct from v_rate then
    insert into credits.exchange_rates (asset, per_unit, currency, valid_from, source)
    values (p_asset, v_rate, p_currency, v_at, p_source);
  end if;
  return credits.respond(jsonb_build_object(
    'success', true, 'code', 'ok', 'asset', p_asset, 'currency', p_currency,
    'worth', trim_scale(p_worth)::text, 'per', p_per, 'valid_from', v_at,
    'prices', credits.follow_rate(p_asset, p_currency, v_at, p_source)));
end
$$;
comment on function public.set_exchange_rate(text, numeric, bigint, text, timestamptz, text) is
  'Sets what p_per units of an asset are worth in a currency from p_valid_from on. Prices that '
  'follow a provider''s cost in it get the price that follows; answers how many did.';
revoke all on function public.set_exchange_rate(text, numeric, bigint, text, timestamptz, text)
  from public, anon, authenticated, service_role;
grant execute on function public.set_exchange_rate(text, numeric, bigint, text, timestamptz, text)
  to service_role;

create function credits.follow_rate(
  p_asset text, p_currency text, p_at timestamptz, p_source text)
returns integer
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_following record;
  v_price credits.prices;
  v_count integer := 0;
begin
  for v_following in
    select b as book, p.price, c as cost
    from public.credit_price_books b
    join lateral (
      select distinct on (f.operation, f.dimension) f as price from credits.prices f
      where f.book = b.id and f.valid_from <= p_at
      order by f.operation, f.dimension, f.valid_from desc, f.version desc) p on true
    join credits.provider_prices c on c.book = b.id and c.operation = (p.price).operation
      and c.dimension = (p.price).dimension and c.version = (p.price).version
    where b.currency = p_currency and c.asset = p_asset and c.markup is not null
      and (p.price).nano_per_unit is not null
    order by b.id, (p.price).operation, (p.price).dimension
  loop
    v_price := v_following.price;
    v_price.valid_from := p_at;
    v_price.source := p_source;
    v_price := credits.follow_price((v_following.book).id,
      credits.follow_cost(v_following.book, v_price, v_following.cost));
    if v_price.version <> (v_following.price).version then
      perform credits.note_cost(v_price, v_following.cost);
      v_count := v_count + 1;
    end if;
  end loop;
  return v_count;
end
$$;
comment on function credits.follow_rate(text, text, timestamptz, text) is
  'Adds the prices that an exchange rate makes, one for each that follows it. How many were added.';
revoke all on function credits.follow_rate(text, text, timestamptz, text)
  from public, anon, authenticated, service_role;
