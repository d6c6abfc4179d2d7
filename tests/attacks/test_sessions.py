"""What a direct SQL session can do that no HTTP request can. A limit of docs/security.md, and the way out of it."""

from __future__ import annotations

import json

import psycopg
import pytest

from tests.support.database import Database

SHADOW = """
create temporary table seen (who name);
grant all on seen to public;
create function pg_temp.spy(v anyelement) returns boolean language plpgsql as
  $$ begin insert into pg_temp.seen values (current_user); return true; end $$;
create domain pg_temp.uuid as pg_catalog.uuid check (pg_temp.spy(value));
create domain pg_temp.jsonb as pg_catalog.jsonb check (pg_temp.spy(value));
"""


def ran_as(database: Database) -> list[str]:
    """Whose rights a check of the caller's ran with, in a session of a signed-in user."""
    with database.connect() as connection:
        claims = json.dumps({"sub": str(database.new_user()), "role": "authenticated"})
        connection.execute("select set_config('request.jwt.claims', %s, false)", [claims])
        connection.execute("set role authenticated")
        connection.execute(SHADOW.encode())
        connection.execute("select public.get_credit_summary()")
        return [row[0] for row in connection.execute("select distinct who from pg_temp.seen").fetchall()]


def test_a_session_with_temporary_types_reaches_the_owner_unless_it_can_have_none(own_database: Database) -> None:
    assert ran_as(own_database) == ["postgres"], "no longer so? Then docs/security.md and tools.toml can say so."

    own_database.run(f"revoke temporary on database {own_database.name} from public")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="temporary"):
        ran_as(own_database)
