"""What is measured: over many accounts, on one, through PostgREST, as the ledger grows, and step by step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from benchmarks._figures import Figure, Run, take_turns
from benchmarks._http import consume_body, load, postgrest
from benchmarks._instructions import instructions
from benchmarks._pgbench import pgbench
from benchmarks._server import Server
from benchmarks._size import size
from benchmarks._steps import steps
from benchmarks._verify import verify
from benchmarks._wal import wal

Say = Callable[[str], None]
FLOORS = ("two statements", "one statement")


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    seconds: float
    rounds: int
    clients: int
    accounts: int
    rows: int


def _runs(server: Server, plan: Plan, database: str, script: str, accounts: int) -> Run:
    return partial(pgbench, server, database, script, clients=plan.clients, accounts=accounts, seconds=plan.seconds)


def _direct(section: str, server: Server, plan: Plan, say: Say, accounts: int) -> list[Figure]:
    say("filling")
    server.add_database("bench", plan.accounts)
    sides = {
        "consume_credits": _runs(server, plan, "bench", "consume", accounts),
        "consume_credits with a key": _runs(server, plan, "bench", "consume_with_key", accounts),
        "two statements": _runs(server, plan, "bench", "floor_two_statements", accounts),
        "one statement": _runs(server, plan, "bench", "floor_one_statement", accounts),
    }
    if server.pgledger:
        sides["pgledger's transfer"] = _runs(server, plan, "bench", "pgledger_transfer", accounts)
    # The first touch of a page after a checkpoint writes the whole page to the WAL: all of that before the first round.
    for name, run in sides.items():
        say(f"warming up {name}")
        run()
    return take_turns(section, sides, FLOORS, rounds=plan.rounds, say=say)


def many(server: Server, plan: Plan, say: Say) -> list[Figure]:
    """Over many accounts: what the machine does."""
    return _direct("many", server, plan, say, plan.accounts)


def hot(server: Server, plan: Plan, say: Say) -> list[Figure]:
    """On one account: what its lock allows."""
    return _direct("hot", server, plan, say, 1)


def holds(server: Server, plan: Plan, say: Say) -> list[Figure]:
    """Pairs of reserve and capture beside spends, over many accounts and on one, there also by one client."""
    say("filling")
    server.add_database("bench", plan.accounts)
    pair, alone = "reserve_and_capture", replace(plan, clients=1)
    sides = {
        "reserve and capture": _runs(server, plan, "bench", pair, plan.accounts),
        "consume_credits": _runs(server, plan, "bench", "consume", plan.accounts),
        "reserve and capture, one account": _runs(server, plan, "bench", pair, 1),
        "reserve and capture, one account, one client": _runs(server, alone, "bench", pair, 1),
    }
    return take_turns("holds", sides, ("consume_credits",), rounds=plan.rounds, say=say)


def budgets(server: Server, plan: Plan, say: Say) -> list[Figure]:
    """Spends under two budgets beside spends under none, over many accounts."""
    free, two, key = "no budget", "two budgets", "two budgets beside one of a key"
    files = {free: (), two: ("two_budgets.sql",), key: ("two_budgets.sql", "budget_of_a_key.sql")}
    sides: dict[str, Run] = {}
    accounts = min(plan.accounts, 1_000)
    for number, (name, scripts) in enumerate(files.items()):
        say(f"filling for {name}")
        server.add_database(f"budgets_{number}", accounts)
        for script in scripts:
            server.run_file(f"budgets_{number}", script, accounts=accounts)
        sides[name] = _runs(server, plan, f"budgets_{number}", "consume", accounts)
    for name, run in sides.items():
        say(f"warming up {name}")
        run()
    return take_turns("budgets", sides, (free,), rounds=plan.rounds, say=say)


def batch(server: Server, plan: Plan, say: Say) -> list[Figure]:
    """Spends per second on one account: in batches of 100, and one by one."""
    say("filling")
    server.add_database("bench", plan.accounts)
    batches = _runs(server, plan, "bench", "batch", 1)
    sides: dict[str, Run] = {
        "batches of 100": lambda: 100 * batches(),
        "one by one": _runs(server, plan, "bench", "consume", 1),
    }
    return take_turns("batch", sides, ("one by one",), rounds=plan.rounds, say=say)


def api(server: Server, plan: Plan, say: Say) -> list[Figure]:
    """Through PostgREST, beside a function that does `select 1`."""
    say("filling")
    server.add_database("bench", plan.accounts)
    with postgrest(server, "bench") as (url, token):
        call = partial(load, url, token, clients=plan.clients, seconds=plan.seconds)
        sides: dict[str, Run] = {
            "consume_credits": lambda: call("consume_credits", consume_body(plan.accounts)),
            "consume_credits, one account": lambda: call("consume_credits", consume_body(1)),
            "select 1": lambda: call("select_one", lambda: "{}"),
        }
        for name, run in sides.items():
            say(f"warming up {name}")
            run()
        return take_turns("api", sides, ("select 1",), rounds=plan.rounds, say=say)


def growth(server: Server, plan: Plan, say: Say) -> list[Figure]:
    """A young and a grown ledger side by side. One account of the grown one has a fifth of all its rows."""
    accounts = min(plan.accounts, 5_000)
    for database in ("young", "grown"):
        say(f"filling {database}")
        server.add_database(database, accounts)
    figures: list[Figure] = []
    for share in (5, 1):
        rows = plan.rows // share
        say(f"growing to {rows:,} rows")
        server.run_file("grown", "grow.sql", rows=rows, accounts=accounts)
        young, grown = "young", f"{rows:,} rows"
        sides = {
            young: _runs(server, plan, "young", "consume", accounts),
            grown: _runs(server, plan, "grown", "consume", accounts),
            f"{young}, one account": _runs(server, plan, "young", "consume", 1),
            f"{grown}, one account": _runs(server, plan, "grown", "consume", 1),
        }
        for database in ("young", "grown"):
            say(f"warming up {database}")
            _runs(server, replace(plan, seconds=max(2 * plan.seconds, accounts / 500)), database, "consume", accounts)()
        found = take_turns("growth", sides, (young, f"{young}, one account"), rounds=plan.rounds, say=say)
        figures += [
            replace(figure, floors={young: figure.floors[young]})
            if figure.name == grown
            else replace(figure, floors={young: figure.floors[f"{young}, one account"]})
            if figure.name == f"{grown}, one account"
            else figure
            for figure in found
        ]
    return figures


def each_step(server: Server, plan: Plan, say: Say) -> list[Figure]:
    """What each step of a spend takes inside of one backend."""
    say("filling")
    server.add_database("bench", plan.accounts)
    return take_turns(
        "steps", steps(server, "bench", plan.accounts), (), rounds=max(plan.rounds, 5), say=say, unit="µs"
    )


SECTIONS: dict[str, Callable[[Server, Plan, Say], list[Figure]]] = {
    "many": many,
    "hot": hot,
    "holds": holds,
    "budgets": budgets,
    "batch": batch,
    "size": size,
    "wal": wal,
    "instructions": instructions,
    "api": api,
    "growth": growth,
    "steps": each_step,
    "verify": verify,
}
