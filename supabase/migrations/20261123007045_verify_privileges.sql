create function credits.verify_privileges()
returns table (checked bigint, violations jsonb)
language sql
stable
security invoker
set search_path = ''
as $$
  with ours as (
    select c.oid, c.oid::regclass::text as name from pg_catalog.pg_class c
    where c.relkind in ('r', 'v', 'p') and (c.relnamespace = 'credits'::regnamespace
      or c.relnamespace = 'public'::regnamespace and c.relname in (select credits.public_relations()))
  ), functions as (
    select p.oid, p.oid::regprocedure::text as name, n.nspname, p.proname, p.proconfig, p.prosecdef, p.prokind
    from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    where n.nspname = 'credits' or n.nspname = 'public' and p.proname in (select credits.public_functions())
  ), compared as (
    select o.name || ' may be written by ' || r.name as what, not (
      has_table_privilege(r.name, o.oid, 'insert') or has_table_privilege(r.name, o.oid, 'update')
      or has_table_privilege(r.name, o.oid, 'delete') or has_table_privilege(r.name, o.oid, 'truncate')
      or has_any_column_privilege(r.name, o.oid, 'insert, update')) as ok
    from ours o cross join (values ('anon'), ('authenticated'), ('service_role')) as r(name)
    union all
    select o.name || ' has no row level security', c.relrowsecurity or c.relkind = 'v'
    from ours o join pg_catalog.pg_class c on c.oid = o.oid
    union all
    select f.name || ' may be called by anon', not has_function_privilege('anon', f.oid, 'execute')
    from functions f
    union all
    select f.name || ' may be called by authenticated', not has_function_privilege('authenticated', f.oid, 'execute')
      or f.proname in ('get_credit_summary', 'explain_operation', 'get_credit_history')
      or f.nspname = 'credits' and f.proname in ('readable_accounts', 'balance_at', 'read_summary', 'read_operation', 'read_history')
    from functions f
    union all
    select f.name || ' gives a signed-in user its owner''s rights',
      f.nspname <> 'public' or not f.prosecdef or not has_function_privilege('authenticated', f.oid, 'execute')
    from functions f
    union all
    select f.name || ' has no fixed search_path', coalesce('search_path=""' = any (f.proconfig), false)
    from functions f where f.prokind <> 'a'
    union all
    select 'the schema credits is open to ' || r.name, not has_schema_privilege(r.name, 'credits', 'usage')
    from (values ('anon'), ('authenticated'), ('service_role')) as r(name)
    union all
    select 'the trigger ' || w.name || ' is missing or disabled', exists (
      select from pg_catalog.pg_trigger g
      where g.tgrelid = 'public.credit_transactions'::regclass and g.tgname = w.name and g.tgenabled in ('O', 'A'))
    from (values ('credit_transactions_are_append_only'), ('credit_transactions_are_never_truncated')) as w(name)
  )
  select count(*), coalesce(jsonb_agg(c.what) filter (where c.ok is not true and c.nth <= 10), '[]')
  from (select c.*, row_number() over (partition by c.ok is not true) as nth from compared c) c
$$;
comment on function credits.verify_privileges() is
  'Rule 8: nobody may write a table, only the service role may move credits, and the ledger''s guards stand.';
revoke all on function credits.verify_privileges() from public, anon, authenticated, service_role;
