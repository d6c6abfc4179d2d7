-- What the migrations made, written down when the last of them has run: diagnose compares it with
-- what is there. A definition is the statement that makes the object again, so what it says to do
-- is what was there before. The build writes the comment of the table.

create table credits.installed_objects (
  object text primary key,
  kind text not null,
  definition text not null,
  server_major integer not null
);
alter table credits.installed_objects enable row level security;
revoke all on table credits.installed_objects from public, anon, authenticated, service_role;

create function credits.own_relations()
returns table (oid oid, name text, kind text, is_usage boolean)
language sql
stable
security invoker
set search_path = ''
as $$
  -- A usage table may be the project's: only what was added to it is ours.
  select c.oid, format('%I.%I', n.nspname, c.relname),
    case c.relkind when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence'
      else 'table' end,
    n.nspname = 'public' and c.relname = 'usage'
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'v', 'm', 'S')
    and (n.nspname = 'credits' or n.nspname = 'public'
    and (c.relname = 'usage' or c.relname in (select credits.public_relations())))
$$;
comment on function credits.own_relations() is
  'The tables, views and sequences of the credit system.';
revoke all on function credits.own_relations() from public, anon, authenticated, service_role;

create function credits.own_functions()
returns table (oid oid, name text, kind text)
language sql
stable
security invoker
set search_path = ''
as $$
  select p.oid, p.oid::regprocedure::text, case p.prokind when 'a' then 'aggregate' when 'p'
    then 'procedure' else 'function' end
  from pg_catalog.pg_proc p
  where p.pronamespace = 'credits'::regnamespace
    or p.pronamespace = 'public'::regnamespace and p.proname in (select credits.public_functions())
$$;
comment on function credits.own_functions() is 'The functions of the credit system.';
revoke all on function credits.own_functions() from public, anon, authenticated, service_role;

create function credits.privileges_as_statements(p_what text, p_acl aclitem[])
returns text
language sql
stable
security invoker
set search_path = ''
as $$
  select format('revoke all on %s from public, anon, authenticated, service_role;', p_what)
    || coalesce((
    select string_agg(format(' grant %s on %s to %s;', g.privileges, p_what, g.grantee), ''
      order by g.grantee)
    from (
      select string_agg(lower(x.privilege_type), ', ' order by x.privilege_type) as privileges,
        case x.grantee when 0 then 'public' else x.grantee::regrole::text end as grantee
      from aclexplode(p_acl) x
      where x.grantee in (0, 'anon'::regrole, 'authenticated'::regrole, 'service_role'::regrole)
      group by x.grantee) g), '')
$$;
comment on function credits.privileges_as_statements(text, aclitem[]) is
  'The statements after which public and the API''s roles have exactly these privileges.';
revoke all on function credits.privileges_as_statements(text, aclitem[])
  from public, anon, authenticated, service_role;

create function credits.own_privileges()
returns table (object text, kind text, definition text)
language sql
stable
security invoker
set search_path = ''
as $$
  select 'privileges on ' || o.what, 'privileges', credits.privileges_as_statements(o.what, o.acl)
    from (
    select format('%s %s', case r.kind when 'sequence' then 'sequence' else 'table' end,
      r.name) as what,
      coalesce(c.relacl, acldefault(case c.relkind when 'S' then 's'::"char" else 'r' end,
        c.relowner)) as acl
    from credits.own_relations() r join pg_catalog.pg_class c on c.oid = r.oid where not r.is_usage
    union all
    select format('function %s', f.name), coalesce(p.proacl, acldefault('f', p.proowner))
    from credits.own_functions() f join pg_catalog.pg_proc p on p.oid = f.oid
    union all
    select format('type %s', y.oid::regtype), coalesce(y.typacl, acldefault('T', y.typowner))
    from pg_catalog.pg_type y where y.typnamespace = 'credits'::regnamespace
      and y.typtype in ('e', 'd', 'r')
    union all
    select 'schema credits', coalesce(n.nspacl, acldefault('n', n.nspowner))
      from pg_catalog.pg_namespace n where n.nspname = 'credits'
  ) o
  union all
  -- Of columns there are privileges of their own; none is given by the migrations.
  select format('privileges on column %s.%I', r.name, a.attname), 'privileges',
    format('revoke all (%I) on table %s from public, anon, authenticated, service_role;', a.attname,
      r.name)
  from credits.own_relations() r join pg_catalog.pg_attribute a on a.attrelid = r.oid
    and not a.attisdropped and a.attacl is not null
  where not r.is_usage
    and exists (select 1 from aclexplode(a.attacl) x
      where x.grantee in (0, 'anon'::regrole, 'authenticated'::regrole, 'service_role'::regrole))
