"""Gives a plain Postgres what a hosted Supabase project has: roles, the auth schema, default privileges."""

from __future__ import annotations

from importlib.resources import files

import psycopg

from sonas_supabase import migrations
from sonas_supabase.local._problems import LocalProblem


def shape(superuser_url: str) -> None:
    """Runs the shim on the database of `superuser_url`. May be run again; changes nothing then."""
    shim = (files("sonas_supabase.local") / "supabase_shim.sql").read_text(encoding="utf-8")
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        connection.execute(shim.encode())


def migrate(url: str) -> list[str]:
    """Applies the pending migrations; answers the versions applied."""
    with psycopg.connect(url, autocommit=True) as connection:
        try:
            return [migration.version for migration in migrations.apply(connection)]
        except migrations.CannotMigrate as problem:
            raise LocalProblem(str(problem), problem.hint) from problem


def seed(url: str) -> None:
    """Runs supabase/seed.sql: the demo users and their projects table. May be run again."""
    text = (migrations.sql_folder() / "seed.sql").read_text(encoding="utf-8")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(text.encode())
