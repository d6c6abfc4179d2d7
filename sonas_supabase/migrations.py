"""The SQL migrations that travel with this package, and the history table that the Supabase CLI keeps.

`supabase db push` and `apply` record what they applied in the same table, so each sees what the other did.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

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


def sql_folder() -> Path:
    """The `supabase` folder that travels with this package: config.toml, seed.sql, migrations."""
    installed = Path(str(files("sonas_supabase"))) / "_supabase"
    return installed if installed.is_dir() else Path(__file__).resolve().parent.parent / "supabase"


def migrations() -> list[Migration]:
    """All migrations of this release, in the order in which they are applied."""
    found = []
    for path in sorted((sql_folder() / "migrations").glob("*.sql")):
        version, _, name = path.stem.partition("_")
        found.append(Migration(version, name, path))
    return found


def applied(connection: Connection[Any]) -> dict[str, str]:
    """The versions that this database has, with their names, by whatever tool they were applied."""
    with connection.cursor() as cursor:
        cursor.execute("select to_regclass('supabase_migrations.schema_migrations') is not null")
        if cursor.fetchone() != (True,):
            return {}
        cursor.execute(
            "select version, coalesce(to_jsonb(m) ->> 'name', '') from supabase_migrations.schema_migrations m"
        )
        return {str(version): str(name) for version, name in cursor.fetchall()}


def pending(connection: Connection[Any]) -> list[Migration]:
    """The migrations of this release that this database does not have yet."""
    have = applied(connection)
    return [migration for migration in migrations() if migration.version not in have]


def apply(connection: Connection[Any]) -> Iterator[Migration]:
    """Applies what is pending, each file in a transaction of its own, and yields each as it is done.

    Safe from several processes at once: each waits for the other and finds its work done. A file that fails leaves
    nothing of itself behind, and the next call goes on from there. `connection` has to be in autocommit mode.
    """
    if not pending(connection):
        return
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(7305402831)")
        connection.execute(_HISTORY)
    for migration in pending(connection):
        with connection.transaction():
            connection.execute("lock table supabase_migrations.schema_migrations in exclusive mode")
            if migration.version in applied(connection):
                continue
            connection.execute(migration.sql.encode())
            connection.execute(
                "insert into supabase_migrations.schema_migrations (version, name, statements) values (%s, %s, %s)",
                (migration.version, migration.name, [migration.sql]),
            )
        yield migration


def copy_into(folder: Path) -> list[Path]:
    """Copies the migrations into `folder`/migrations of somebody's own Supabase project; answers the new files.

    A file that is there with the same text is left alone; one with another text raises FileExistsError, and nothing
    is copied.
    """
    target = folder / "migrations"
    new = []
    for migration in migrations():
        path = target / migration.path.name
        if not path.exists():
            new.append((migration.path, path))
        elif path.read_text(encoding="utf-8") != migration.sql:
            raise FileExistsError(str(path))
    target.mkdir(parents=True, exist_ok=True)
    for source, path in new:
        shutil.copyfile(source, path)
    return [path for _, path in new]
