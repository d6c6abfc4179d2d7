"""The history table that the Supabase CLI keeps: what a database has of our migrations, and applying the rest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sonas_supabase.migrations._text import first_difference

if TYPE_CHECKING:
    from psycopg import Connection

_HISTORY = """
create schema if not exists supabase_migrations;
create table if not exists supabase_migrations.schema_migrations (version text not null primary key);
alter table supabase_migrations.schema_migrations add column if not exists statements text[];
alter table supabase_migrations.schema_migrations add column if not exists name text;
"""

SERIES = "sonas_credits"
"""The names of our migrations begin with this."""

_RELEASE = re.compile(rf"{SERIES}_\d+\.\d+\.\d+\w*")
_MARK = re.compile(r"Release \S+, text [0-9a-f]{16}")


class CannotMigrate(Exception):
    """No migration leads from what a database has to what this library brings. `hint` says how to mend it."""

    def __init__(self, message: str, hint: str, *, code: str) -> None:
        super().__init__(message)
        self.hint = hint
        self.code = code


@dataclass(frozen=True, slots=True)
class Migration:
    """One SQL file: its version (a timestamp), its name and its text."""

    version: str
    name: str
    path: Path

    @property
    def sql(self) -> str:
        """The text of the file."""
        return self.path.read_text(encoding="utf-8")

    @property
    def mark(self) -> str | None:
        """The release and the digest that the migration leaves in the comment of `credits.installed_objects`."""
        found = _MARK.search(self.sql)
        return found[0] if found else None


@dataclass(frozen=True, slots=True)
class Applied:
    """One row of a database's history. `statements` is None where only the version was recorded."""

    version: str
    name: str
    statements: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class OtherText:
    """A migration that a database has with another text than ours, which begins to differ at `line`."""

    version: str
    name: str
    line: int


@dataclass(frozen=True, slots=True)
class State:
    """What a database has of our migrations.

    `pending`: what it lacks. `other_text`: what it has, but not as it stands in this library. `newer`: releases that
    this library does not know. `is_older_build`: the credit system is there, made by a build from before the first
    release. `is_lost`: it is there with our text, and its history is not, as after a restore of some schemas.
    """

    pending: tuple[Migration, ...] = ()
    other_text: tuple[OtherText, ...] = ()
    newer: tuple[Applied, ...] = ()
    is_older_build: bool = False
    is_lost: bool = False

    @property
    def problem(self) -> CannotMigrate | None:
        """Why no migration can be applied here; None when one can."""
        if self.is_lost:
            return CannotMigrate(
                "The credit system is in this database, and the history of its migrations is not.",
                "It was restored without them. Record them as applied: sonas migrate --record",
                code="history_is_lost",
            )
        if not self.other_text and not self.is_older_build:
            return None
        what = "; ".join(
            [f"{other.version}_{other.name} differs from line {other.line} on" for other in self.other_text]
            or ["it was made by a build from before the first release"]
        )
        return CannotMigrate(
            f"This database has another text of the migrations than this library: {what}.",
            "It was made by an older or edited build, and mistakes mended since are still in it. A test project: make "
            "it anew (`supabase db reset`, or another --data-dir for `sonas up`; this deletes its data). A project to "
            "keep: make a new one with this text and bring the balances over with `sonas import`; or install the "
            "version of sonas-supabase that made it.",
            code="other_text",
        )


def sql_folder() -> Path:
    """The `supabase` folder that travels with this package: config.toml, seed.sql, migrations."""
    installed = Path(str(files("sonas_supabase"))) / "_supabase"
    return installed if installed.is_dir() else Path(__file__).resolve().parents[2] / "supabase"


def migrations() -> list[Migration]:
    """All migrations of this library, in the order in which they are applied."""
    return read_folder(sql_folder() / "migrations")


def read_folder(folder: Path) -> list[Migration]:
    """All migrations of a folder, in the order in which the Supabase CLI applies them."""
    found = []
    for path in sorted(folder.glob("*.sql")):
        version, _, name = path.stem.partition("_")
        if version.isdecimal() and name:
            found.append(Migration(version, name, path))
    return found


def history(connection: Connection[Any]) -> list[Applied]:
    """What this database has, by whatever tool it was applied, in order."""
    with connection.cursor() as cursor:
        cursor.execute("select to_regclass('supabase_migrations.schema_migrations') is not null")
        if cursor.fetchone() != (True,):
            return []
        # Old versions of the Supabase CLI kept the version alone.
        cursor.execute(
            """
            select m.version, coalesce(to_jsonb(m) ->> 'name', ''),
              case when to_jsonb(m) ->> 'name' is null or to_jsonb(m) ->> 'name' like %s
                then to_jsonb(m) -> 'statements' end
            from supabase_migrations.schema_migrations m order by m.version
            """,
            (f"{SERIES}%",),
        )
        return [
            Applied(str(version), str(name), tuple(statements) if statements else None)
            for version, name, statements in cursor.fetchall()
        ]


