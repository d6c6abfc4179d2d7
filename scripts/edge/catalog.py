"""Reads what the catalog of a freshly built database says about the public functions and relations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg


@dataclass(frozen=True)
class Argument:
    """One argument: its name without `p_`, its type, and its default as SQL text (None: it must be given)."""

    name: str
    type: str
    default: str | None


@dataclass(frozen=True)
class Function:
    """One public function."""

    name: str
    arguments: tuple[Argument, ...]
    callers: tuple[str, ...]
    comment: str
    reads_only: bool
    responds: bool


_FUNCTIONS = """
with definitions as materialized (
  select t.proname as name, t.pronamespace = 'credits'::regnamespace as is_core, pg_get_functiondef(t.oid) as text
  from pg_proc t where t.pronamespace in ('public'::regnamespace, 'credits'::regnamespace) and t.prokind = 'f'
)
select p.proname::text, coalesce(obj_description(p.oid, 'pg_proc'), ''), p.provolatile <> 'v',
  -- It answers by credits.respond: itself, or what it hands on to, or by one that makes answers.
  exists (
    select from definitions t
    where t.name = p.proname and (t.text like '%credits.respond(%' or exists (
      select from definitions a
      where a.text like '%credits.respond(%' and a.is_core and strpos(t.text, 'credits.' || a.name || '(') > 0))),
  (select coalesce(array_agg(r.name order by r.nth), '{}')
   from unnest('{anon,authenticated,service_role}'::text[]) with ordinality r(name, nth)
   where has_function_privilege(r.name, p.oid, 'execute')),
  (select coalesce(json_agg(json_build_array(p.proargnames[a.nth], format_type(a.type, null),
      pg_get_function_arg_default(p.oid, a.nth::integer)) order by a.nth), '[]')
   from unnest(p.proargtypes) with ordinality a(type, nth))
from pg_proc p
where p.pronamespace = 'public'::regnamespace and p.prorettype <> 'trigger'::regtype
  and not exists (select 1 from pg_depend d where d.objid = p.oid and d.deptype = 'e')
order by 1
"""
_RELATIONS = """
select c.relname::text, c.relkind::text from pg_class c
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f', 'i', 'S')
  and not exists (select 1 from pg_depend d where d.objid = c.oid and d.deptype = 'e')
order by 1
"""


def read_functions(connection: psycopg.Connection[Any]) -> dict[str, Function]:
    """The public functions by name."""
    found = {}
    for name, comment, reads_only, responds, callers, arguments in connection.execute(_FUNCTIONS).fetchall():
        found[name] = Function(
            name=name,
            arguments=tuple(
                Argument((argument or "").removeprefix("p_"), kind, default) for argument, kind, default in arguments
            ),
            callers=tuple(callers),
            comment=comment,
            reads_only=reads_only,
            responds=responds,
        )
    return found


def read_relations(connection: psycopg.Connection[Any]) -> dict[str, str]:
    """The names of tables, views, indexes and sequences in public, and their kinds."""
    return dict(connection.execute(_RELATIONS).fetchall())
