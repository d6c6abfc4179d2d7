create function credits.read_quantities(p_quantities jsonb)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_quantity record;
  v_wrong text;
begin
  if jsonb_typeof(p_quantities) is distinct from 'object' or p_quantities = '{}'
     or octet_length(p_quantities::text) > 4000 then
    v_wrong := '';
  else
    -- A quantity may be a text, since not every language reads large numbers exactly.
    for v_quantity in select q.key, q.value from jsonb_each(p_quantities) q loop
      if jsonb_typeof(v_quantity.value) not in ('number', 'string')
         or v_quantity.value #>> '{}' !~ '^[0-9]{1,30}(\.[0-9]{1,18})?$' then
        v_wrong := v_quantity.key;
      end if;
    end loop;
  end if;
  if v_wrong is not null then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_quantities',
      'dimension', nullif(v_wrong, '')), 'Quantities are a JSON object: for each dimension how '
      'much of it was used, a number that is 0 or more.');
  end if;
  return (select jsonb_object_agg(q.key, trim_scale(q.value::numeric))
    from jsonb_each_text(p_quantities) q);
end
$$;
comment on function credits.read_quantities(jsonb) is
  'Quantities as numbers, the same however they were written. Raises invalid_argument for what are '
  'none.';
revoke all on function credits.read_quantities(jsonb)
  from public, anon, authenticated, service_role;

create function credits.prices_at(
  p_book text, p_operation text, p_at timestamptz, p_known_version bigint)
returns setof credits.prices
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
  with current as (
    select distinct on (p.operation, p.dimension) p.*
    from credits.prices p
    where p.book = p_book and p.valid_from <= p_at
      and p.version <= coalesce(p_known_version, p.version)
      and position('*' in p_operation) = 0
      -- The operation itself, and every beginning of it that could be a pattern. A name that is
      -- longer than a price may have has none, before anything is made of it.
      and p.operation = any (left(p_operation, 201) || array(
        select left(p_operation, n) || '*'
        from generate_series(0, case when length(p_operation) <= 200
          then length(p_operation) else -1 end) n))
    order by p.operation, p.dimension, p.valid_from desc, p.version desc
  )
  select distinct on (c.dimension) c.*
  from current c
  where c.nano_per_unit is not null
  order by c.dimension, c.operation = p_operation desc, length(c.operation) desc;
end
$$;
comment on function credits.prices_at(text, text, timestamptz, bigint) is
  'The prices of an operation at an instant, the most specific one for each dimension, as the book '
  'was in p_known_version (null for now).';
revoke all on function credits.prices_at(text, text, timestamptz, bigint)
  from public, anon, authenticated, service_role;

create function credits.stepped(p_price numeric, p_steps jsonb, p_measure numeric)
returns numeric
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  if p_steps is null then
    return p_price;
  end if;
  return coalesce((
    select coalesce(s.value ->> 'nano_per_unit', s.value ->> 'cost_per_unit')::numeric
    from jsonb_array_elements(p_steps) s
    where (s.value ->> 'above')::numeric < p_measure
    order by (s.value ->> 'above')::numeric desc limit 1), p_price);
end
$$;
comment on function credits.stepped(numeric, jsonb, numeric) is
  'The price of the step that p_measure has reached, for all units; the first price below them.';
revoke all on function credits.stepped(numeric, jsonb, numeric)
  from public, anon, authenticated, service_role;

create function credits.price_lines(
  p_book text, p_operation text, p_quantities jsonb, p_at timestamptz, p_known_version bigint)
returns table (
  dimension text, quantity numeric, price credits.prices, unit_nano numeric, measure numeric)
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_unpriced text[];
begin
  -- Each price is looked for where the quantities are, so a quantity without one is seen here.
  select array_agg(q.key order by q.key) filter (where p.book is null) into v_unpriced
  from jsonb_each(p_quantities) q
  left join credits.prices_at(p_book, p_operation, p_at, p_known_version) p on p.dimension = q.key;
  if v_unpriced is not null then
    perform credits.refuse_unpriced(p_book, p_operation, v_unpriced, p_at, p_known_version);
  end if;
  return query
  select q.key, q.value::numeric, p,
    trim_scale(credits.stepped(p.nano_per_unit, p.steps, m.measure)), m.measure
  from jsonb_each_text(p_quantities) q
  join credits.prices_at(p_book, p_operation, p_at, p_known_version) p on p.dimension = q.key
  cross join lateral (
    select sum((p_quantities ->> b.name)::numeric) as measure from unnest(p.steps_by) b(name)) m
  order by q.key;
end
$$;
comment on function credits.price_lines(text, text, jsonb, timestamptz, bigint) is
  'For each quantity its price and what a unit costs by the step that is reached. Raises '
  'unknown_operation, or invalid_argument for a quantity without a price.';
revoke all on function credits.price_lines(text, text, jsonb, timestamptz, bigint)
  from public, anon, authenticated, service_role;

create function credits.refuse_unpriced(
  p_book text, p_operation text, p_unpriced text[], p_at timestamptz, p_known_version bigint)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_priced jsonb := (select jsonb_agg(p.dimension order by p.dimension)
    from credits.prices_at(p_book, p_operation, p_at, p_known_version) p);