def applied(connection: Connection[Any]) -> dict[str, str]:
    """The versions that this database has, with their names, by whatever tool they were applied."""
    return {row.version: row.name for row in history(connection)}


def state(connection: Connection[Any]) -> State:
    """Compares what a database has, and with which text, with the migrations of this library. Changes nothing."""
    ours = migrations()
    rows = history(connection)
    by_name = {row.name: row for row in rows if row.name}
    by_version = {row.version: row for row in rows if not row.name}
    found = [(migration, by_name.get(migration.name) or by_version.get(migration.version)) for migration in ours]
    pending = tuple(migration for migration, row in found if row is None)
    names = {migration.name for migration in ours}
    newer = tuple(row for row in rows if _RELEASE.fullmatch(row.name) and row.name not in names)
    mark = _database_mark(connection)
    is_recorded = len(pending) < len(ours) or bool(newer)
    return State(
        pending=pending,
        other_text=tuple(_other_texts(found, mark)),
        newer=newer,
        is_older_build=mark is not None and not is_recorded and mark != ours[-1].mark,
        is_lost=mark is not None and not is_recorded and mark == ours[-1].mark,
    )


def _other_texts(found: list[tuple[Migration, Applied | None]], mark: str | None) -> Iterator[OtherText]:
    for migration, row in found:
        if row is None:
            continue
        if row.statements is not None:
            line = first_difference(migration.sql, row.statements)
        else:
            # Nothing was kept of the text: the mark that the last migration leaves tells the release and its digest.
            line = 1 if migration is found[-1][0] and mark != migration.mark else None
        if line is not None:
            yield OtherText(row.version, migration.name, line)


def _database_mark(connection: Connection[Any]) -> str | None:
    """What the last migration has left in a comment; None without a schema `credits` of ours."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select coalesce(obj_description(c.oid, 'pg_class'), '') from pg_catalog.pg_class c "
            "where c.oid = to_regclass('credits.installed_objects')"
        )
        row = cursor.fetchone()
        if row is None:
            return None
        found = _MARK.search(str(row[0]))
        return found[0] if found else ""


def pending(connection: Connection[Any]) -> list[Migration]:
    """The migrations of this library that this database does not have yet, under whatever stamp."""
    return list(state(connection).pending)


def apply(connection: Connection[Any], *, folder: Path | None = None) -> Iterator[Migration]:
    """Applies what is pending, each file in a transaction of its own, and yields each as it is done.

    Safe from several processes at once: each waits for the other and finds its work done. A file that fails leaves
    nothing of itself behind, and the next call goes on from there. `connection` has to be in autocommit mode. `folder`
    is a project's supabase folder: what has a copy there is recorded under the stamp of the copy, so that the Supabase
    CLI finds it done. Raises CannotMigrate where the database has another text.
    """
    now = state(connection)
    if problem := now.problem:
        raise problem
    if not now.pending:
        return
    _make_history(connection)
    for migration in now.pending:
        with connection.transaction():
            connection.execute("lock table supabase_migrations.schema_migrations in exclusive mode")
            if migration not in state(connection).pending:
                continue
            connection.execute(migration.sql.encode())
            _record(connection, migration, folder)
        yield migration


def record(connection: Connection[Any], *, folder: Path | None = None) -> list[Migration]:
    """Writes down that the migrations are applied, where a restore has lost the history; answers which.

    Only for a database that carries the mark of this library's text: another one raises CannotMigrate.
    """
    now = state(connection)
    if not now.is_lost:
        if problem := now.problem:
            raise problem
        return []
    _make_history(connection)
    with connection.transaction():
        for migration in now.pending:
            _record(connection, migration, folder)
    return list(now.pending)


def _make_history(connection: Connection[Any]) -> None:
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(7305402831)")
        connection.execute(_HISTORY)


def _record(connection: Connection[Any], migration: Migration, folder: Path | None) -> None:
    connection.execute(
        "insert into supabase_migrations.schema_migrations (version, name, statements) values (%s, %s, %s)",
        (stamp_in(folder, migration), migration.name, [migration.sql]),
    )


def stamp_in(folder: Path | None, migration: Migration) -> str:
    """The stamp under which a project's folder has a copy of this migration; our own where it has none."""
    copies = {copy.name: copy.version for copy in read_folder(folder / "migrations")} if folder else {}
    return copies.get(migration.name, migration.version)
