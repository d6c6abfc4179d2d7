-- edge: result=PricePage callers=service_role repeatable
--   The prices of a book in the order in which they were set, a page at a time.
--
--   With ``costs`` also what providers charge and the markup: they are not for users. While
--   ``more`` is True, go on with ``after_version``.
--
--   Raises:
--       InvalidArgument: no such book.
create function public.list_prices(
  p_book text default null, p_operation text default null, p_costs boolean default false,
  p_after_version bigint default 0, p_limit integer default 1000)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  v_book public.credit_price_books := credits.find_price_book(p_book);
  v_prices jsonb;
begin
  if coalesce(p_limit, 0) not between 1 and 10000 then
    perform credits.raise_error('invalid_argument', '{"argument": "p_limit"}',
      'A page has 1 to 10000 prices.');
  end if;
  select coalesce(jsonb_agg(credits.listed_price(p, coalesce(p_costs, false)) order by p.version),
      '[]')
    into v_prices
  from (
    select c.* from public.credit_prices c
    where c.book = v_book.id and c.version > coalesce(p_after_version, 0)
      -- An operation finds the patterns that its price may be in.
      and (p_operation is null or c.operation = p_operation or right(c.operation, 1) = '*'
        and starts_with(p_operation, rtrim(c.operation, '*')))
    order by c.version limit p_limit + 1) p;
  return jsonb_build_object('success', true, 'code', 'ok', 'book', v_book.id, 'name', v_book.name,
    'credit_type', v_book.credit_type, 'currency', v_book.currency,
    'credits_per_unit', trim_scale(v_book.nano_per_unit_of_currency * 0.000000001)::text,
    'version', v_book.version, 'more', jsonb_array_length(v_prices) > p_limit,
    'prices', case when jsonb_array_length(v_prices) > p_limit then v_prices - -1
      else v_prices end);
end
$$;
comment on function public.list_prices(text, text, boolean, bigint, integer) is
  'The prices of a book (of one operation, with the patterns that fit it), also those that ended '
  'or are planned, p_limit from p_after_version on; more says whether there are others. With '
  'p_costs what providers charge and the markup.';
revoke all on function public.list_prices(text, text, boolean, bigint, integer)
  from public, anon, authenticated, service_role;
grant execute on function public.list_prices(text, text, boolean, bigint, integer) to service_role;

create function credits.listed_price(p_price public.credit_prices, p_costs boolean)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return jsonb_build_object('operation', p_price.operation, 'dimension', p_price.dimension,
    'nano_per_unit', trim_scale(p_price.nano_per_unit)::text, 'per', p_price.per,
    'minimum_nano', p_price.minimum_nano, 'maximum_nano', p_price.maximum_nano,
    'steps', p_price.steps, 'steps_by', to_jsonb(p_price.steps_by),
    'valid_from', p_price.valid_from, 'valid_to', p_price.valid_to, 'version', p_price.version,
    'source', p_price.source)
    || coalesce((
      select jsonb_build_object('asset', c.asset,
        'cost_per_unit', trim_scale(c.cost_per_unit)::text, 'cost_per', c.per,
        'markup', trim_scale(c.markup)::text, 'cost_steps', c.steps)
      from credits.provider_prices c
      where p_costs and c.book = p_price.book and c.operation = p_price.operation
        and c.dimension = p_price.dimension and c.version = p_price.version), '{}');
end
$$;
comment on function credits.listed_price(public.credit_prices, boolean) is
  'A price as list_prices shows it, with what the provider charges for it where p_costs is true.';
revoke all on function credits.listed_price(public.credit_prices, boolean)
  from public, anon, authenticated, service_role;