$$;
comment on function credits.own_privileges() is
  'Who of public and the API''s roles may do what with the objects of the credit system.';
revoke all on function credits.own_privileges() from public, anon, authenticated, service_role;

create function credits.own_table_parts()
returns table (object text, kind text, definition text)
language sql
stable
security invoker
set search_path = ''
as $$
  with parts as (
    select r.name, r.is_usage, a.attnum, quote_ident(a.attname) as attname,
      format_type(a.atttypid, a.atttypmod) as type,
      a.attnotnull, pg_catalog.pg_get_expr(d.adbin, d.adrelid) as value,
      a.attidentity::text || a.attgenerated::text as made
    from credits.own_relations() r
    join pg_catalog.pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
    left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where r.kind = 'table' and (not r.is_usage or a.attname = any (
      '{account_id, user_id, credit_type, credits_used, status, description, metadata, '
        'operation_id, created_at}'))
  )
  select format('column %s.%s', p.name, p.attname), 'column',
    format('alter table %s alter column %s type %s;', p.name, p.attname, p.type)
  from parts p
  union all
  select format('default of column %s.%s', p.name, p.attname), 'default',
    format('alter table %1$s alter column %2$s %3$s not null%4$s;',
    p.name, p.attname, case when p.attnotnull then 'set' else 'drop' end,
    case when p.made <> '' then '' when p.value is null
      then format(', alter column %s drop default', p.attname)
      else format(', alter column %s set default %s', p.attname, p.value) end)
  from parts p where not p.is_usage
  union all
  select format('constraint %I on %s', k.conname, r.name), 'constraint',
    format('alter table %s add constraint %I %s;', r.name, k.conname,
      pg_catalog.pg_get_constraintdef(k.oid))
  from pg_catalog.pg_constraint k join credits.own_relations() r on r.oid = k.conrelid
  where k.contype in ('p', 'u', 'c', 'f', 'x') and not r.is_usage
  union all
  select format('index %I.%I', n.nspname, c.relname), 'index',
    pg_catalog.pg_get_indexdef(i.indexrelid) || ';'
  from pg_catalog.pg_index i
  join credits.own_relations() r on r.oid = i.indrelid
  join pg_catalog.pg_class c on c.oid = i.indexrelid join pg_catalog.pg_namespace n
    on n.oid = c.relnamespace
  where (not r.is_usage or c.relname in (
      'usage_user_id_created_at_idx', 'usage_account_id_created_at_idx', 'usage_denied_idx'))
    and not exists (select 1 from pg_catalog.pg_constraint k where k.conindid = i.indexrelid
    and k.contype in ('p', 'u', 'x'))
$$;
comment on function credits.own_table_parts() is
  'Columns, constraints and indexes of the credit system, each as the statement that makes it.';
revoke all on function credits.own_table_parts() from public, anon, authenticated, service_role;

