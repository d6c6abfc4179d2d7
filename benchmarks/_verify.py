"""How long it takes to check the always-true rules of a grown ledger, rule by rule as `sonas verify` does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from benchmarks._figures import Figure
from benchmarks._server import Server

RULES = (1, 2, 3, 4, 5, 7, 8)


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
    return [Figure("verify", name, "seconds", (taken,), {}) for name, taken in seconds.items()]
