"""Moving out: what there is of ours in a database, written out, counted, and dropped without a thing of the host's."""

from __future__ import annotations

import csv
import json
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sonas_supabase.migrations._history import SERIES, CannotMigrate

if TYPE_CHECKING:
    from psycopg import Connection


@dataclass(frozen=True, slots=True)
class Belongings:
    """What a database has of ours, and what of its own hangs on that.

    Attributes:
        rows: rows by table, the empty tables left out.
        credits: what accounts could still spend, by credit type and source of the grant; None is unlimited.
        paid_plans: accounts on a plan that is not the default one.
        open_holds: holds that would come to nothing.
        metered: tables of the project's own whose rows are charged for; they stay, and are charged no more.
        callers: functions of the project's own that name one of ours, and would fail.
        usage: ``ours``, ``host`` where the project had a table of that name before, or ``none``.
        usage_columns: the columns that the installation added to the project's table.
    """

    rows: dict[str, int]
    credits: dict[str, int]
    paid_plans: int
    open_holds: int
    metered: tuple[str, ...]
    callers: tuple[str, ...]
    usage: str
    usage_columns: tuple[str, ...]


class InUse(CannotMigrate):
    """Objects of the project's own would go with ours."""

    def __init__(self, objects: list[str]) -> None:
        self.objects = objects
        super().__init__(
            f"{len(objects)} of your own objects depend on the credit system: {'; '.join(objects[:20])}.",
            "Change or drop these yourself first. Nothing has changed.",
            code="in_use",
        )


def belongings(connection: Connection[Any]) -> Belongings:
    """Looks. Raises CannotMigrate where nothing is installed."""
    if not _one(connection, "select to_regclass('credits.installed_objects') is not null"):
        raise CannotMigrate(
            "The credit system is not installed in this database.", "Look at --db-url.", code="not_installed"
        )
    rows = {name: _count(connection, name) for name in _tables(connection)}
    return Belongings(
        rows={name: count for name, count in rows.items() if count},
        credits=dict(connection.execute(_CREDITS).fetchall()),
        paid_plans=_one(connection, _PAID_PLANS),
        open_holds=_one(connection, "select count(*) from public.credit_reservations r where r.status = 'open'"),
        metered=tuple(row[0] for row in connection.execute(_METERED)),
        callers=tuple(row[0] for row in connection.execute(_CALLERS)),
        usage=_one(connection, _WHOSE_USAGE),
        usage_columns=tuple(row[0] for row in connection.execute(_USAGE_COLUMNS)),
    )


