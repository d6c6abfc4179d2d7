"""What a spend leaves behind: bytes on the disk, as they lie and compacted, and bytes of WAL."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from benchmarks._figures import Figure
from benchmarks._pgbench import pgbench

if TYPE_CHECKING:
    from benchmarks._sections import Plan
    from benchmarks._server import Server

OURS = "public.credit_transactions, public.usage, credits.idempotency_keys, credits.balances, public.credit_grants"
WAL = "select pg_current_wal_insert_lsn() - '0/0'::pg_lsn"
# The script, the tables that it writes, and the one whose rows count its runs.
SIDES = {
    "consume_credits": ("consume", OURS, "public.credit_transactions"),
    "consume_credits with a key": ("consume_with_key", OURS, "public.credit_transactions"),
    "a peer's transfer": ("peer_transfer", "peer.accounts, peer.transfers, peer.entries", "peer.transfers"),
    "one statement": ("floor_one_statement", "floor.balances, floor.ledger", "floor.ledger"),
}


def size(server: Server, plan: Plan, say: Callable[[str], None]) -> list[Figure]:
    """Bytes that one spend leaves behind."""
    say("filling")
    server.add_database("bench", plan.accounts)
    found: list[Figure] = []
    for name, (script, tables, counted) in SIDES.items():
        say(name)
        with server.connect("bench") as connection:

            def number(sql: str, connection: object = connection) -> float:
                row = connection.execute(sql.encode()).fetchone()  # type: ignore[attr-defined]
                return float(row[0])

            on_disk = " + ".join(f"pg_total_relation_size('{table.strip()}')" for table in tables.split(","))
            rows = f"select count(*) from {counted}"
            run = partial(
                pgbench, server, "bench", script, clients=plan.clients, accounts=plan.accounts, seconds=plan.seconds
            )
            for table in tables.split(","):
                connection.execute(f"vacuum full {table}".encode())
            empty, first = number(f"select {on_disk}"), number(rows)
            # Every page is written whole to the WAL when it is first touched after a checkpoint: all of that first.
            run()
            before, wal = number(rows), number(WAL)
            run()
            after = number(rows)
            written = (number(WAL) - wal) / (after - before)
            lying = (number(f"select {on_disk}") - empty) / (after - first)
            for table in tables.split(","):
                connection.execute(f"vacuum full {table}".encode())
            compact = (number(f"select {on_disk}") - empty) / (after - first)
        for what, value in (("compacted", compact), ("as it lies", lying), ("WAL", written)):
            found.append(Figure("size", f"{name}, {what}", "bytes", (value,), {}))
    return found
