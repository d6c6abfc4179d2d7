-- What diagnose looks at: the functions and tables of the project around the credit system. All of it is read from the
-- catalog, which every role may read, so it works for the role postgres of a hosted project.

create function credits.host_schemas()
returns table (oid oid, name name)
language sql
stable
security invoker
set search_path = ''
as $$
  select n.oid, n.nspname from pg_catalog.pg_namespace n
  where n.nspname !~ '^(pg_|_)' and n.nspname <> all ('{
    information_schema, auth, storage, realtime, extensions, graphql, graphql_public, vault, pgsodium, pgsodium_masks, cron,
    net, supabase_functions, supabase_migrations, pgbouncer, pgmq, credits}')
$$;
comment on function credits.host_schemas() is 'The schemas that a project writes itself: neither Supabase''s nor this system''s.';
revoke all on function credits.host_schemas() from public, anon, authenticated, service_role;

create function credits.code_of(p_function oid)
returns text
language sql
stable
security invoker
set search_path = ''
as $$
  -- Strings are matched first, so that a -- inside one is none of a comment.
  select lower(btrim(regexp_replace(replace(regexp_replace(
      coalesce(pg_catalog.pg_get_function_sqlbody(p.oid), p.prosrc),
      $re$('([^']|'')*')|--[^\n]*|/\*([^*]|\*+[^*/])*\*+/$re$, '\1 ', 'g'),
    '"', ''), '\s+', ' ', 'g')))
  from pg_catalog.pg_proc p where p.oid = p_function
$$;
comment on function credits.code_of(oid) is
  'The body of a function in lower case, without comments, quotes of names and line breaks: a text to look for patterns in.';
revoke all on function credits.code_of(oid) from public, anon, authenticated, service_role;

create function credits.as_pattern(p_name text)
returns text
language sql
immutable
security invoker
set search_path = ''
as $$
  select '\m' || regexp_replace(lower(p_name), '([^a-z0-9_])', '\\\1', 'g') || '(?![a-z0-9_$])'
$$;
comment on function credits.as_pattern(text) is 'A regular expression for this name as a whole word, for texts of code_of.';
revoke all on function credits.as_pattern(text) from public, anon, authenticated, service_role;

create function credits.host_tables()
returns table (oid oid, name text, relname name, rls boolean)
language sql
stable
security invoker
set search_path = ''
as $$
  select c.oid, format('%I.%I', s.name, c.relname), c.relname, c.relrowsecurity
  from pg_catalog.pg_class c join credits.host_schemas() s on s.oid = c.relnamespace
  where c.relkind in ('r', 'p')
    and not (s.name = 'public' and (c.relname = 'usage' or c.relname in (select credits.public_relations())))
    and not exists (select from pg_catalog.pg_depend d
      where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
$$;
comment on function credits.host_tables() is 'The tables of the project itself.';
revoke all on function credits.host_tables() from public, anon, authenticated, service_role;

create function credits.host_columns()
returns table (table_oid oid, table_name text, relname name, column_name name, is_counter boolean)
language sql
stable
security invoker
set search_path = ''
as $$
  select t.oid, t.name, t.relname, a.attname, a.atttypid in (20, 21, 23, 700, 701, 1700)
  from credits.host_tables() t
  join pg_catalog.pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
  where a.atttypid in (20, 21, 23, 700, 701, 1700)
      and a.attname ~* '(^|_)(credits?|balance|quota|coins?|points|allowance|tokens?)(_|$)'
      and a.attname !~* '^(max|min|prompt|completion|input|output)_tokens?$'
    or a.attname ~* '^((subscription_?)?(plan|tier)(_id|_name)?|subscription_status|is_(pro|premium|paid|subscribed))$'
      and a.atttypid not in (20, 21, 23, 700, 701, 1700)
$$;
comment on function credits.host_columns() is
  'Columns of the project''s own tables that are worth money: counters such as credits or balance, and what names a plan.';
revoke all on function credits.host_columns() from public, anon, authenticated, service_role;

create function credits.host_functions()
returns table (oid oid, name text, definer boolean, open_to text[], has_search_path boolean, is_trigger boolean, code text)
language sql
stable
security invoker
set search_path = ''
as $$
  select p.oid, format('%I.%I(%s)', s.name, p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid)), p.prosecdef,
    array(
      select r.name from (values ('anon'), ('authenticated')) as r(name)
      where p.prorettype <> 'trigger'::regtype and has_schema_privilege(r.name, s.oid, 'usage')
        and has_function_privilege(r.name, p.oid, 'execute')),
    exists (select from unnest(p.proconfig) as c(setting) where c.setting like 'search_path=%'),
    p.prorettype = 'trigger'::regtype, credits.code_of(p.oid)
  from pg_catalog.pg_proc p join credits.host_schemas() s on s.oid = p.pronamespace
  where p.prokind in ('f', 'p')
    and not (s.name = 'public' and p.proname in (select credits.public_functions()))
    and not exists (select from pg_catalog.pg_depend d
      where d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
$$;
comment on function credits.host_functions() is
  'The functions of the project itself, with their code and which of the API''s users may call them.';
revoke all on function credits.host_functions() from public, anon, authenticated, service_role;

create function credits.host_moves()
returns table (
  function_oid oid, name text, definer boolean, open_to text[], code text, table_name text, column_name name,
  table_pattern text, column_pattern text, assigned text)
language sql
stable
security invoker
set search_path = ''
as $$
  select f.oid, f.name, f.definer, f.open_to, f.code, c.table_name, c.column_name, w.table_pattern, w.column_pattern,
    -- Up to the next column that is assigned, or the end of the clause.
    regexp_replace(regexp_replace(m.assigned, ' (where|returning|from) .*$', ''), ', ?[a-z0-9_]+ ?= .*$', '')
  from credits.host_functions() f
  cross join credits.host_columns() c
  cross join lateral (select '(?:[a-z0-9_$]+\.)?' || credits.as_pattern(c.relname) as table_pattern,
    credits.as_pattern(c.column_name) as column_pattern) w
  cross join lateral (select coalesce(
    substring(f.code from 'update (?:only )?' || w.table_pattern || '(?: as)?(?: [a-z0-9_]+)? set (?:(?! where )[^;])*?'
      || w.column_pattern || ' ?= ?([^;]*)'),
    substring(f.code from 'insert into ' || w.table_pattern || '[^;]* do update set [^;]*?'
      || w.column_pattern || ' ?= ?([^;]*)')) as assigned) m
  where c.is_counter and m.assigned is not null
$$;
comment on function credits.host_moves() is
  'Which functions of the project write which counter of its own, and what they assign to it.';
revoke all on function credits.host_moves() from public, anon, authenticated, service_role;
