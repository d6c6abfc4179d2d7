"""What a spend leaves behind: bytes on the disk, as they lie and compacted, and bytes of WAL."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg

from benchmarks._figures import Figure
from benchmarks._pgbench import pgbench

if TYPE_CHECKING:
    from benchmarks._sections import Plan
    from benchmarks._server import Server

OURS = (
    "public.credit_transactions",
    "public.usage",
    "credits.idempotency_keys",
    "credits.balances",
    "public.credit_grants",
)
THEIRS = ("public.pgledger_accounts", "public.pgledger_transfers", "public.pgledger_entries")
KEYED = "consume_credits with a key"
PGLEDGER = "pgledger's transfer"
SORTED = f"{KEYED}, ids by time"
# The script, the tables that it writes, and the one whose rows count its runs.
SIDES = {
    "consume_credits": ("consume", OURS, "public.credit_transactions"),
    KEYED: ("consume_with_key", OURS, "public.credit_transactions"),
    SORTED: ("consume_with_key", OURS, "public.credit_transactions"),
    PGLEDGER: ("pgledger_transfer", THEIRS, "public.pgledger_transfers"),
    "one statement": ("floor_one_statement", ("floor.balances", "floor.ledger"), "floor.ledger"),
}
# As many accounts as are filled in seconds, and as many spends of each that index pages have split for good.
ACCOUNTS = 1_000
SPENDS = 20


def _number(connection: psycopg.Connection[Any], sql: str) -> float:
    row = connection.execute(sql.encode()).fetchone()
    assert row is not None
    return float(row[0])


def _sort_ids(connection: psycopg.Connection[Any]) -> None:
    """Makes the ids of operations and of rows in usage UUIDv7, which Postgres has from 18 on."""
    row = connection.execute(
        "select pg_get_functiondef(p.oid) from pg_proc p "
        "where p.proname = 'consume' and p.pronamespace = 'credits'::regnamespace"
    ).fetchone()
    assert row is not None
    connection.execute(row[0].replace("gen_random_uuid()", "uuidv7()").encode())
    connection.execute("alter table public.usage alter column id set default uuidv7()")


def size(server: Server, plan: Plan, say: Callable[[str], None]) -> list[Figure]:
    """Bytes that one spend leaves behind, each side in a database of its own."""
    found: list[Figure] = []
    accounts = min(plan.accounts, ACCOUNTS)
    for number, (name, (script, tables, counted)) in enumerate(SIDES.items()):
        if name == PGLEDGER and not server.pgledger:
            continue
        database = f"size_{number}"
        say(f"{name}: filling")
        server.add_database(database, accounts)
        say(name)
        run = partial(
            pgbench, server, database, script, clients=plan.clients, accounts=accounts, transactions=accounts * SPENDS
        )
        with server.connect(database) as connection:
            if name == SORTED:
                if _number(connection, "select current_setting('server_version_num')") < 180000:
                    continue
                _sort_ids(connection)
            on_disk = "select " + " + ".join(f"pg_total_relation_size('{table}')" for table in tables)
            rows = f"select count(*) from {counted}"
            wal = "select pg_current_wal_insert_lsn() - '0/0'::pg_lsn"
            for table in tables:
                connection.execute(f"vacuum full {table}".encode())
            empty, first = _number(connection, on_disk), _number(connection, rows)
            # Every page is written whole to the WAL when it is first touched after a checkpoint: all of that first.
            run()
            before, start = _number(connection, rows), _number(connection, wal)
            run()
            after = _number(connection, rows)
            written = (_number(connection, wal) - start) / (after - before)
            lying = (_number(connection, on_disk) - empty) / (after - first)
            for table in tables:
                connection.execute(f"vacuum full {table}".encode())
            compact = (_number(connection, on_disk) - empty) / (after - first)
        for what, value in (("compacted", compact), ("as it lies", lying), ("WAL", written)):
            found.append(Figure("size", f"{name}, {what}", "bytes", (value,), {}))
    return found
