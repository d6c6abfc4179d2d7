"""What a database looks like from its catalog, for comparing before with after."""

from __future__ import annotations

import re
from typing import Any

from tests.support.database import Database

# The Supabase CLI makes its history table before it tries the first file.
_NOT_OURS = "nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'supabase_migrations')"

_CATALOG = f"""
with schemas as (
  select oid, nspname, nspowner, nspacl from pg_namespace where {_NOT_OURS} and nspname not like 'pg\\_%'
)
select format('schema %s: owner %s, %s', nspname, nspowner::regrole, nspacl) from schemas
union all
select format('relation %s.%s: %s, owner %s, rls %s/%s, %s, options %s %s', s.nspname, c.relname, c.relkind,
  c.relowner::regrole, c.relrowsecurity, c.relforcerowsecurity, c.relacl, c.reloptions,
  case when c.relkind in ('v', 'm') then md5(pg_get_viewdef(c.oid)) end)
from pg_class c join schemas s on s.oid = c.relnamespace
union all
select format('column %s.%s.%s: %s, not null %s, default %s, %s', s.nspname, c.relname, a.attname,
  format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attacl)
from pg_attribute a join pg_class c on c.oid = a.attrelid join schemas s on s.oid = c.relnamespace
left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
where a.attnum > 0 and not a.attisdropped
union all
select format('constraint %s on %s: %s', k.conname, k.conrelid::regclass, pg_get_constraintdef(k.oid))
from pg_constraint k join schemas s on s.oid = k.connamespace
union all
select format('index %s', pg_get_indexdef(i.indexrelid))
from pg_index i join pg_class c on c.oid = i.indexrelid join schemas s on s.oid = c.relnamespace
union all
select format('trigger %s: %s', pg_get_triggerdef(t.oid), t.tgenabled)
from pg_trigger t join pg_class c on c.oid = t.tgrelid join schemas s on s.oid = c.relnamespace where not t.tgisinternal
union all
select format('policy %s on %s.%s: %s %s %s %s %s', p.policyname, p.schemaname, p.tablename, p.permissive, p.roles,
  p.cmd, p.qual, p.with_check)
from pg_policies p join schemas s on s.nspname = p.schemaname
union all
select format('function %s: owner %s, %s, %s', p.oid::regprocedure, p.proowner::regrole, p.proacl,
  md5(case when p.prokind in ('f', 'p') then pg_get_functiondef(p.oid) else p.prosrc end))
from pg_proc p join schemas s on s.oid = p.pronamespace
union all
select format('type %s.%s: %s', s.nspname, t.typname, t.typacl)
from pg_type t join schemas s on s.oid = t.typnamespace
union all
select format('default privileges of %s in %s: %s', d.defaclrole::regrole, d.defaclnamespace::regnamespace, d.defaclacl)
from pg_default_acl d
union all
select format('comment on %s %s: %s', i.type, i.identity, d.description)
from pg_description d cross join lateral pg_identify_object(d.classoid, d.objoid, d.objsubid) i
where i.schema in (select s.nspname from schemas s)
  or i.type in ('schema', 'trigger', 'policy', 'table constraint') and i.identity ~ '(^| on )(public|credits)'
order by 1
"""

# An owner's implicit rights are spelled out, so that they read the same whether or not somebody granted them.
_PRIVILEGES = """
with objects (name, acl) as (
  select 'relation ' || c.oid::regclass,
    coalesce(c.relacl, acldefault(case c.relkind when 'S' then 's'::"char" else 'r'::"char" end, c.relowner))
  from pg_class c
  where c.relnamespace in ('public'::regnamespace, to_regnamespace('credits')) and c.relkind in ('r', 'v', 'm', 'S')
  union all
  select 'function ' || p.oid::regprocedure, coalesce(p.proacl, acldefault('f', p.proowner))
  from pg_proc p where p.pronamespace in ('public'::regnamespace, to_regnamespace('credits'))
  union all
  select 'schema ' || n.nspname, n.nspacl from pg_namespace n where n.nspname = 'credits'
), rights as (
  select o.name, format('%s=%s', coalesce(r.rolname, 'public'), x.privilege_type) as who
  from objects o cross join aclexplode(o.acl) x left join pg_roles r on r.oid = x.grantee
)
select o.name || ': ' || coalesce((
  select string_agg(r.who, ', ' order by r.who) from rights r where r.name = o.name), 'nobody')
from objects o order by 1
"""


_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def fingerprint(database: Database) -> list[str]:
    """Every schema, relation, column, constraint, index, trigger, policy, function, type and privilege, a line each.

    The trigger of a meter names its id, which is another one each time that a table is metered.
    """
    return [_UUID.sub("…", line) for (line,) in database.query(_CATALOG)]


def privileges(database: Database) -> list[str]:
    """Who may do what with each relation and function of public and credits."""
    return [line for (line,) in database.query(_PRIVILEGES)]


def rows(database: Database, table: str, columns: str = "*") -> list[Any]:
    """All rows, in an order of their own."""
    return database.query(f"select to_jsonb(t) from (select {columns} from {table}) t order by to_jsonb(t)::text")