begin
  if v_priced is null then
    perform credits.raise_error('unknown_operation', jsonb_build_object(
      'operation', p_operation, 'book', p_book));
  end if;
  perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_quantities',
    'operation', p_operation, 'dimensions', p_unpriced, 'priced', v_priced),
    'The operation has no price for ' || array_to_string(p_unpriced, ', ') || '.');
end
$$;
comment on function credits.refuse_unpriced(text, text, text[], timestamptz, bigint) is
  'Raises unknown_operation where an operation has no price at all, else invalid_argument.';
revoke all on function credits.refuse_unpriced(text, text, text[], timestamptz, bigint)
  from public, anon, authenticated, service_role;

create function credits.price_operation(
  p_book text, p_operation text, p_quantities jsonb, p_at timestamptz,
  p_known_version bigint default null)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_line record;
  v_lines jsonb := jsonb '[]';
  v_version bigint := 0;
  v_cost numeric;
begin
  for v_line in
    select l.price, l.quantity, l.unit_nano, l.measure
    from credits.price_lines(p_book, p_operation, p_quantities, p_at, p_known_version) l
  loop
    v_version := greatest(v_version, (v_line.price).version);
    v_lines := v_lines || credits.price_line(v_line.price, v_line.quantity, v_line.unit_nano,
      v_line.measure);
  end loop;
  v_cost := credits.cost_of_lines(v_lines);
  if v_cost > 9223372036854775807 then
    perform credits.raise_error('invalid_argument', jsonb_build_object('argument', 'p_quantities',
      'cost', credits.credits_text(v_cost)), 'One operation costs at most 9223372036 credits.');
  end if;
  return jsonb_build_object('cost_nano', v_cost, 'price_version', v_version, 'lines', v_lines);
end
$$;
comment on function credits.price_operation(text, text, jsonb, timestamptz, bigint) is
  'What an operation costs, in billionths of a credit, with the lines of its receipt. Raises '
  'unknown_operation, invalid_argument.';
revoke all on function credits.price_operation(text, text, jsonb, timestamptz, bigint)
  from public, anon, authenticated, service_role;

create function credits.price_line(
  p_price credits.prices, p_quantity numeric, p_unit_nano numeric, p_measure numeric)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return jsonb_strip_nulls(jsonb_build_object('dimension', p_price.dimension,
    'quantity', p_quantity, 'nano_per_unit', p_unit_nano, 'per', p_price.per,
    'pattern', p_price.operation, 'version', p_price.version, 'measure', p_measure,
    'minimum_nano', p_price.minimum_nano, 'maximum_nano', p_price.maximum_nano,
    'cost', credits.credits_text(round(credits.bounded(p_quantity * p_unit_nano, p_price.per,
      p_price.minimum_nano, p_price.maximum_nano) / p_price.per, 6))));
end
$$;
comment on function credits.price_line(credits.prices, numeric, numeric, numeric) is
  'A line of a receipt: a dimension, how much of it, by which price, and what it costs (to the '
  'millionth of a billionth).';
revoke all on function credits.price_line(credits.prices, numeric, numeric, numeric)
  from public, anon, authenticated, service_role;

create function credits.bounded(
  p_nano numeric, p_per numeric, p_minimum_nano numeric, p_maximum_nano numeric)
returns numeric
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  return least(greatest(p_nano, p_minimum_nano * p_per), p_maximum_nano * p_per);
end
$$;
comment on function credits.bounded(numeric, numeric, numeric, numeric) is
  'The cost of a dimension, times per, between its minimum and its maximum where it has them.';
revoke all on function credits.bounded(numeric, numeric, numeric, numeric)
  from public, anon, authenticated, service_role;

create function credits.cost_of_lines(p_lines jsonb)
returns numeric
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  -- A sum of fractions, exact until the one rounding at its end.
  v_sum numeric := 0;
  v_below numeric := 1;
  v_common numeric;
  v_line record;
begin
  for v_line in
    select l.per, credits.bounded(l.quantity * l.nano_per_unit, l.per, l.minimum_nano,
      l.maximum_nano) as above
    from jsonb_to_recordset(p_lines) l (quantity numeric, nano_per_unit numeric, per numeric,
      minimum_nano numeric, maximum_nano numeric)
  loop
    v_common := lcm(v_below, v_line.per);
    v_sum := v_sum * div(v_common, v_below) + v_line.above * div(v_common, v_line.per);
    v_below := v_common;
  end loop;
  return div(v_sum, v_below) + case when mod(v_sum, v_below) > 0 then 1 else 0 end;
end
$$;
comment on function credits.cost_of_lines(jsonb) is
  'What the lines of a receipt add up to: exactly, then rounded up to a billionth of a credit.';
revoke all on function credits.cost_of_lines(jsonb) from public, anon, authenticated, service_role;

create function credits.credits_text(p_nano numeric)
returns text
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  return trim_scale(p_nano * 0.000000001)::text;
end
$$;
comment on function credits.credits_text(numeric) is
  'Billionths of a credit as a decimal number of credits, exactly.';
revoke all on function credits.credits_text(numeric) from public, anon, authenticated, service_role;

create function credits.whole_credits(p_nano numeric)
returns bigint
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  return greatest(0, ceil(p_nano * 0.000000001))::bigint;
end
$$;
comment on function credits.whole_credits(numeric) is
  'How many whole credits it takes to pay for this many billionths; 0 for none and less.';
revoke all on function credits.whole_credits(numeric)
  from public, anon, authenticated, service_role;
