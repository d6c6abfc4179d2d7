-- edge: result=PriceChanges callers=service_role repeatable reads=prices:price_items
--   Set up to 10,000 prices at once, all or none; with ``dry_run`` only say what would change.
--
--   Each has the arguments of :meth:`set_price`, or with ``cost_per_unit`` those of
--   :meth:`set_provider_cost`; with ``ends`` true it ends there. With what :meth:`set_price_book`
--   takes besides, the book is made or changed first.
--
--   Raises:
--       InvalidArgument: no such book, or one that is no price; ``details["item"]`` says which.
create function public.set_prices(
  p_prices jsonb, p_book text default 'default', p_dry_run boolean default false,
  p_credit_type text default null, p_name text default null, p_currency text default null,
  p_credits_per_unit numeric default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_book public.credit_price_books;
  v_item record;
  v_change jsonb;
  v_changes jsonb := jsonb '[]';
  v_unchanged integer := 0;
begin
  if jsonb_typeof(p_prices) is distinct from 'array' or jsonb_array_length(p_prices) > 10000 then
    perform credits.raise_error('invalid_argument', '{"argument": "p_prices"}',
      'Prices are a list of at most 10000 objects.');
  end if;
  begin
    if num_nonnulls(p_credit_type, p_name, p_currency, p_credits_per_unit) > 0 then
      perform public.set_price_book(p_book, p_credit_type, p_name, p_currency, p_credits_per_unit);
    end if;
    v_book := credits.find_price_book(p_book);
    for v_item in
      select p.value, p.nth from jsonb_array_elements(p_prices) with ordinality p(value, nth)
    loop
      v_change := credits.set_price_item(v_book.id, v_item.value, v_item.nth - 1);
      if v_change is null then
        v_unchanged := v_unchanged + 1;
      else
        v_changes := v_changes || v_change;
      end if;
    end loop;
    if p_dry_run then
      raise exception using errcode = 'SN001';
    end if;
  exception when sqlstate 'SN001' then
    -- What was set is taken back, and what it was is known.
    null;
  end;
  return credits.respond(jsonb_build_object('success', true, 'code', 'ok', 'book', v_book.id,
    'dry_run', coalesce(p_dry_run, false), 'changed', jsonb_array_length(v_changes),
    'unchanged', v_unchanged, 'changes', v_changes));
end
$$;
comment on function public.set_prices(jsonb, text, boolean, text, text, text, numeric) is
  'Sets many prices, all or none, and answers what each was before. With p_dry_run it only says '
  'what would change.';
revoke all on function public.set_prices(jsonb, text, boolean, text, text, text, numeric)
  from public, anon, authenticated, service_role;
grant execute on function public.set_prices(jsonb, text, boolean, text, text, text, numeric)
  to service_role;

create function credits.set_price_item(p_book text, p_item jsonb, p_nth bigint)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_operation text := p_item ->> 'operation';
  v_dimension text := p_item ->> 'dimension';
  v_at timestamptz;
  v_before jsonb;
  v_after jsonb;
begin
  perform credits.check_price_item(p_item, p_nth);
  begin
    v_at := (p_item ->> 'valid_from')::timestamptz;
  exception when datetime_field_overflow or invalid_datetime_format then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_prices',
      'item', p_nth, 'key', 'valid_from'));
  end;
  v_before := credits.price_in_force(p_book, v_operation, v_dimension,
    coalesce(v_at, clock_timestamp()));
  if p_item @> '{"ends": true}' then
    perform public.end_price(v_operation, v_dimension, p_book, v_at);
  else
    if p_item ? 'nano_per_unit' then
      perform public.set_price(v_operation, v_dimension, (p_item ->> 'nano_per_unit')::numeric,
        coalesce((p_item ->> 'per')::bigint, 1), p_book, v_at, (p_item ->> 'minimum_nano')::bigint,
        (p_item ->> 'maximum_nano')::bigint, nullif(p_item -> 'steps', 'null'),
        p_item ->> 'source');
    end if;
    if p_item ? 'cost_per_unit' then
      perform public.set_provider_cost(v_operation, v_dimension,
        (p_item ->> 'cost_per_unit')::numeric, coalesce((p_item ->> 'per')::bigint, 1),
        coalesce(p_item ->> 'asset', 'usd'), (p_item ->> 'markup')::numeric, p_book, v_at,
        (p_item ->> 'minimum_nano')::bigint, (p_item ->> 'maximum_nano')::bigint,
        nullif(p_item -> 'cost_steps', 'null'), p_item ->> 'source');
    end if;
  end if;
  v_after := credits.price_in_force(p_book, v_operation, v_dimension,
    coalesce(v_at, clock_timestamp()));
  if v_after is not distinct from v_before then
    return null;
  end if;
  return jsonb_build_object('operation', v_operation, 'dimension', v_dimension, 'valid_from', v_at,
    'before', v_before, 'after', v_after);
