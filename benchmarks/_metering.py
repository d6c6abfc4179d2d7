"""Rows of a metered table beside rows of a plain one, written by one statement."""

from __future__ import annotations

from time import perf_counter
from uuid import uuid4

from benchmarks._figures import Figure, Run, take_turns
from benchmarks._server import Server

TABLE = "id bigint generated always as identity primary key, owner_id uuid not null, name text"
INSERT = "insert into {} (owner_id, name) select %s, 'row ' || n from generate_series(1, %s) n"


def _statements(server: Server, database: str, rows: int) -> dict[str, Run]:
    """Milliseconds that one statement takes, its commit included."""
    with server.connect(database) as connection:
        owner = uuid4()
        connection.execute("insert into auth.users (id) values (%s)", [owner])
        connection.execute("select public.change_plan(%s, 'starter')", [owner])
        for table in ("plain", "metered"):
            connection.execute(f"create table public.{table} ({TABLE})".encode())
        connection.execute("select credits.meter_table('public.metered', 'project', 'owner_id')")
        connection.commit()

    def timed(statement: str, *arguments: object) -> Run:
        def run() -> float:
            with server.connect(database) as connection:
                started = perf_counter()
                connection.execute(statement.encode(), arguments or None)
                connection.commit()
                return (perf_counter() - started) * 1000

        return run

    return {
        f"insert {rows:,} plain rows": timed(INSERT.format("public.plain"), owner, rows),
        f"insert {rows:,} metered rows": timed(INSERT.format("public.metered"), owner, rows),
        f"insert {2 * rows:,} metered rows": timed(INSERT.format("public.metered"), owner, 2 * rows),
    }


def metering(server: Server, rounds: int, rows: int = 1_000) -> list[Figure]:
    """A thousand rows of one owner, on a plan without a limit."""
    server.add_database("bench", 1)
    sides = _statements(server, "bench", rows)
    floor = next(iter(sides))
    return take_turns("metering", sides, (floor,), rounds=rounds, say=lambda _: None, unit="ms")
