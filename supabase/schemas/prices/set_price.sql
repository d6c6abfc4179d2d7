-- edge: result=Price callers=service_role repeatable
--   Set what ``per`` units of a dimension of an operation cost, in billionths of a credit.
--
--   The price before it ends where this one begins, and is kept. An ``operation`` that ends with a
--   star is for every operation that begins alike; the most specific price counts.
--
--   Raises:
--       InvalidArgument: no such book, or figures that are no price.
create function public.set_price(
  p_operation text, p_dimension text, p_nano_per_unit numeric, p_per bigint default 1,
  p_book text default 'default', p_valid_from timestamptz default null,
  p_minimum_nano bigint default null, p_maximum_nano bigint default null,
  p_steps jsonb default null, p_source text default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_price credits.prices;
begin
  v_price.operation := p_operation;
  v_price.dimension := p_dimension;
  v_price.nano_per_unit := p_nano_per_unit;
  v_price.per := p_per;
  v_price.minimum_nano := p_minimum_nano;
  v_price.maximum_nano := p_maximum_nano;
  v_price.valid_from := p_valid_from;
  v_price.source := p_source;
  v_price.steps := p_steps -> 'steps';
  v_price.steps_by := credits.read_steps(p_dimension, p_steps);
  if p_nano_per_unit is null then
    perform credits.refuse_price('p_nano_per_unit', null);
  end if;
  v_price := credits.follow_price((credits.find_price_book(p_book)).id, v_price);
  return credits.respond(credits.price_answer(v_price));
end
$$;
comment on function public.set_price(
  text, text, numeric, bigint, text, timestamptz, bigint, bigint, jsonb, text) is
  'Sets what p_per units of a dimension of an operation (or of all that begin alike: a star at the '
  'end) cost from p_valid_from on (null for now, of a first price since ever), in billionths of a '
  'credit, at least p_minimum_nano and at most p_maximum_nano. p_steps has other prices for all '
  'units by how many there are. The price before ends there and is kept; the same price again '
  'changes nothing.';
revoke all on function public.set_price(
  text, text, numeric, bigint, text, timestamptz, bigint, bigint, jsonb, text)
  from public, anon, authenticated, service_role;
grant execute on function public.set_price(
  text, text, numeric, bigint, text, timestamptz, bigint, bigint, jsonb, text) to service_role;

create function credits.refuse_price(p_argument text, p_value text)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  perform credits.raise_error('invalid_argument',
    jsonb_build_object('argument', p_argument, 'value', p_value),
    case p_argument
      when 'p_operation' then 'An operation is a text of 1 to 200 characters; a star stands at its '
        'end, if anywhere.'
      when 'p_dimension' then 'A dimension is a name of small letters, digits and underscores.'
      when 'p_nano_per_unit' then 'A price is a number of billionths of a credit, 0 or more.'
      when 'p_per' then 'A price is for 1 unit or more.'
      when 'p_valid_from' then 'A price begins at an instant.'
      when 'p_source' then 'A source has at most 200 characters.'
      when 'p_steps' then 'Steps are {"by": [dimensions], "steps": [{"above": units, '
        '"nano_per_unit": price}]}, each above the one before.'
      else 'A minimum is not negative, and not above the maximum.' end);
end
$$;
comment on function credits.refuse_price(text, text) is
  'Raises invalid_argument for what is no price, and says what one is.';
revoke all on function credits.refuse_price(text, text)
  from public, anon, authenticated, service_role;

create function credits.check_price_figures(p_price credits.prices)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  -- A NaN is above every number.
  if coalesce(p_price.operation ~ '^[^*[:cntrl:]]{0,199}[^[:cntrl:]]$', false) is not true then
    perform credits.refuse_price('p_operation', p_price.operation);
  elsif coalesce(p_price.dimension ~ '^[a-z][a-z0-9_]{0,62}$', false) is not true then
    perform credits.refuse_price('p_dimension', p_price.dimension);
  elsif p_price.nano_per_unit < 0 or p_price.nano_per_unit >= 1e24
     or scale(p_price.nano_per_unit) > 30 then
    perform credits.refuse_price('p_nano_per_unit', p_price.nano_per_unit::text);
  elsif coalesce(p_price.per, 0) < 1 then
    perform credits.refuse_price('p_per', p_price.per::text);
  elsif p_price.minimum_nano < 0 or p_price.minimum_nano > p_price.maximum_nano then
    perform credits.refuse_price('p_minimum_nano', p_price.minimum_nano::text);
  elsif p_price.maximum_nano < 0 then
    perform credits.refuse_price('p_maximum_nano', p_price.maximum_nano::text);
  elsif not isfinite(p_price.valid_from) then
    perform credits.refuse_price('p_valid_from', p_price.valid_from::text);
  elsif length(p_price.source) > 200 then
    perform credits.refuse_price('p_source', null);
  end if;
end
$$;
comment on function credits.check_price_figures(credits.prices) is
  'Raises invalid_argument for figures that are no price.';
revoke all on function credits.check_price_figures(credits.prices)
  from public, anon, authenticated, service_role;

create function credits.read_steps(p_dimension text, p_steps jsonb)
returns text[]
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_by jsonb := coalesce(p_steps -> 'by', jsonb_build_array(p_dimension));
  v_step jsonb;
  v_above numeric := -1;
begin
  if p_steps is null then
    return null;
  elsif jsonb_typeof(p_steps) is distinct from 'object' or jsonb_typeof(v_by) <> 'array'
     or p_steps - '{by, steps}'::text[] <> '{}' or octet_length(p_steps::text) > 4000
     or jsonb_typeof(p_steps -> 'steps') is distinct from 'array' then
    perform credits.refuse_price('p_steps', p_steps::text);
  end if;
  for v_step in select s.value from jsonb_array_elements(p_steps -> 'steps') s loop
    if jsonb_typeof(v_step -> 'above') is distinct from 'number'
       or jsonb_typeof(v_step -> 'nano_per_unit') is distinct from 'number'
       or v_step - '{above, nano_per_unit}'::text[] <> '{}'
       or (v_step ->> 'above')::numeric <= v_above or (v_step ->> 'above')::numeric >= 1e30
       or (v_step ->> 'nano_per_unit')::numeric not between 0 and 1e24
       or scale((v_step ->> 'nano_per_unit')::numeric) > 30 then
      perform credits.refuse_price('p_steps', p_steps::text);
    end if;
    v_above := (v_step ->> 'above')::numeric;
  end loop;
  if v_above < 0 or exists (select 1 from jsonb_array_elements(v_by) e
      where coalesce(e.value #>> '{}', '') !~ '^[a-z][a-z0-9_]{0,62}$') then
    perform credits.refuse_price('p_steps', p_steps::text);
  end if;
  return array(select e.value from jsonb_array_elements_text(v_by) e);
end
$$;
comment on function credits.read_steps(text, jsonb) is
  'The dimensions that choose the step of a price, itself where none are named; null where there '
  'are no steps. Raises invalid_argument for what are no steps.';
revoke all on function credits.read_steps(text, jsonb)
  from public, anon, authenticated, service_role;

create function credits.follow_price(p_book text, inout p_price credits.prices)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_before credits.prices;
begin
  p_price.book := p_book;
  p_price.created_at := clock_timestamp();
  -- The first price of something counts from the beginning: there is none before it to keep, and
  -- no clock is too early.
  p_price.valid_from := coalesce(p_price.valid_from, case when not exists (
    select 1 from credits.prices f where f.book = p_book and f.operation = p_price.operation
      and f.dimension = p_price.dimension) then 'epoch' else clock_timestamp() end);
  perform credits.check_price_figures(p_price);
  -- Versions are given one after the other: the rows of one are there before the next one is.
  update public.credit_price_books b set version = b.version + 1 where b.id = p_book
  returning b.version into p_price.version;
  select f.* into v_before from credits.prices f
  where f.book = p_book and f.operation = p_price.operation and f.dimension = p_price.dimension
    and f.valid_from <= p_price.valid_from
  order by f.valid_from desc, f.version desc limit 1;
  if found and (v_before.nano_per_unit, v_before.per, v_before.minimum_nano, v_before.maximum_nano,
      v_before.steps, v_before.steps_by) is not distinct from (p_price.nano_per_unit, p_price.per,
      p_price.minimum_nano, p_price.maximum_nano, p_price.steps, p_price.steps_by) then
    update public.credit_price_books b set version = b.version - 1 where b.id = p_book;
    p_price := v_before;
    return;
  end if;
  insert into credits.prices select p_price.*;
end
$$;
comment on function credits.follow_price(text, credits.prices) is
  'Adds a price to its book, as its next version. The price that is in force already is not added '
  'again.';
revoke all on function credits.follow_price(text, credits.prices)
  from public, anon, authenticated, service_role;

create function credits.price_answer(p_price credits.prices)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return jsonb_build_object('success', true, 'code', 'ok', 'book', p_price.book,
    'operation', p_price.operation, 'dimension', p_price.dimension,
    'nano_per_unit', trim_scale(p_price.nano_per_unit)::text, 'per', p_price.per,
    'minimum_nano', p_price.minimum_nano, 'maximum_nano', p_price.maximum_nano,
    'valid_from', p_price.valid_from, 'version', p_price.version, 'price_version', p_price.version);
end
$$;
comment on function credits.price_answer(credits.prices) is 'A price, as set_price answers it.';
revoke all on function credits.price_answer(credits.prices)
  from public, anon, authenticated, service_role;
