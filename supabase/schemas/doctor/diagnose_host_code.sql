create function credits.never_below_zero(p_table oid, p_column name)
returns boolean
language sql
stable
security invoker
set search_path = ''
as $$
  select exists (
    select from pg_catalog.pg_constraint k join pg_catalog.pg_attribute a on a.attrelid = k.conrelid and a.attnum = any (k.conkey)
    where k.conrelid = p_table and k.contype = 'c' and a.attname = p_column
      and lower(pg_catalog.pg_get_constraintdef(k.oid)) ~ (credits.as_pattern(p_column) || '"?\)?(::[a-z ]+)? >=? \(?[0-9]'))
$$;
comment on function credits.never_below_zero(oid, name) is 'Whether a check keeps this column from falling below zero.';
revoke all on function credits.never_below_zero(oid, name) from public, anon, authenticated, service_role;

create function credits.diagnose_races(p_moves credits.host_move[])
returns table (code text, severity text, object text, meaning text, how_to_try text, how_to_mend text)
language sql
stable
security invoker
set search_path = ''
as $$
  select distinct 'read_then_write', 'high', m.name,
    format('It reads %1$s of %2$s, decides, and writes it, without a lock in between. Of two calls at the same time both see the same figure, and both spend it.',
      m.column_name, m.table_name),
    format('Call it from two sessions at once: begin; %s; in both, then commit; in both. Together they take one spend, or more than there is.', credits.call_of(m.function_oid)),
    format('Do it in one statement: update %1$s set %2$I = %2$I - … where … and %2$I >= …; or read with: select … for update.', m.table_name, m.column_name)
  from unnest(p_moves) m
  cross join lateral (select credits.as_pattern(m.column_name) as name,
    '(only )?([a-z0-9_$]+\.)?' || credits.as_pattern((select c.relname from pg_catalog.pg_class c where c.oid = m.table_oid)) as relation) p
  where m.worth in ('counter', 'used', 'json') and not m.is_trigger
    and m.code !~ 'for (no key )?update|pg_advisory|lock table|serializable'
    -- The condition stands in the statement itself.
    and m.statement !~ (' where [^;]*' || p.name || '\)? ?(>|<|=)')
    and case when m.is_new then
      -- A sum over a ledger, and then one row more.
      m.lowers and m.code ~ ('select [^;]*(sum|coalesce|max) ?\([^;]*' || p.name || '[^;]* from ' || p.relation || '.*insert into ([a-z0-9_$]+\.)?' || p.relation)
    when m.is_relative then
      m.lowers and not credits.never_below_zero(m.table_oid, m.column_name)
      and m.code ~ ('select ([^;]*' || p.name || '|\*|[a-z0-9_$]+\.\*)[^;]* from ' || p.relation || '.*update ' || p.relation)
    else
      -- What is written was worked out from what was read before.
      m.assigned ~ '^[( ]*[a-z_]' and (m.lowers or m.raises and m.resolved ~ '\+')
    end
$$;
comment on function credits.diagnose_races(credits.host_move[]) is
  'Functions of the project of which two at the same time spend the same credit.';
revoke all on function credits.diagnose_races(credits.host_move[]) from public, anon, authenticated, service_role;

create function credits.metadata_pattern()
returns text
language sql
immutable
security invoker
set search_path = ''
as $$
  select '\m(?:raw_)?user_meta_?data\M[^;,]{0,30}->>? ?\(?''(plan|tier|subscription[a-z_]*|credits|balance|role|roles|is_admin|admin|is_pro|pro|is_premium|premium|paid)'''
$$;
comment on function credits.metadata_pattern() is 'Finds a plan, a role or credits that are read from what users write about themselves.';
revoke all on function credits.metadata_pattern() from public, anon, authenticated, service_role;

