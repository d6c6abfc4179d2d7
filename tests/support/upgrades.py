"""Releases: the migrations in a row end where the sources end, from every release on, with data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from uuid import uuid4

import psycopg

from sonas_supabase import local, migrations
from tests.contract.catalog import fingerprint
from tests.support.database import Database
from tests.support.server import Server


@contextmanager
def empty_database(server: Server) -> Iterator[Database]:
    """A Supabase database without our migrations, dropped at the end."""
    name = f"empty_{uuid4().hex[:12]}"
    with psycopg.connect(server.superuser_url("postgres"), autocommit=True) as connection:
        connection.execute(f"create database {name}".encode())
        database = Database(server, name)
        try:
            local.shape(server.superuser_url(name))
            yield database
        finally:
            database.close()
            connection.execute(f"drop database {name} with (force)".encode())


def apply(database: Database, *texts: str) -> None:
    """Each text in a transaction of its own, as the Supabase CLI does it."""
    for text in texts:
        with database.connection.transaction():
            database.run(text)


def catalog(database: Database) -> set[str]:
    """Definitions, privileges and comments, and what the doctor expects; the mark of a text apart."""
    lines = [re.sub(r"Release \S+, text [0-9a-f]{16}", "", line) for line in fingerprint(database)]
    expected = database.query("select object, kind, definition from credits.installed_objects")
    return {*lines, *(f"expected {kind} {name}: {definition}" for name, kind, definition in expected)}


def differences(database: Database, wanted: set[str]) -> list[str]:
    found = catalog(database)
    return sorted([f"missing: {line}" for line in wanted - found] + [f"too much: {line}" for line in found - wanted])


def some_of_everything(database: Database) -> None:
    """Data as a release leaves it, made by the functions that every release has."""
    for plan in ("free", "starter", "pro"):
        user = database.new_user()
        if plan != "free":
            database.call("change_plan", user, plan)
        spent = database.call("consume_credits", user, "message", 3, idempotency_key="once")
        database.call("refund_credits", user, spent["operation_id"], 1)
        database.call("consume_credits", user, "message", 10**9)
        database.call("grant_credits", user, "message", 20, "top_up")
        held = database.call("reserve_credits", user, "integration", 5)
        database.call("capture_credits", user, held["reservation_id"], 2)
        database.call("reserve_credits", user, "integration", 4)


def check_releases(server: Server, build: ModuleType) -> list[str]:
    """What differs between the sources and the migrations, from nothing and from every frozen release on."""
    files = migrations.read_folder(build.MIGRATIONS)
    found = []
    with empty_database(server) as made:
        apply(made, build.build_sources())
        wanted = catalog(made)
    with empty_database(server) as made:
        apply(made, *(file.sql for file in files))
        found += [f"all migrations: {line}" for line in differences(made, wanted)]
    for count, file in enumerate(files, 1):
        if file.path.name not in build.frozen():
            continue
        with empty_database(server) as made:
            apply(made, *(earlier.sql for earlier in files[:count]))
            some_of_everything(made)
            made.verify()
            apply(made, *(later.sql for later in files[count:]))
            made.verify()
            some_of_everything(made)
            made.verify()
            found += [f"from {file.name}: {line}" for line in differences(made, wanted)]
    return found
