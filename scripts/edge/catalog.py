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
    text: str


_FUNCTIONS = """
select p.proname::text, coalesce(obj_description(p.oid, 'pg_proc'), ''), p.provolatile <> 'v',
  -- Its own definition, and that of the function of the same name that it hands on to.
  (select string_agg(pg_get_functiondef(t.oid), E'\n') from pg_proc t
   where t.proname = p.proname and t.pronamespace in ('public'::regnamespace, 'credits'::regnamespace)),
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
    for name, comment, reads_only, text, callers, arguments in connection.execute(_FUNCTIONS).fetchall():
        found[name] = Function(
            name=name,
            arguments=tuple(
                Argument((argument or "").removeprefix("p_"), kind, default) for argument, kind, default in arguments
            ),
            callers=tuple(callers),
            comment=comment,
            reads_only=reads_only,
            text=text,
        )
    return found


def read_relations(connection: psycopg.Connection[Any]) -> dict[str, str]:
    """The names of tables, views, indexes and sequences in public, and their kinds."""
    return dict(connection.execute(_RELATIONS).fetchall())