end
$$;
comment on function credits.set_price_item(text, jsonb, bigint) is
  'Sets one of many prices. What it was before and is after; null where nothing has changed.';
revoke all on function credits.set_price_item(text, jsonb, bigint)
  from public, anon, authenticated, service_role;

create function credits.check_price_item(p_item jsonb, p_nth bigint)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_number constant text := '^-?[0-9]{1,60}(\.[0-9]{1,60})?$';
  v_key text;
begin
  v_key := case
    when jsonb_typeof(p_item) is distinct from 'object' then ''
    when not (p_item ? 'nano_per_unit' or p_item ? 'cost_per_unit' and p_item ? 'markup'
      or p_item @> '{"ends": true}') then 'nano_per_unit'
    when p_item ->> 'valid_from' !~
      '^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-][0-9:]{2,6})$'
      then 'valid_from'
    else (
      select min(e.key) from jsonb_each_text(p_item) e
      where e.value is not null and e.key in ('nano_per_unit', 'cost_per_unit', 'markup')
          and e.value !~ v_number
        or e.value is not null and e.key in ('per', 'minimum_nano', 'maximum_nano')
          and e.value !~ '^[0-9]{1,18}$'
        or e.key not in ('operation', 'dimension', 'nano_per_unit', 'per', 'valid_from',
          'minimum_nano', 'maximum_nano', 'steps', 'source', 'cost_per_unit', 'asset', 'markup',
          'cost_steps', 'ends')) end;
  if v_key is not null then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_prices',
      'item', p_nth, 'key', v_key), 'Each price is an object with operation, dimension and '
      'nano_per_unit, or cost_per_unit and markup.');
  end if;
end
$$;
comment on function credits.check_price_item(jsonb, bigint) is
  'Raises invalid_argument for an item that is no price, with its number.';
revoke all on function credits.check_price_item(jsonb, bigint)
  from public, anon, authenticated, service_role;

create function credits.price_in_force(
  p_book text, p_operation text, p_dimension text, p_at timestamptz)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select case when p.nano_per_unit is not null then jsonb_strip_nulls(jsonb_build_object(
      'nano_per_unit', trim_scale(p.nano_per_unit)::text, 'per', p.per,
      'minimum_nano', p.minimum_nano, 'maximum_nano', p.maximum_nano, 'steps', p.steps,
      'steps_by', to_jsonb(p.steps_by))) end
    from credits.prices p
    where p.book = p_book and p.operation = p_operation and p.dimension = p_dimension
      and p.valid_from <= p_at
    order by p.valid_from desc, p.version desc limit 1);
end
$$;
comment on function credits.price_in_force(text, text, text, timestamptz) is
  'The figures of exactly this price at an instant; null where there is none.';
revoke all on function credits.price_in_force(text, text, text, timestamptz)
  from public, anon, authenticated, service_role;
