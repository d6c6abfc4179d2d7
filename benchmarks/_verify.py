"""How long it takes to check the always-true rules of a grown ledger, rule by rule, and to digest it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

import psycopg
from psycopg.types.json import Jsonb

from benchmarks._figures import Figure
from benchmarks._server import Server

RULES = (1, 2, 3, 4, 5, 7, 8)


Entry = dict[str, Any]


def digest(connection: psycopg.Connection[Any]) -> list[Entry]:
    """The digests of all of the ledger, page by page as `sonas verify --save-digest` reads them."""
    entries: list[Entry] = []
    while True:
        after = Jsonb(entries[-1]) if entries else None
        row = connection.execute("select public.ledger_digest(p_after => %s)", [after]).fetchone()
        assert row is not None
        entries += row[0]["entries"]
        if row[0]["is_last"]:
            return entries


def same(connection: psycopg.Connection[Any], entries: list[Entry]) -> bool:
    """Whether they are what they were, asked for as `sonas verify --digest` does."""
    done = 0
    while done < len(entries):
        asked = entries[done : done + 5_000]
        row = connection.execute("select public.ledger_digest(p_ends => %s)", [Jsonb(asked)]).fetchone()
        assert row is not None
        answered = row[0]["entries"]
        if answered != asked[: len(answered)] or not answered:
            return False
        done += len(answered)
    return True


class Size(Protocol):
    """How large the books are."""

    @property
    def accounts(self) -> int: ...
    @property
    def rows(self) -> int: ...


def verify(server: Server, plan: Size, say: Callable[[str], None]) -> list[Figure]:
    """Grows the books to `rows` ledger rows and as many of usage, then checks each rule once."""
    accounts = min(plan.accounts, 5_000)
    say("filling")
    server.add_database("books", accounts)
    say(f"growing to {plan.rows:,} rows")
    server.run_file("books", "grow.sql", rows=plan.rows, accounts=accounts)
    seconds: dict[str, float] = {}
    with server.connect("books") as connection:
        for rule in RULES:
            say(f"rule {rule}")
            began = time.perf_counter()
            row = connection.execute("select public.verify_books(p_rule => %s)", [rule]).fetchone()
            seconds[f"rule {rule}"] = time.perf_counter() - began
            if row is None or not row[0]["success"]:
                raise SystemExit(f"rule {rule} does not hold: {row}")
        seconds["all rules"] = sum(seconds.values())
        say("digest")
        began = time.perf_counter()
        entries = digest(connection)
        seconds["digest"] = time.perf_counter() - began
        say(f"{len(entries):,} digests again")
        began = time.perf_counter()
        if not same(connection, entries):
            raise SystemExit("the history changed while it was read")
        seconds["digest again"] = time.perf_counter() - began
    return [Figure("verify", name, "seconds", (taken,), {}) for name, taken in seconds.items()]
