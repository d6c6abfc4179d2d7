create function credits.diagnose_privileges()
returns table (code text, severity text, object text, meaning text, how_to_try text,
  how_to_mend text)
language sql
stable
security invoker
set search_path = ''
as $$
  with roles(name) as (
    select r.name from credits.api_roles() r union all values ('service_role'::name)),
  tables as (
    select o.oid, o.name, c.relname, c.relkind, c.relrowsecurity, c.relnamespace
    from credits.own_relations() o join pg_catalog.pg_class c on c.oid = o.oid
    where o.kind in ('table', 'view') and not o.is_usage
  ), functions as (
    select o.oid, o.name, p.proname, p.proconfig, p.prokind,
      p.pronamespace = 'public'::regnamespace as is_edge
    from credits.own_functions() o join pg_catalog.pg_proc p on p.oid = o.oid
  )
  select 'table_may_be_written', 'critical', t.name,
    format('%s may %s it, past every rule of the credit system.', r.name,
      string_agg(e.event, ', ' order by e.event)),
    format('select has_table_privilege(%L, %L, %L);', r.name, t.name, min(e.event)),
    format('revoke insert, update, delete, truncate on table %s from public, %I;', t.name, r.name)
  from tables t cross join roles r cross
    join (values ('insert'), ('update'), ('delete'), ('truncate')) as e(event)
  where has_table_privilege(r.name, t.oid, e.event)
    or e.event in ('insert', 'update') and has_any_column_privilege(r.name, t.oid, e.event)
  group by t.name, r.name

  union all
  select 'table_cannot_be_read', 'medium', t.name,
    format('%s may not read it, so the app shows nothing where it should show %s.', r.name,
      t.relname),
    format('select has_table_privilege(%L, %L, ''select'');', r.name, t.name),
    format('grant select on table %s to %I;', t.name, r.name)
  from tables t cross join roles r
  where t.relnamespace = 'public'::regnamespace
    and r.name in ('anon', 'authenticated', 'service_role')
    and (r.name <> 'anon' or t.relname in ('plans', 'plan_limits'))
    and not has_table_privilege(r.name, t.oid, 'select')

  union all
  select 'row_security_is_off', 'critical', t.name,
    'Row level security is off: a user who may read it reads everybody''s rows.',
    format('select relrowsecurity from pg_class where oid = %L::regclass;', t.name),
    format('alter table %s enable row level security;', t.name)
  from tables t where t.relkind <> 'v' and not t.relrowsecurity

  union all
  select 'policy_widens_reading', 'high', y.polrelid::regclass::text,
    format('The policy %I is not the system''s, and shows users more than their own rows: %s.',
      y.polname,
      coalesce(pg_catalog.pg_get_expr(y.polqual, y.polrelid), 'true')),
    credits.call_as_user('authenticated', format('select * from %s limit 5', y.polrelid::regclass)),
    format('drop policy %I on %s;', y.polname, y.polrelid::regclass)
  from pg_catalog.pg_policy y join tables t on t.oid = y.polrelid
  where y.polpermissive and t.relname not in ('plans', 'plan_limits', 'credit_types', 'settings')
    and not exists (select from credits.installed_objects i
      where i.object = format('policy %I on %s', y.polname, t.name))
    and (coalesce(pg_catalog.pg_get_expr(y.polqual, y.polrelid), 'true') !~ 'readable_ids|auth\.uid'
      or pg_catalog.pg_get_expr(y.polqual, y.polrelid) ~* '\mor\M|\mtrue\M')

  union all
  select 'function_may_be_called', 'critical', f.name,
    format('%s may call it over the API, and it is for the service role alone: credits can be '
      'moved by anybody who has the public key.', r.name),
    format('select has_function_privilege(%L, %L, ''execute'');', r.name, f.name),
    format('revoke execute on function %s from public, %I;', f.name, r.name)
  from functions f cross join roles r
  where f.is_edge and has_function_privilege(r.name, f.oid, 'execute')
    and r.name <> 'service_role' and not exists (
      select 1 from credits.public_callers() k where k.function = f.proname and k.role = r.name)

  union all
  select 'function_cannot_be_called', 'high', f.name,
    format('%s may not call it, so calls from the app fail with "permission denied".', r.name),
    format('select has_function_privilege(%L, %L, ''execute'');', r.name, f.name),
    format('grant execute on function %s to %I;', f.name, r.name)
  from functions f cross join roles r
  where f.is_edge and not has_function_privilege(r.name, f.oid, 'execute')
    and (r.name = 'service_role' or exists (
      select 1 from credits.public_callers() k where k.function = f.proname and k.role = r.name))

  union all
  select 'function_is_overloaded', 'high', 'public.' || quote_ident(f.proname),
    'There are several functions of this name: PostgREST cannot tell which of them a call means.',
    format('select oid::regprocedure from pg_proc where proname = %L;', f.proname),
    'Drop or rename the one that is not of the credit system.'
  from functions f where f.is_edge group by f.proname having count(*) > 1

  union all
  select 'search_path_is_open', 'high', f.name,
    'Its search_path is no longer fixed: names in it may be looked up where a caller wants them '
    'to be.',
    format('select proconfig from pg_proc where oid = %L::regprocedure;', f.name),
    format('alter function %s set search_path = '''';', f.name)
  from functions f where f.prokind <> 'a'
    and not coalesce('search_path=""' = any (f.proconfig), false)

  union all
  select 'core_is_open', 'critical', 'schema credits',
    format('%s may use the schema, and with it what policies and views are granted in it.', r.name),
    format('select has_schema_privilege(%L, ''credits'', ''usage'');', r.name),
    format('revoke all on schema credits from public, %I;', r.name)
  from roles r where has_schema_privilege(r.name, 'credits', 'usage')

  union all
  select 'core_is_exposed', 'critical', 'schema credits',
    'The API serves the schema: its tables and functions are one wrong grant away from everybody.',
    'curl "$SUPABASE_URL/rest/v1/accounts" -H "Accept-Profile: credits" -H "apikey: '
    '$SUPABASE_PUBLISHABLE_KEY"',
    'Take credits out of the exposed schemas (Dashboard, Settings, API; or [api] schemas in '
    'config.toml).'
  from pg_catalog.pg_db_role_setting s cross join unnest(s.setconfig) as c(setting)
  where c.setting ~ '^pgrst\.db[_-]schemas=' and c.setting ~ '[=, "'']credits[, "'']*($|,)'
$$;
comment on function credits.diagnose_privileges() is
  'What the API''s roles may do with the credit system that they should not, and what they should '
  'and may not.';
revoke all on function credits.diagnose_privileges() from public, anon, authenticated, service_role;
