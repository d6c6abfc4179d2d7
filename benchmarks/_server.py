"""The Postgres that is measured: embedded, durable, with more memory than the default and one checkpoint an hour."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from sonas_supabase.local import PASSWORD, SUPERUSER, Cluster, free_port, migrate, shape
from sonas_supabase.local._binaries import choose_runner, postgres_binaries

SQL = Path(__file__).parent / "sql"
# Nothing here makes a commit cheaper. A checkpoint in the middle of a run would hit one side and not the other.
SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "1GB",
    "max_wal_size": "16GB",
    "checkpoint_timeout": "1h",
    "max_connections": "100",
}


@dataclass(frozen=True)
class Server:
    """A running server, and where its programs are."""

    cluster: Cluster
    folder: Path
    programs: Path
    pgledger: tuple[Path, ...] = ()
    """The SQL files of a copy of https://github.com/pgr0ss/pgledger, to be measured beside ours."""

    def connect(self, database: str) -> psycopg.Connection[Any]:
        return psycopg.connect(self.cluster.url(database), autocommit=True)

    def run_file(self, database: str, name: str, **variables: int) -> None:
        """Runs a file of `sql/` statement by statement, its `:name` replaced by numbers."""
        script = (SQL / name).read_text()
        for variable, value in variables.items():
            script = script.replace(f":{variable}", str(value))
        with self.connect(database) as connection:
            for statement in script.split(";\n\n"):
                connection.execute(statement.encode())

    def add_database(self, name: str, accounts: int) -> None:
        """A migrated database with accounts that never run dry, the tables of the floor, and pgledger where it is.

        Does nothing twice: all of one size are copies of the first.
        """
        filled = f"filled_{accounts}"
        with psycopg.connect(self.cluster.url(user=SUPERUSER), autocommit=True) as connection:

            def create(database: str, template: str) -> bool:
                if connection.execute("select 1 from pg_database where datname = %s", [database]).fetchone():
                    return False
                connection.execute(
                    sql.SQL("create database {} template {}").format(sql.Identifier(database), sql.Identifier(template))
                )
                return True

            if create(filled, "template1"):
                shape(self.cluster.url(filled, user=SUPERUSER))
                migrate(self.cluster.url(filled))
                self.run_file(filled, "fill.sql", accounts=accounts)
                if self.pgledger:
                    with self.connect(filled) as filling:
                        for file in self.pgledger:
                            filling.execute(file.read_bytes())
                    self.run_file(filled, "fill_pgledger.sql", accounts=accounts)
            create(name, filled)


@contextmanager
def start(folder: Path, pgledger: tuple[Path, ...] = ()) -> Iterator[Server]:
    """Starts a server with its data in `folder`, and deletes it all in the end."""
    cluster = Cluster(folder / "cluster", port=free_port(), settings=SETTINGS)
    cluster.start()
    try:
        yield Server(cluster, folder, postgres_binaries(choose_runner()), pgledger)
    finally:
        cluster.remove()


def machine(server: Server) -> dict[str, Any]:
    """What the figures were taken on."""
    with psycopg.connect(server.cluster.url(user=SUPERUSER)) as connection:
        row = connection.execute("select current_setting('server_version')").fetchone()
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=SQL, capture_output=True, text=True, check=False
    ).stdout.strip()
    return {
        "commit": commit or "unknown",
        "postgres": row[0] if row else "unknown",
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def environment() -> dict[str, str]:
    """The environment of a program that connects."""
    return {**os.environ, "PGPASSWORD": PASSWORD}
