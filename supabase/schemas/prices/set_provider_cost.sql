-- edge: result=Price callers=service_role repeatable
--   Say what a provider charges for a dimension of an operation. With ``markup`` it sets the price.
--
--   The price is the cost times exchange rate, markup and what a credit is worth, and follows the
--   rate. Without ``markup`` the price stays, and only the margin is known. Users read neither.
--
--   Raises:
--       InvalidArgument: no such book or price, no exchange rate, or figures that are no cost.
create function public.set_provider_cost(
  p_operation text, p_dimension text, p_cost_per_unit numeric, p_per bigint default 1,
  p_asset text default 'usd', p_markup numeric default null, p_book text default 'default',
  p_valid_from timestamptz default null, p_minimum_nano bigint default null,
  p_maximum_nano bigint default null, p_steps jsonb default null, p_source text default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_book public.credit_price_books := credits.find_price_book(p_book);
  v_cost credits.provider_prices;
  v_price credits.prices;
begin
  perform credits.check_cost(p_cost_per_unit, p_per, p_markup, p_asset);
  v_cost.asset := p_asset;
  v_cost.cost_per_unit := p_cost_per_unit;
  v_cost.per := p_per;
  v_cost.markup := p_markup;
  v_price.operation := p_operation;
  v_price.dimension := p_dimension;
  v_price.minimum_nano := p_minimum_nano;
  v_price.maximum_nano := p_maximum_nano;
  v_price.valid_from := p_valid_from;
  v_price.source := p_source;
  v_price.steps_by := credits.read_steps(p_dimension, p_steps);
  v_cost.steps := (select jsonb_agg(jsonb_build_object('above', s.value -> 'above',
      'cost_per_unit', s.value -> 'nano_per_unit') order by s.nth)
    from jsonb_array_elements(p_steps -> 'steps') with ordinality s(value, nth));
  if p_markup is null then
    v_price := credits.price_to_explain(v_book.id, v_price);
  else
    v_price := credits.follow_price(v_book.id, credits.follow_cost(v_book, v_price, v_cost));
  end if;
  perform credits.note_cost(v_price, v_cost);
  perform credits.follow_rate(p_asset, v_book.currency, r.valid_from, r.source)
  from credits.exchange_rates r
  where p_markup is not null and r.asset = p_asset and r.currency = v_book.currency
    and r.valid_from > coalesce(p_valid_from, clock_timestamp())
  order by r.valid_from, r.created_at;
  return credits.respond(credits.price_answer(v_price));
end
$$;
comment on function public.set_provider_cost(text, text, numeric, bigint, text, numeric, text,
  timestamptz, bigint, bigint, jsonb, text) is
  'Says what the provider charges for p_per units of a dimension, in an asset. With p_markup it is '
  'also what sets the price, which then follows the asset''s exchange rate. In p_steps the '
  'nano_per_unit of a step is its cost per unit. Users read neither cost nor markup.';
revoke all on function public.set_provider_cost(text, text, numeric, bigint, text, numeric, text,
  timestamptz, bigint, bigint, jsonb, text) from public, anon, authenticated, service_role;
grant execute on function public.set_provider_cost(text, text, numeric, bigint, text, numeric, text,
  timestamptz, bigint, bigint, jsonb, text) to service_role;

create function credits.check_cost(
  p_cost_per_unit numeric, p_per bigint, p_markup numeric, p_asset text)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_argument text := case
    when p_cost_per_unit is null or p_cost_per_unit < 0 or p_cost_per_unit > 1e12
      or scale(p_cost_per_unit) > 30 then 'p_cost_per_unit'
    when coalesce(p_per, 0) < 1 then 'p_per'
    when p_markup <= 0 or p_markup > 1e6 or scale(p_markup) > 12 then 'p_markup'
    when coalesce(p_asset ~ '^[a-z][a-z0-9_]{0,62}$', false) is not true then 'p_asset' end;
begin
  if v_argument is not null then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', v_argument),
      'A cost is a number, 0 or more, of an asset that is named in small letters, for 1 unit or '
      'more; a markup is a factor above 0.');
  end if;
end
$$;
comment on function credits.check_cost(numeric, bigint, numeric, text) is
  'Raises invalid_argument for what no provider charges.';
revoke all on function credits.check_cost(numeric, bigint, numeric, text)
  from public, anon, authenticated, service_role;

create function credits.price_to_explain(p_book text, p_price credits.prices)
returns credits.prices
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_price credits.prices;
begin
  select f.* into v_price from credits.prices f
  where f.book = p_book and f.operation = p_price.operation and f.dimension = p_price.dimension
    and f.valid_from <= coalesce(p_price.valid_from, statement_timestamp())
  order by f.valid_from desc, f.version desc limit 1;
  if v_price.nano_per_unit is null then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_operation',
      'value', p_price.operation, 'dimension', p_price.dimension), 'The book has no such price. '
      'Set it first, or say by which markup the cost makes it.');
  end if;
  return v_price;
end
$$;
comment on function credits.price_to_explain(text, credits.prices) is
  'The price that is in force for exactly this operation and dimension. Raises invalid_argument.';
revoke all on function credits.price_to_explain(text, credits.prices)
  from public, anon, authenticated, service_role;

create function credits.note_cost(p_price credits.prices, p_cost credits.provider_prices)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  insert into credits.provider_prices (book, operation, dimension, version, asset, cost_per_unit,
    per, markup, steps)
  values (p_price.book, p_price.operation, p_price.dimension, p_price.version, p_cost.asset,
    p_cost.cost_per_unit, p_cost.per, p_cost.markup, p_cost.steps)
  on conflict (book, operation, dimension, version) do update set asset = excluded.asset,
    cost_per_unit = excluded.cost_per_unit, per = excluded.per, markup = excluded.markup,
    steps = excluded.steps;
end
$$;
comment on function credits.note_cost(credits.prices, credits.provider_prices) is
  'Keeps what the provider charges for what a price is for. What operations have cost before is '
  'written down with each of them.';
revoke all on function credits.note_cost(credits.prices, credits.provider_prices)
  from public, anon, authenticated, service_role;
