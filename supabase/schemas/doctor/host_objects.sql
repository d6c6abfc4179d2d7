-- What diagnose looks at: the functions and tables of the project around the credit system. All of it is read from the
-- catalog, which every role may read, so it works for the role postgres of a hosted project.

create function credits.api_roles()
returns table (name name)
language sql
stable
security invoker
set search_path = ''
as $$
  select r.rolname from pg_catalog.pg_roles r
  where r.rolname in ('anon', 'authenticated')
    or not r.rolsuper and r.rolname !~ '^(pg_|supabase_)' and r.rolname not in ('authenticator', 'service_role', 'postgres')
      and to_regrole('authenticator') is not null
      and pg_has_role('authenticator', r.oid, 'member')
$$;
comment on function credits.api_roles() is
  'Whose requests PostgREST runs, but for the service role: anon, authenticated, and roles of the project''s own.';
revoke all on function credits.api_roles() from public, anon, authenticated, service_role;

create function credits.host_schemas()
returns table (oid oid, name name, is_served boolean)
language sql
stable
security invoker
set search_path = ''
as $$
  select n.oid, n.nspname, coalesce(n.nspname::text = any (s.served), true)
  from pg_catalog.pg_namespace n
  left join lateral (
    select regexp_split_to_array(substring(c.setting from '=[ "'']*(.*?)[ "'']*$'), '[, "'']+') as served
    from pg_catalog.pg_db_role_setting d
    join pg_catalog.pg_database b on b.datname = current_database() and d.setdatabase in (0, b.oid)
    cross join unnest(d.setconfig) as c(setting)
    where d.setrole = to_regrole('authenticator') and c.setting ~ '^pgrst\.db[_-]schemas=.'
    order by d.setdatabase desc limit 1) s on true
  where n.nspname !~ '^(pg_|_)' and n.nspname <> all ('{
    information_schema, auth, storage, realtime, extensions, graphql, graphql_public, vault, pgsodium, pgsodium_masks, cron,
    net, supabase_functions, supabase_migrations, pgbouncer, pgmq, pgtle, credits}')
$$;
comment on function credits.host_schemas() is
  'The schemas that a project writes itself: neither Supabase''s nor this system''s. Where it is not known what the API serves, all count as served.';
revoke all on function credits.host_schemas() from public, anon, authenticated, service_role;

create function credits.as_code(p_text text)
returns text
language sql
immutable
security invoker
set search_path = ''
as $$
  -- Strings are matched first, so that a -- inside one is none of a comment.
  select lower(btrim(regexp_replace(replace(regexp_replace(p_text,
      $re$('([^']|'')*')|--[^\n]*|/\*([^*]|\*+[^*/])*\*+/$re$, '\1 ', 'g'),
    '"', ''), '\s+', ' ', 'g')))
$$;
comment on function credits.as_code(text) is
  'A piece of SQL in lower case, without comments, quotes of names and line breaks: a text to look for patterns in.';
revoke all on function credits.as_code(text) from public, anon, authenticated, service_role;

create function credits.code_of(p_function oid)
returns text
language sql
stable
security invoker
set search_path = ''
as $$
  select credits.as_code(coalesce(pg_catalog.pg_get_function_sqlbody(p.oid), p.prosrc))
  from pg_catalog.pg_proc p where p.oid = p_function
$$;
comment on function credits.code_of(oid) is 'The body of a function as as_code puts it.';
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
comment on function credits.as_pattern(text) is 'A regular expression for this name as a whole word, for texts of as_code.';
revoke all on function credits.as_pattern(text) from public, anon, authenticated, service_role;

create type credits.host_function as (
  oid oid, name text, kind text, definer boolean, open_to text[], has_search_path boolean, is_trigger boolean, code text);
comment on type credits.host_function is
  'A function of the project itself, with its code and which of the API''s users may call it.';
revoke all on type credits.host_function from public;

create function credits.host_functions()
returns setof credits.host_function
language sql
stable
security invoker
set search_path = ''
as $$
  select p.oid, format('%I.%I(%s)', s.name, p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid)),
    case p.prokind when 'p' then 'procedure' else 'function' end, p.prosecdef,
    -- PostgREST serves functions alone: no procedure, nothing that only a trigger can call.
    case when p.prokind = 'f' and s.is_served and p.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype) then array(
      select r.name::text from credits.api_roles() r
      where has_schema_privilege(r.name, s.oid, 'usage') and has_function_privilege(r.name, p.oid, 'execute') order by 1)
    else '{}' end,
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

create function credits.host_arguments(p_function oid)
returns table (name text, type oid, nth integer, pattern text)
language sql
stable
security invoker
set search_path = ''
as $$
  -- Names and types are listed for all arguments where there are some that only come back, and for the others elsewhere.
  select coalesce(nullif(a.name, ''), '$' || a.nth), a.type, a.nth::integer,
    '(?:\$' || a.nth || '(?![0-9])' || coalesce('|' || credits.as_pattern(nullif(a.name, '')), '') || ')'
  from (
    select p.proargnames[x.place] as name, x.type, row_number() over (order by x.place) as nth
    from pg_catalog.pg_proc p
    cross join lateral unnest(coalesce(p.proallargtypes, p.proargtypes::oid[])) with ordinality as x(type, place)
    where p.oid = p_function and coalesce(p.proargmodes[x.place], 'i') in ('i', 'b', 'v')) a
$$;
comment on function credits.host_arguments(oid) is
  'What a caller passes to this function, and what finds it in its code.';
revoke all on function credits.host_arguments(oid) from public, anon, authenticated, service_role;