def write_out(connection: Connection[Any], folder: Path) -> dict[str, int]:
    """Writes every table of ours into the folder as CSV, and what accounts could still spend as ``balances.csv``.

    The files are for their owner's eyes alone. Answers the rows by file. Raises OSError.
    """
    folder.mkdir(mode=stat.S_IRWXU, parents=True, exist_ok=True)
    written = {}
    for name in _tables(connection):
        written[f"{name}.csv"] = _copy(connection, f"table {name}", folder / f"{name}.csv")
    written["balances.csv"] = _copy(connection, _BALANCES, folder / "balances.csv")
    manifest = {
        "release": _one(connection, _RELEASE),
        "taken_at": _one(connection, "select now()::text"),
        "rows": written,
    }
    _private(folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return written


def remove(connection: Connection[Any], *, dry_run: bool = False) -> list[str]:
    """Drops what is ours, all of it or nothing. Answers what was done, in words.

    It proves itself: what the project has of its own is listed before and after, and when something is missing
    everything is taken back.

    Raises:
        InUse: objects of the project's own would have gone.
        CannotMigrate: nothing is installed.
    """
    import psycopg

    found = belongings(connection)
    with connection.transaction(force_rollback=dry_run):
        connection.execute("set local lock_timeout = '10s'")
        own: tuple[Any, ...] = connection.execute(_OWN_OIDS, [found.usage == "ours"]).fetchone() or ([], [])
        before = _of_host(connection, *own)
        added = {f"{kind} usage.{name}" for name in found.usage_columns for kind in ("column", "default of")}
        added |= {f"default of usage.{row[0]}" for row in connection.execute(_USAGE_DEFAULTS)}
        try:
            done = list(_remove(connection, found))
        except psycopg.errors.DependentObjectsStillExist as error:
            raise InUse((error.diag.message_detail or str(error)).splitlines()) from error
        gone = sorted(before - added - _of_host(connection, *own))
        if gone:
            raise InUse(gone)
        return done


def _remove(connection: Connection[Any], found: Belongings) -> Iterator[str]:
    names = {kind: [row[0] for row in connection.execute(query)] for kind, query in _OURS.items()}
    jobs = [row[0] for row in connection.execute(_JOBS)] if _one(connection, _HAS_CRON) else []
    for job in jobs:
        connection.execute("select cron.unschedule(%s)", [job])
    # Triggers on tables of others, auth.users among them, go with the functions that they run: they are no owner's of
    # ours to drop.
    for kind in ("view", "table", "function"):
        if names[kind]:
            connection.execute(f"drop {kind} {', '.join(names[kind])} cascade".encode())
    connection.execute("drop schema credits cascade")
    relations = len(names["view"]) + len(names["table"])
    yield f"{relations} tables and views, {len(names['function'])} functions, schema credits"
    yield from _remove_usage(connection, found)
    if jobs:
        yield f"the jobs {', '.join(jobs)}"
    history = connection.execute("select to_regclass('supabase_migrations.schema_migrations') is not null").fetchone()
    if history and history[0]:
        removed = connection.execute(
            "delete from supabase_migrations.schema_migrations where name like %s returning version || '_' || name",
            [f"{SERIES}\\_%"],
        ).fetchall()
        yield from (f"{row[0]} from the history of migrations" for row in removed)


def _remove_usage(connection: Connection[Any], found: Belongings) -> Iterator[str]:
    if found.usage == "ours":
        connection.execute("drop table public.usage cascade")
        yield "the table usage"
        return
    if found.usage != "host":
        return
    if "operation_id" in found.usage_columns:
        deleted = connection.execute("delete from public.usage where operation_id is not null").rowcount
        yield f"{deleted} rows of ours in your table usage"
    else:
        yield "no rows of your table usage: ours stay in it, since it had a column operation_id of its own"
    indexes = [row[0] for row in connection.execute(_USAGE_INDEXES)]
    if indexes:
        connection.execute(f"drop index {', '.join(indexes)}".encode())
        yield f"the indexes {', '.join(indexes)}"
    for (column,) in connection.execute(_USAGE_DEFAULTS).fetchall():
        connection.execute(f"alter table public.usage alter column {column} drop default".encode())
        connection.execute(f"comment on column public.usage.{column} is null".encode())
        yield f"the default of the column {column} of your table usage"
    if found.usage_columns:
        columns = ", ".join(f"drop column {name}" for name in found.usage_columns)
        connection.execute(f"alter table public.usage {columns}".encode())
        yield f"the columns {', '.join(found.usage_columns)} of your table usage, which keeps its own"


def _tables(connection: Connection[Any]) -> list[str]:
    return [row[0] for row in connection.execute(_TABLES)]


def _count(connection: Connection[Any], name: str) -> int:
    return int(_one(connection, f"select count(*) from {name}"))  # noqa: S608 - a name of the catalog, quoted there


def _one(connection: Connection[Any], query: str) -> Any:
    row = connection.execute(query.encode()).fetchone()
    return row[0] if row else None


def _of_host(connection: Connection[Any], relations: list[int], functions: list[int]) -> set[str]:
    found = connection.execute(_HOST_OBJECTS, {"relations": relations, "functions": functions})
    return {row[0] for row in found}


def _copy(connection: Connection[Any], query: str, path: Path) -> int:
    with (
        _private(path).open("wb") as file,
        connection.cursor() as cursor,
        cursor.copy(f"copy ({query}) to stdout (format csv, header)".encode()) as copy,
    ):
        for data in copy:
            file.write(data)
    with path.open(newline="", encoding="utf-8") as file:
        return sum(1 for _ in csv.reader(file)) - 1


def _private(path: Path) -> Path:
    path.touch(mode=stat.S_IRUSR | stat.S_IWUSR)
    return path


_RELEASE = "select obj_description('credits.installed_objects'::regclass)"

_TABLES = """
select r.name from credits.own_relations() r where r.kind = 'table' and not r.is_usage
union all
select 'public.usage' where to_regclass('public.usage') is not null
order by 1
"""

_CREDITS = """
select g.credit_type || ' from ' || g.source, sum(g.remaining)::bigint
from public.credit_grants g join credits.accounts a on a.account_id = g.account_id and a.status <> 'closed'
where g.remaining > 0 and g.is_open and (g.expires_at is null or g.expires_at > now())
group by 1 order by 1
"""

_BALANCES = """
select g.account_id as user_id, u.email, g.credit_type, g.source, g.remaining as credits, g.expires_at, g.paid_amount,
  g.currency
from public.credit_grants g
join credits.accounts a on a.account_id = g.account_id and a.status <> 'closed'
left join auth.users u on u.id = g.account_id
where g.remaining > 0 and g.is_open and (g.expires_at is null or g.expires_at > now())
order by 1, 3, 4
"""

_PAID_PLANS = """
select count(*) from public.subscriptions s join public.plans p on p.id = s.plan_id where not p.is_default
"""

_METERED = "select m.table_name from credits.meters m order by 1"

_WHOSE_USAGE = """
select case when to_regclass('public.usage') is null then 'none'
  when obj_description('public.usage'::regclass) like 'Every metered attempt, allowed or denied.%' then 'ours'
  else 'host' end
"""

_USAGE_COLUMNS = """
select quote_ident(a.attname) from pg_catalog.pg_attribute a
where a.attrelid = to_regclass('public.usage') and a.attnum > 0 and not a.attisdropped
  and col_description(a.attrelid, a.attnum) = 'Added by the credit system.'
order by a.attnum
"""

_USAGE_INDEXES = """
select c.oid::regclass::text from pg_catalog.pg_index x join pg_catalog.pg_class c on c.oid = x.indexrelid
where x.indrelid = to_regclass('public.usage') and obj_description(c.oid, 'pg_class') = 'Added by the credit system.'
order by 1
"""

_USAGE_DEFAULTS = """
select quote_ident(a.attname) from pg_catalog.pg_attribute a
where a.attrelid = to_regclass('public.usage') and a.attnum > 0 and not a.attisdropped
  and col_description(a.attrelid, a.attnum) = 'Its default was added by the credit system.'
order by a.attnum
"""

_CALLERS = """
select distinct p.oid::regprocedure::text
from pg_catalog.pg_proc p
join credits.host_schemas() s on s.oid = p.pronamespace
join credits.public_functions() f(name) on p.prosrc ~ ('\\m' || f.name || '\\M')
where p.oid not in (select o.oid from credits.own_functions() o)
order by 1
"""

_OURS = {
    "view": "select r.name from credits.own_relations() r where r.kind = 'view' and r.name like 'public.%'",
    "table": "select r.name from credits.own_relations() r "
    "where r.kind = 'table' and not r.is_usage and r.name like 'public.%'",
    "function": "select f.name from credits.own_functions() f "
    "where f.name not like 'credits.%' and f.kind = 'function'",
}

# With the table usage, where that is ours.
_OWN_OIDS = """
select array(select r.oid from credits.own_relations() r where not r.is_usage or %s),
  array(select f.oid from credits.own_functions() f)
"""

_HAS_CRON = "select to_regclass('cron.job') is not null"
_JOBS = "select j.jobname from cron.job j where j.jobname like 'sonas-%' order by 1"

# Everything that belongs to the project: whatever is neither ours nor a part of what is ours.
_HOST_OBJECTS = """
with host as (
  select c.oid, c.relkind from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where n.nspname !~ '^pg_' and n.nspname not in ('credits', 'information_schema')
    and c.relkind in ('r', 'p', 'v', 'm', 'S', 'f') and c.oid <> all (%(relations)s::oid[])
)
select case h.relkind when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence' else 'table' end
  || ' ' || h.oid::regclass
from host h
union all
select 'function ' || p.oid::regprocedure
from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
where n.nspname !~ '^pg_' and n.nspname not in ('credits', 'information_schema')
  and p.oid <> all (%(functions)s::oid[])
union all
select format('policy %%I on %%s', y.polname, h.oid::regclass)
from pg_catalog.pg_policy y join host h on h.oid = y.polrelid
union all
select format('trigger %%I on %%s', t.tgname, h.oid::regclass)
from pg_catalog.pg_trigger t join host h on h.oid = t.tgrelid
where not t.tgisinternal and t.tgfoid <> all (%(functions)s::oid[])
union all
select format('constraint %%I on %%s', k.conname, h.oid::regclass)
from pg_catalog.pg_constraint k join host h on h.oid = k.conrelid
where k.contype <> 't'
union all
select format('index %%s on %%s', x.indexrelid::regclass, h.oid::regclass)
from pg_catalog.pg_index x join host h on h.oid = x.indrelid
where obj_description(x.indexrelid, 'pg_class') is distinct from 'Added by the credit system.'
union all
select format('column %%s.%%I', h.oid::regclass, a.attname)
from pg_catalog.pg_attribute a join host h on h.oid = a.attrelid and h.relkind <> 'S'
where a.attnum > 0 and not a.attisdropped
union all
select format('default of %%s.%%I', h.oid::regclass, a.attname)
from pg_catalog.pg_attrdef d
join host h on h.oid = d.adrelid
join pg_catalog.pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
"""
