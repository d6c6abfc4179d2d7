"""A server per Postgres version, a database per kind of project on it, and the Supabase CLI on that."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest

from sonas_supabase import local
from tests.contract.catalog import fingerprint, rows
from tests.contract.cli import Said, SupabaseCli
from tests.contract.hosts import CLOSED_WORLD, HOSTS
from tests.contract.parts import VERSIONS, VersionedCluster, require_postgres
from tests.support.database import Database, copied_database
from tests.support.parts import has_extensions, require
from tests.support.server import QUICK, Server


@dataclass(frozen=True)
class Project:
    """A Supabase project before or after the push."""

    database: Database
    cli: SupabaseCli


@dataclass(frozen=True)
class Pushed(Project):
    """A project with our migrations, and how it was before."""

    said: Said
    before: list[str]
    rows_before: dict[str, list[object]]


@pytest.fixture(scope="session")
def cli_binary() -> Path:
    return require("supabase_cli")


@pytest.fixture(scope="session", params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    """The PostgreSQL versions that Supabase projects run, and the embedded one."""
    return str(request.param)


@pytest.fixture(scope="session", params=["exposed", "closed"])
def world(request: pytest.FixtureRequest) -> str:
    """What default privileges do: older projects give new objects to the API roles, newer ones do not."""
    return str(request.param)


@pytest.fixture(scope="session", params=list(HOSTS))
def host(request: pytest.FixtureRequest) -> str:
    """What the project has before our migrations."""
    return str(request.param)


@pytest.fixture(scope="session")
def versioned_server(version: str) -> Iterator[Server]:
    """A server of this version with a template database for each world."""
    binaries = require_postgres(version)
    with TemporaryDirectory(prefix=f"sonas-pg{version}-") as folder:
        Path(folder).chmod(0o755)
        cluster = VersionedCluster(Path(folder) / "cluster", port=local.free_port(), settings=QUICK, binaries=binaries)
        cluster.start()
        try:
            server = Server("127.0.0.1", cluster.port, f"PostgreSQL {version}")
            _make_worlds(server)
            yield server
        finally:
            cluster.remove()


def _make_worlds(server: Server) -> None:
    for name in ("exposed", "closed"):
        with psycopg.connect(server.superuser_url("postgres"), autocommit=True) as connection:
            connection.execute(f"create database {name}".encode())
        local.shape(server.superuser_url(name))
        with psycopg.connect(server.superuser_url(name), autocommit=True) as connection:
            # A server that was brought without them has everything else tried on it.
            for extension in ("pgtap", "plpgsql_check") if has_extensions(server.kind.split()[-1]) else ():
                connection.execute(f"create extension {extension} with schema extensions".encode())
            # On the hosted service extensions belong to postgres, which `db reset` counts on.
            connection.execute("update pg_extension set extowner = 'postgres'::regrole where extname <> 'plpgsql'")
            if name == "closed":
                connection.execute(CLOSED_WORLD.encode())


@contextmanager
def project_on(
    server: Server, cli_binary: Path, folder: Path, *, world: str = "exposed", setup: str = ""
) -> Iterator[Project]:
    """A project of one's own, with what `setup` puts into it."""
    with copied_database(server, template=world) as database:
        if setup:
            database.run(setup)
        yield Project(database, SupabaseCli.make(cli_binary, folder / database.name, database.url))


@pytest.fixture(scope="session")
def pushed(
    versioned_server: Server, world: str, host: str, cli_binary: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pushed]:
    """A project into which `supabase db push` has brought our migrations."""
    folder = tmp_path_factory.mktemp("project")
    with project_on(versioned_server, cli_binary, folder, world=world, setup=HOSTS[host]) as project:
        before = fingerprint(project.database)
        tables = ("public.usage", "public.projects") if host == "inhabited" else ()
        rows_before = {table: rows(project.database, table) for table in tables}
        said = project.cli.push()
        yield Pushed(project.database, project.cli, said, before, rows_before)
