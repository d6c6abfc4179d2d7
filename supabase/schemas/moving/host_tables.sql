-- The schemas and tables of the project around the credit system: what balances can be imported
-- from.

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
    select regexp_split_to_array(substring(c.setting from '=[ "'']*(.*?)[ "'']*$'),
      '[, "'']+') as served
    from pg_catalog.pg_db_role_setting d
    join pg_catalog.pg_database b on b.datname = current_database() and d.setdatabase in (0, b.oid)
    cross join unnest(d.setconfig) as c(setting)
    where d.setrole = to_regrole('authenticator') and c.setting ~ '^pgrst\.db[_-]schemas=.'
    order by d.setdatabase desc limit 1) s on true
  where n.nspname !~ '^(pg_|_)' and n.nspname <> all ('{
    information_schema, auth, storage, realtime, extensions, graphql, graphql_public, vault,
    pgsodium, pgsodium_masks, cron, net, supabase_functions, supabase_migrations, pgbouncer,
    pgmq, pgtle, credits}')
$$;
comment on function credits.host_schemas() is
  'The schemas that a project writes itself: neither Supabase''s nor this system''s. Where it is '
  'not known what the API serves, all count as served.';
revoke all on function credits.host_schemas() from public, anon, authenticated, service_role;

create function credits.host_tables()
returns table (oid oid, name text, relname name, rls boolean, is_served boolean)
language sql
stable
security invoker
set search_path = ''
as $$
  select c.oid, format('%I.%I', s.name, c.relname), c.relname, c.relrowsecurity, s.is_served
  from pg_catalog.pg_class c join credits.host_schemas() s on s.oid = c.relnamespace
  where c.relkind in ('r', 'p')
    and not (s.name = 'public'
    and (c.relname = 'usage' or c.relname in (select credits.public_relations())))
    and not exists (select from pg_catalog.pg_depend d
      where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
$$;
comment on function credits.host_tables() is 'The tables of the project itself.';
revoke all on function credits.host_tables() from public, anon, authenticated, service_role;