create function credits.diagnose_code(p_functions credits.host_function[])
returns table (code text, severity text, object text, meaning text, how_to_try text, how_to_mend text)
language sql
stable
security invoker
set search_path = ''
as $$
  select 'anyone_runs_sql', 'critical', f.name,
    format('%s may call it over the API. It runs with its owner''s rights and executes %s as SQL: every balance, and every table, is the caller''s.', credits.who(f.open_to), min(a.name)),
    credits.call_as_user(f.open_to[1], credits.call_of(f.oid)),
    format('revoke execute on function %s from %s;  -- or quote what goes in: execute format(''… %%I … $1'', name) using value', f.oid::regprocedure, credits.everybody())
  from unnest(p_functions) f
  cross join lateral credits.host_arguments(f.oid) a
  where f.definer and f.open_to <> '{}' and f.code ~ '\mexecute\M' and not credits.checks_role(f.code)
    and a.type in ('text'::regtype, 'varchar'::regtype, 'json'::regtype, 'jsonb'::regtype)
    and f.code ~ ('\mexecute (format ?\( ?)?(trim ?\( ?|btrim ?\( ?)?' || a.pattern || '|\mexecute [^;]*\|\| ?(coalesce ?\( ?)?' || a.pattern || '|\mexecute \(?format ?\( ?''[^'']*%s[^;]*' || a.pattern)
  group by f.oid, f.name, f.open_to

  union all
  select 'trusts_user_metadata', 'high', t.object,
    format('It reads %s from what users write about themselves: any of them may change it with one call to Auth.', min(t.key)),
    format('curl -X PUT "$SUPABASE_URL/auth/v1/user" -H "apikey: $SUPABASE_PUBLISHABLE_KEY" -H "Authorization: Bearer <token of some user>" -H "Content-Type: application/json" -d ''{"data": {"%s": "…"}}''', min(t.key)),
    'Read it from app_metadata (raw_app_meta_data), which only the secret key can write, or from a table of yours that users cannot write.'
  from (
    select f.name as object, substring(f.code from credits.metadata_pattern()) as key from unnest(p_functions) f
    union all
    select format('policy %I on %s', y.polname, y.polrelid::regclass), substring(credits.as_code(
      concat_ws(' ', pg_catalog.pg_get_expr(y.polqual, y.polrelid), pg_catalog.pg_get_expr(y.polwithcheck, y.polrelid))) from credits.metadata_pattern())
    from pg_catalog.pg_policy y join credits.host_tables() t on t.oid = y.polrelid
    union all
    select 'view ' || v.oid::regclass, substring(credits.as_code(pg_catalog.pg_get_viewdef(v.oid)) from credits.metadata_pattern())
    from pg_catalog.pg_class v join credits.host_schemas() s on s.oid = v.relnamespace
    where v.relkind in ('v', 'm') and not (s.name = 'public' and v.relname in (select credits.public_relations()))
  ) t
  where t.key is not null
  group by t.object

  union all
  select 'definer_without_search_path', 'medium', f.name,
    'It runs with its owner''s rights and looks names up in the caller''s search_path: who can create a table or function in a schema there decides what it does.',
    format('select proconfig from pg_proc where oid = %L::regprocedure;  -- no search_path in it', f.oid::regprocedure::text),
    -- An empty path would be stricter, and would break what is written in it without a schema.
    format('alter %s %s set search_path = %s, pg_temp;  -- or '''', once every name in it is written with its schema', f.kind, f.oid::regprocedure,
      (select string_agg(quote_ident(x.name), ', ' order by x.nth) from (
        select distinct on (u.name) u.name, u.nth from unnest(array[n.nspname::text, 'public', 'extensions']) with ordinality as u(name, nth)
        where to_regnamespace(quote_ident(u.name)) is not null order by u.name, u.nth) x))
  from unnest(p_functions) f
  join pg_catalog.pg_proc p on p.oid = f.oid join pg_catalog.pg_namespace n on n.oid = p.pronamespace
  where f.definer and not f.has_search_path and (f.open_to <> '{}' or f.is_trigger)
$$;
comment on function credits.diagnose_code(credits.host_function[]) is
  'Functions, policies and views of the project that let callers decide what is run or who they are.';
revoke all on function credits.diagnose_code(credits.host_function[]) from public, anon, authenticated, service_role;

create function credits.diagnose_host_functions(p_functions credits.host_function[])
returns table (code text, severity text, object text, meaning text, how_to_try text, how_to_mend text)
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_moves credits.host_move[] := array(select m from credits.host_moves(p_functions) m);
begin
  return query
  select d.* from credits.diagnose_gifts(p_functions, v_moves) d
  union all select d.* from credits.diagnose_callers(p_functions, v_moves) d
  union all select d.* from credits.diagnose_amounts(p_functions, v_moves) d
  union all select d.* from credits.diagnose_races(v_moves) d
  union all select d.* from credits.diagnose_code(p_functions) d;
end
$$;
comment on function credits.diagnose_host_functions(credits.host_function[]) is
  'What of the project''s own code hands out credits, acts on anybody''s, takes a negative amount, or races with itself.';
revoke all on function credits.diagnose_host_functions(credits.host_function[]) from public, anon, authenticated, service_role;
