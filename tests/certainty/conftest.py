"""What the tests of this folder share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from sonas_supabase.doctor import examine
from tests.support.database import Database, call

Findings = set[tuple[str, str]]


@pytest.fixture
def host(database: Database) -> Iterator[psycopg.Connection[Any]]:
    """A project around the credits, to build in: everything that is made in it is gone after the test.

    Its owner is `postgres`, whose new objects are open to the API's users, as in many Supabase projects.
    """
    with database.connect(autocommit=False) as connection:
        connection.execute("grant usage on schema public to anon, authenticated")
        connection.execute(
            "alter default privileges in schema public grant all on tables to anon, authenticated, service_role"
        )
        connection.execute("set local search_path = public")
        try:
            yield connection
        finally:
            connection.rollback()


@pytest.fixture
def diagnosis(host: psycopg.Connection[Any]) -> Callable[[], list[dict[str, Any]]]:
    """What `sonas doctor` finds in the project as it stands: in the credit system, and in the project's own code."""
    return lambda: [*call(host, "diagnose")["findings"], *(asdict(found) for found in examine(host).findings)]


@pytest.fixture
def profiles(host: psycopg.Connection[Any]) -> str:
    """A table with balances that users may read and not write, which is as it should be."""
    name = f"profiles_{uuid4().hex[:8]}"
    host.execute(
        f"""
        create table {name} (id uuid primary key, credits integer not null default 10, name text);
        alter table {name} enable row level security;
        create policy "Users may read their profile" on {name} for select to authenticated using (id = auth.uid());
        revoke all on {name} from anon, authenticated;
        grant select on {name} to authenticated;
        """.encode()
    )
    return name
