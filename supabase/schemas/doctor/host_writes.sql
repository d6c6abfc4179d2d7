-- Taking SQL apart as far as the checks need it: which column gets which expression.

create function credits.top_level_parts(p_text text)
returns text[]
language plpgsql
immutable
security invoker
set search_path = ''
as $$
declare
  v_parts text[] := array[]::text[];
  v_part text := '';
  v_depth integer := 0;
  v_token text;
begin
  for v_token in
    select t[1] from regexp_matches(p_text,
      $re$('(?:[^']|'')*'|[(),;]|\m(?:where|from|returning|on conflict|union|when|on duplicate)\M|[a-z0-9_$.]+|[^'(),;a-z0-9_$.]+)$re$, 'g') as t
  loop
    if v_token = '(' then
      v_depth := v_depth + 1;
    elsif v_token = ')' then
      v_depth := v_depth - 1;
      exit when v_depth < 0;
    elsif v_depth = 0 and v_token = ',' then
      v_parts := v_parts || btrim(v_part);
      v_part := '';
      continue;
    elsif v_token = ';' or v_depth = 0 and v_token in ('where', 'returning', 'on conflict', 'union')
      or v_depth = 0 and v_token = 'from' and v_part !~ 'distinct $' or v_depth = 0 and v_token = 'when' and v_part !~ '\mcase\M' then
      exit;
    end if;
    v_part := v_part || v_token;
  end loop;
  return v_parts || btrim(v_part);
end
$$;
comment on function credits.top_level_parts(text) is
  'Splits a list at its commas outside of parentheses and strings, up to where the clause ends.';
revoke all on function credits.top_level_parts(text) from public, anon, authenticated, service_role;

create function credits.assignments(p_set text)
returns table (column_name text, expression text)
language sql
immutable
security invoker
set search_path = ''
as $$
  select m.name, m.expression
  from unnest(credits.top_level_parts(p_set)) as p(part)
  cross join lateral (
    select (regexp_match(p.part, '^([a-z0-9_$]+)(?:\[[^]]*\])* ?= ?(.*)$'))[1],
      -- What stands in brackets is a key of json, and belongs to the value.
      coalesce(substring(p.part from '^[a-z0-9_$]+(\[[^]]*\])') || ' ', '') || (regexp_match(p.part, '^([a-z0-9_$]+)(?:\[[^]]*\])* ?= ?(.*)$'))[2]
    union all
    select btrim(c.name), btrim(c.expression)
    from unnest(credits.top_level_parts(substring(p.part from '^\(([^()]*)\)')),
      credits.top_level_parts(substring(p.part from '^\([^()]*\) ?= ?(?:row ?)?\((.*)\)$'))) as c(name, expression)
    where p.part ~ '^\([^()]*\) ?='
  ) m(name, expression)
  where m.name is not null
$$;
comment on function credits.assignments(text) is 'What a SET clause assigns to what.';
revoke all on function credits.assignments(text) from public, anon, authenticated, service_role;

create function credits.writes_of(p_code text)
returns table (place bigint, verb text, table_schema text, table_name text, statement text)
language sql
immutable
security invoker
set search_path = ''
as $$
  -- Two writes may stand in one statement (with … update … insert), so each runs up to the next.
  select s.place, h[1], h[2], h[3], s.piece
  from regexp_split_to_table(
    regexp_replace(p_code, '(?<!\m(?:for|key|or|before|after) )\m(update(?! set )|insert into|merge into|delete from) ', E'\x01\\1 ', 'g'), E'\x01')
    with ordinality as s(piece, place)
  cross join lateral regexp_match(s.piece, '^(update|insert into|merge into|delete from) (?:only )?(?:([a-z0-9_$]+)\.)?([a-z0-9_$]+)') as h
  where h is not null and (h[1] <> 'update' or s.piece ~ '^[^;]* set ')
$$;
comment on function credits.writes_of(text) is 'The statements of this code that write a table, in their order.';
revoke all on function credits.writes_of(text) from public, anon, authenticated, service_role;

create function credits.written_by(p_verb text, p_statement text)
returns table (column_name text, expression text, is_new boolean)
language sql
immutable
security invoker
set search_path = ''
as $$
  with inserted as (
    select btrim(c.name) as name, c.expression
    from regexp_match(p_statement, '^insert into [a-z0-9_$. ]*?\(([^()]*)\) ?(?:overriding [a-z]+ value ?)?(?:values ?\((.*)|select (.*))$') as i
    cross join lateral unnest(credits.top_level_parts(i[1]), credits.top_level_parts(coalesce(i[2], i[3]))) as c(name, expression)
    where p_verb = 'insert into'
  ), assigned as (
    select a.column_name, a.expression
    from credits.assignments(substring(p_statement from case p_verb
      when 'update' then '^[^;]*? set (.*)$' when 'insert into' then ' do update set (.*)$' else ' then update set (.*)$' end)) a
    where p_verb in ('update', 'insert into', 'merge into')
  )
  select i.name, i.expression, true from inserted i
  union all
  -- excluded.x is what would have been inserted as x.
  select a.column_name, coalesce((
      select replace(a.expression, 'excluded.' || x.column_name, x.expression)
      from (select i.name as column_name, i.expression from inserted i) x
      where a.expression ~ ('\mexcluded\.' || credits.as_pattern(x.column_name)) limit 1), a.expression), false
  from assigned a
$$;
comment on function credits.written_by(text, text) is 'What a statement of writes_of gives to which column, in new rows and in old ones.';
revoke all on function credits.written_by(text, text) from public, anon, authenticated, service_role;
