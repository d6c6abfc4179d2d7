create function credits.diagnose_surroundings()
returns table (code text, severity text, object text, meaning text, how_to_try text,
  how_to_mend text)
language sql
stable
security invoker
set search_path = ''
as $$
  with owner as (
    select n.nspowner as oid, quote_ident(pg_get_userbyid(n.nspowner)) as name
      from pg_catalog.pg_namespace n where n.nspname = 'credits'
  ), owned as (
    select case when r.kind = 'sequence' then 'sequence ' when r.kind = 'table' then 'table '
      else r.kind || ' ' end || r.name as what, c.relowner as owner
    from credits.own_relations() r join pg_catalog.pg_class c on c.oid = r.oid
    where not r.is_usage
      and not exists (select from pg_catalog.pg_depend d
        where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid
        and d.deptype in ('a', 'i'))
    union all
    select f.kind || ' ' || f.name, p.proowner from credits.own_functions() f
      join pg_catalog.pg_proc p on p.oid = f.oid
    union all
    select 'type ' || y.oid::regtype, y.typowner from pg_catalog.pg_type y
      where y.typnamespace = 'credits'::regnamespace and y.typtype in ('e', 'd')
  )
  select 'owner_was_changed', 'high', w.what,
    format('It belongs to %s, and the rest of the credit system to %s: its owner may change it, '
      'and what runs with its owner''s rights has other ones.', pg_get_userbyid(w.owner), o.name),
    'select nspowner::regrole from pg_namespace where nspname = ''credits'';',
    -- What a role held beside its ownership is gone with it.
    format('alter %s owner to %s; ', w.what, o.name) || coalesce((
      select i.definition from credits.installed_objects i
      where i.object = 'privileges on '
        || regexp_replace(regexp_replace(w.what, '^view ', 'table '), '^(aggregate|procedure) ',
        'function ')), '')
  from owned w cross join owner o where w.owner <> o.oid

  union all
  select 'role_is_too_strong', 'critical', 'role ' || quote_ident(r.name),
    format('%s is a member of %s, and may act as it.', r.name, s.rolname),
    format('select pg_has_role(%L, %L, ''member'');', r.name, s.rolname),
    format('revoke %I from %I;', s.rolname, r.name)
  from credits.api_roles() r
  join pg_catalog.pg_auth_members m on m.member = r.name::regrole
  join pg_catalog.pg_roles s on s.oid = m.roleid
  where pg_has_role(s.oid, 'service_role', 'member')
    or pg_has_role(s.oid, (select o.oid from owner o), 'member') or s.rolsuper
    or s.rolbypassrls or s.rolname ~ '^pg_(read|write)_all_data$'

  union all
  select 'role_is_too_strong', 'critical', 'role ' || quote_ident(r.rolname),
    format('%s passes row level security: it reads every row of what it may read.', r.rolname),
    format('select rolbypassrls, rolsuper from pg_roles where rolname = %L;', r.rolname),
    format('alter role %I nosuperuser nobypassrls;', r.rolname)
  from credits.api_roles() a join pg_catalog.pg_roles r on r.rolname = a.name
  where r.rolbypassrls or r.rolsuper

  union all
  select 'schema_is_open', 'high', 'schema public',
    format('%s may create objects in it: functions and types whose names come before those that '
      'code without a fixed search_path means.', r.name),
    format('select has_schema_privilege(%L, ''public'', ''create'');', r.name),
    format('revoke create on schema public from public, %I;', r.name)
  from (select a.name from credits.api_roles() a union all values ('service_role'::name)) r
    where has_schema_privilege(r.name, 'public', 'create')

  union all
  select 'schema_cannot_be_used', 'high', 'schema public',
    format('%s may not use the schema, so every call of it fails with "permission denied".',
      r.name),
    format('select has_schema_privilege(%L, ''public'', ''usage'');', r.name),
    format('grant usage on schema public to %I;', r.name)
  from (values ('anon'), ('authenticated'), ('service_role')) as r(name)
    where not has_schema_privilege(r.name, 'public', 'usage')

  union all
  select distinct 'defaults_are_open', 'medium', 'schema credits',
    format('What %s creates in it from now on is open to %s by default.', d.defaclrole::regrole,
      g.name),
    'select * from pg_default_acl where defaclnamespace = ''credits''::regnamespace;',
    format('alter default privileges for role %s in schema credits revoke all on %s from %s;',
      d.defaclrole::regrole,
      case d.defaclobjtype when 'f' then 'functions' when 'S' then 'sequences' when 'T' then 'types'
        else 'tables' end, g.name)
  from pg_catalog.pg_default_acl d
  cross join aclexplode(d.defaclacl) x
  cross join lateral (select case x.grantee when 0 then 'public' else x.grantee::regrole::text
    end as name) g
  where d.defaclnamespace = 'credits'::regnamespace and x.grantee <> d.defaclrole

  union all
  select 'core_is_published', 'high', format('publication %I', p.pubname),
    'It sends the rows of ' || t.name
      || ' to whoever follows it. Realtime looks at policies; other followers do not.',
    format('select * from pg_publication_tables where pubname = %L and schemaname = ''credits'';',
      p.pubname),
    case when t.in_schema then format('alter publication %I drop tables in schema credits;',
      p.pubname)
      else format('alter publication %I drop table %s;', p.pubname, t.name) end
  from pg_catalog.pg_publication p
  join (
    select r.prpubid as oid, o.name, false as in_schema from pg_catalog.pg_publication_rel r
      join credits.own_relations() o on o.oid = r.prrelid
    where o.name like 'credits.%'
    union all
    select n.pnpubid, 'the schema credits', true from pg_catalog.pg_publication_namespace n
      where n.pnnspid = 'credits'::regnamespace
  ) t on t.oid = p.oid
$$;
comment on function credits.diagnose_surroundings() is
  'What around the objects of the credit system decides who reaches them: owners, roles, schemas, '
  'default privileges, publications.';
revoke all on function credits.diagnose_surroundings()
  from public, anon, authenticated, service_role;
