"""Clients that are killed: before commit, after commit, and inside a hold."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.support.database import Database

# Says where it has come to, and waits there to be killed.
PROGRAM = """
import sys, time
import psycopg
from sonas_supabase import CreditsClient

url, user, where = sys.argv[1:]
with psycopg.connect(url) as connection:
    credits = CreditsClient.from_connection(connection)
    if where == "inside a hold":
        credits.reserve_credits(user, "message", 4, ttl_seconds=2)
        connection.commit()
    else:
        credits.consume_credits(user, "message", 4)
        if where == "after commit":
            connection.commit()
    print("here", flush=True)
    time.sleep(600)
"""


def kill_at(database: Database, user: UUID, where: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, database.url, str(user), where], stdout=subprocess.PIPE, text=True
    ) as client:
        assert client.stdout
        assert client.stdout.readline() == "here\n"
        client.kill()


@pytest.mark.parametrize(("where", "left"), [("before commit", 10), ("after commit", 6)])
def test_a_killed_client_has_spent_what_it_committed(
    database: Database, new_user: Callable[[], UUID], where: str, left: int
) -> None:
    user = new_user()
    kill_at(database, user, where)
    # Whoever locks the balance next waits until the server has noticed.
    assert database.call("consume_credits", user, "message", 1)["remaining"] == left - 1
    database.verify(user)


def test_a_client_killed_inside_a_hold_costs_nothing_once_it_has_expired(
    database: Database, new_user: Callable[[], UUID]
) -> None:
    user = new_user()
    kill_at(database, user, "inside a hold")
    held = database.balance(user)
    assert (held["remaining"], held["reserved"]) == (6, 4)
    expires_at: Any = database.value("select expires_at from public.credit_reservations where account_id = %s", user)
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("select pg_sleep_until(%s)", (expires_at,))
    free = database.balance(user)
    assert (free["remaining"], free["reserved"]) == (10, 0)
    assert database.call("consume_credits", user, "message", 10)["success"] is True
    database.verify(user)