create function credits.own_objects()
returns table (object text, kind text, definition text)
language sql
stable
security invoker
set search_path = ''
as $$
  select r.kind || ' ' || r.name, r.kind, case r.kind
    when 'view' then format('create or replace view %s%s as %s', r.name,
      ' with (' || array_to_string(c.reloptions, ', ') || ')', pg_catalog.pg_get_viewdef(r.oid))
    when 'table'
      then format('alter table %1$s %2$s force row level security; alter table %1$s set %3$s;',
      r.name,
      case when c.relforcerowsecurity then '' else 'no' end, case c.relpersistence when 'u'
        then 'unlogged' else 'logged' end)
    else '-' end
  from credits.own_relations() r join pg_catalog.pg_class c on c.oid = r.oid where not r.is_usage
  union all
  select p.object, p.kind, p.definition from credits.own_table_parts() p
  union all
  select p.object, p.kind, p.definition from credits.own_privileges() p
  union all
  select format('trigger %I on %s', g.tgname, g.tgrelid::regclass), 'trigger',
    regexp_replace(pg_catalog.pg_get_triggerdef(g.oid), '^CREATE TRIGGER',
      'CREATE OR REPLACE TRIGGER') || case g.tgenabled when 'O' then ';' else
      format('; alter table %s %s trigger %I;', g.tgrelid::regclass, case g.tgenabled when 'D'
        then 'disable' when 'A' then 'enable always' else 'enable replica' end, g.tgname) end
  from pg_catalog.pg_trigger g
  where not g.tgisinternal
    and (g.tgrelid in (select r.oid from credits.own_relations() r where not r.is_usage)
    or g.tgrelid = 'auth.users'::regclass
    and g.tgname in ('credits_open_account', 'credits_close_account', 'credits_follow_user'))
  union all
  select format('policy %I on %s', y.polname, r.name), 'policy',
    format('create policy %I on %s as %s for %s to %s%s%s;', y.polname, r.name,
    case when y.polpermissive then 'permissive' else 'restrictive' end,
    case y.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd'
      then 'delete' else 'all' end,
    (select string_agg(case o.oid when 0 then 'public' else o.oid::regrole::text end, ', '
      order by o.oid::regrole::text) from unnest(y.polroles) as o(oid)),
    ' using (' || pg_catalog.pg_get_expr(y.polqual, y.polrelid) || ')',
    ' with check (' || pg_catalog.pg_get_expr(y.polwithcheck, y.polrelid) || ')')
  from pg_catalog.pg_policy y join credits.own_relations() r on r.oid = y.polrelid
  where not r.is_usage or y.polname =
    'Users may read their usage and what they oversee'
  union all
  select f.kind || ' ' || f.name, f.kind, case f.kind when 'aggregate' then '-'
    else pg_catalog.pg_get_functiondef(f.oid) end
  from credits.own_functions() f
  union all
  select format('constraint %I on domain %s', k.conname, y.oid::regtype), 'constraint',
    format('alter domain %s add constraint %I %s;', y.oid::regtype, k.conname,
      pg_catalog.pg_get_constraintdef(k.oid))
  from pg_catalog.pg_constraint k join pg_catalog.pg_type y on y.oid = k.contypid
  where y.typnamespace = 'credits'::regnamespace and k.contype = 'c'
  union all
  select 'type ' || y.oid::regtype, 'type',
    (select format('create type %s as enum (%s);', y.oid::regtype,
    string_agg(quote_literal(e.enumlabel), ', ' order by e.enumsortorder))
    from pg_catalog.pg_enum e where e.enumtypid = y.oid)
  from pg_catalog.pg_type y where y.typnamespace = 'credits'::regnamespace and y.typtype = 'e'
$$;
comment on function credits.own_objects() is
  'Every object of the credit system as it is now, with the statement that makes it.';
revoke all on function credits.own_objects() from public, anon, authenticated, service_role;

create function credits.remember_installation()
returns bigint
language sql
volatile
security invoker
set search_path = ''
set jit = off
as $$
  with forgotten as (
    delete from credits.installed_objects i
      where i.object not in (select o.object from credits.own_objects() o)
  ), remembered as (
    insert into credits.installed_objects (object, kind, definition, server_major)
    select o.object, o.kind, o.definition, current_setting('server_version_num')::integer / 10000
      from credits.own_objects() o
    on conflict (object) do update set kind = excluded.kind, definition = excluded.definition,
      server_major = excluded.server_major
    returning 1
  )
  select count(*) from remembered
$$;
comment on function credits.remember_installation() is
  'Writes down what is there as what should be: the last statement of every migration, and after '
  'an upgrade of the server.';
revoke all on function credits.remember_installation()
  from public, anon, authenticated, service_role;
