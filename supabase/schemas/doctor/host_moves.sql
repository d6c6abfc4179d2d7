-- Which code of the project moves which counter of its own: up or down, and by whose figure.

create function credits.with_locals(p_expression text, p_code text)
returns text
language plpgsql
immutable
security invoker
set search_path = ''
as $$
declare
  v_expression text := p_expression;
  v_word text;
  v_value text;
  v_selected text[];
begin
  -- A figure is often worked out in one line and written in another: v_new := v_old - p_amount.
  for round in 1..2 loop
    for v_word in
      select distinct w[1] from regexp_matches(v_expression, '(?<![.''a-z0-9_$])([a-z_][a-z0-9_$]*)(?![a-z0-9_$]|\.| ?\()', 'g') as w
    loop
      -- Where it is worked out in steps, the last step of what it was at first.
      select coalesce(
          regexp_replace((array_agg(x.value order by x.nth desc) filter (where x.is_step))[1], credits.as_pattern(v_word),
            replace((array_agg(x.value order by x.nth) filter (where not x.is_step))[1], '\', '\\'), 'g'),
          (array_agg(x.value order by x.nth) filter (where not x.is_step))[1])
        into v_value
      from (
        select m.value[1] as value, m.nth, m.value[1] ~ credits.as_pattern(v_word) as is_step
        from regexp_matches(p_code, '(?:^|;|\m(?:begin|then|else|loop|declare)) ?' || credits.as_pattern(v_word)
          || '(?: (?!is |in )[a-z0-9_.%() ]+?)? ?(?::=|=|\mdefault\M) ?([^;]*)(?=;)', 'g') with ordinality as m(value, nth)) x;
      if v_value is null then
        select s into v_selected from regexp_match(p_code, 'select ([^;]*?) into (?:strict )?([a-z0-9_$, ]*' || credits.as_pattern(v_word) || '[a-z0-9_$, ]*?) ?(?:from|;)') s;
        select x.value into v_value
        from unnest(credits.top_level_parts(v_selected[1]), credits.top_level_parts(v_selected[2])) as x(value, name)
        where x.name = v_word;
      end if;
      if length(v_value) < 300 and v_value !~ credits.as_pattern(v_word) then
        v_expression := regexp_replace(v_expression, '(?<![.''])' || credits.as_pattern(v_word), '(' || replace(v_value, '\', '\\') || ')', 'g');
      end if;
    end loop;
  end loop;
  return v_expression;
end
$$;
comment on function credits.with_locals(text, text) is 'An expression with what the code assigns to its variables put in their place.';
revoke all on function credits.with_locals(text, text) from public, anon, authenticated, service_role;

create function credits.without_null_checks(p_code text)
returns text
language sql
immutable
security invoker
set search_path = ''
as $$
  select regexp_replace(p_code,
    '\mif \(*(?:(?:select )?auth\.uid ?\( ?\)|[a-z_][a-z0-9_$.]*)\)* is null\)* then (?:raise|return)[^;]*;(?: end if)?', ' ', 'g')
$$;
comment on function credits.without_null_checks(text) is
  'The code without its questions whether anybody is signed in or anything was passed: they keep nobody out who wants in.';
revoke all on function credits.without_null_checks(text) from public, anon, authenticated, service_role;

create type credits.host_move as (
  function_oid oid, name text, kind text, definer boolean, open_to text[], is_trigger boolean, code text, table_oid oid,
  table_name text, column_name name, worth text, is_new boolean, assigned text, resolved text, statement text, raises boolean,
  lowers boolean, is_relative boolean, by_argument boolean, is_conditioned boolean);
comment on type credits.host_move is
  'A write of a function of the project to a counter of its own: what it assigns, and whether that gives or takes.';
revoke all on type credits.host_move from public;

create function credits.host_moves(p_functions credits.host_function[])
returns setof credits.host_move
language sql
stable
security invoker
set search_path = ''
as $$
  with functions as materialized (
    select f.* from unnest(p_functions) f where f.code ~ '\m(update|insert into|merge into) '
  ), columns as materialized (
    select c.table_oid, c.table_name, c.relname, c.column_name, c.worth from credits.host_columns() c
    where c.worth in ('counter', 'used', 'json', 'plan', 'role')
    union
    select t.oid, t.name, t.relname, a.attname, 'json'
    from credits.host_tables() t join pg_catalog.pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and a.atttypid in (114, 3802)
    union
    select v.oid, format('%I.%I', s.name, v.relname), v.relname, a.attname, credits.worth_of(v.relname, a.attname, a.atttypid)
    from pg_catalog.pg_class v
    join credits.host_schemas() s on s.oid = v.relnamespace
    join pg_catalog.pg_attribute a on a.attrelid = v.oid and a.attnum > 0
    where v.relkind = 'v' and not (s.name = 'public' and v.relname in (select credits.public_relations()))
      and credits.worth_of(v.relname, a.attname, a.atttypid) in ('counter', 'used')
  ), tables as materialized (
    select distinct c.table_oid, lower(c.relname) as name, lower(replace(split_part(c.table_name, '.', 1), '"', '')) as schema
    from columns c
  ), writes as materialized (
    select f.oid, t.table_oid, w.*, count(*) over (partition by f.oid) as count
    from functions f
    cross join lateral credits.writes_of(f.code) w
    left join tables t on t.name = w.table_name and t.schema = coalesce(w.table_schema, t.schema)
  ), moves as materialized (
    select w.oid, w.count, w.statement, w.verb, c.*, b.expression, b.is_new,
      coalesce(substring(w.statement from '^(?:update|insert into|merge into) (?:only )?[a-z0-9_$.]+ (?:as )?([a-z0-9_$]+) (?:set|using|\()'), '') as alias,
      (select count(*) from credits.written_by(w.verb, w.statement) o where o.column_name !~ '^(updated|modified)_?at$') as columns
    from writes w
    cross join lateral credits.written_by(w.verb, w.statement) b
    join columns c on c.table_oid = w.table_oid and lower(c.column_name) = b.column_name
    where w.verb <> 'delete from'
      and (c.worth <> 'json' or b.expression ~ '[''"{](credits?|[a-z_]*_credits|credits_[a-z_]*|balance|coins|points|tokens|quota)[''"}]')
  ), resolved as materialized (
    select m.*, f.code, credits.with_locals(m.expression, f.code) as resolved, g.pattern
    from moves m join functions f on f.oid = m.oid
    cross join lateral (select string_agg(a.pattern, '|') as pattern from credits.host_arguments(m.oid) a
      where lower(a.name) <> lower(m.column_name)) g
  ), told as (
    select r.*, substring(o.operators from '[+-]') as operator,
      o.operators ~ '^[( ]*0[) ]*(::[a-z]+[) ]*)?$' as is_zero,
      regexp_replace(r.resolved, '\(select [^()]*(\([^()]*\)[^()]*)*\)', ' ', 'g') ~ coalesce(r.pattern, '^$') as names_argument
    from resolved r
    -- What is a minus: not the arrow to a key of json, and not what stands in a string.
    cross join lateral (select regexp_replace(r.resolved, '->>?|''[^'']*''', ' ', 'g') as operators) o
  )
  select f.oid, f.name, f.kind, f.definer, f.open_to, f.is_trigger, f.code, t.table_oid, t.table_name, t.column_name, t.worth,
    t.is_new, t.expression, t.resolved, t.statement,
    case when t.worth in ('plan', 'role') then false
      when t.worth = 'used' then not t.is_new and (t.operator = '-' or t.operator is null)
      -- Up in one case and down in another.
      else (t.operator is distinct from '-' or t.resolved ~ '\mcase\M.*\+') and not t.is_zero end,
    case when t.worth in ('plan', 'role') then false when t.worth = 'used' then t.operator = '+'
      else t.operator = '-' or t.resolved ~ '\mcase\M.* - ' end is true,
    t.expression ~ ('(^|[^.a-z0-9_$])' || credits.as_pattern(t.column_name))
      or t.expression ~ ('\m(' || lower(t.relname) || coalesce('|' || nullif(t.alias, ''), '') || ')\.' || credits.as_pattern(t.column_name)),
    t.names_argument or f.is_trigger and t.resolved ~ '\m(new|old)\.',
    -- Given once for something: asked before, and written down somewhere.
    (t.count > 1 or t.columns > 1)
      and (credits.without_null_checks(f.code) ~ '\m(if|elsif|case|exists)\M|on conflict' or t.statement ~ ' where [^;]* and ')
  from told t join functions f on f.oid = t.oid
$$;
comment on function credits.host_moves(credits.host_function[]) is
  'Which of these functions write which counter of the project''s own, and how.';
revoke all on function credits.host_moves(credits.host_function[]) from public, anon, authenticated, service_role;
