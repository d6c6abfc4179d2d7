"""Real concurrency: threads with a connection each, let go at the same moment, and a look at who waits for whom."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import psycopg

from tests.support.database import Database, call

Contender = Callable[[psycopg.Connection[Any]], Any]
Operation = Callable[[psycopg.Connection[Any], UUID], Any]

PATIENCE = 30.0


def calling(function: str, *positional: Any, **named: Any) -> Contender:
    """A contender that calls one function."""
    return lambda connection: call(connection, function, *positional, **named)


def race(database: Database, contenders: Sequence[Contender]) -> list[Any]:
    """Runs all at once, each on its own connection; answers what each returned, or the database error it met."""
    barrier = threading.Barrier(len(contenders))

    def run(contender: Contender) -> Any:
        with database.connect() as connection:
            barrier.wait(PATIENCE)
            try:
                return contender(connection)
            except psycopg.Error as error:
                return error

    with ThreadPoolExecutor(len(contenders)) as pool:
        return [future.result() for future in [pool.submit(run, contender) for contender in contenders]]


class Waiting:
    """An operation in a thread of its own, on a connection of its own."""

    def __init__(self, database: Database, operation: Operation, user: UUID) -> None:
        self.connection = database.connect()
        self.outcome: Any = None
        self._thread = threading.Thread(target=self._run, args=(operation, user), daemon=True)
        self._thread.start()

    def _run(self, operation: Operation, user: UUID) -> None:
        try:
            self.outcome = operation(self.connection, user)
        except psycopg.Error as error:
            self.outcome = error

    def finish(self) -> Any:
        self._thread.join(30)
        assert not self._thread.is_alive()
        self.connection.close()
        return self.outcome


def slugs(outcomes: Sequence[Any]) -> list[str]:
    """`ok`, `replayed`, the code of a denial, or the message of an error, sorted."""
    return sorted(slug(outcome) for outcome in outcomes)


def slug(outcome: Any) -> str:
    if isinstance(outcome, psycopg.Error):
        return outcome.diag.message_primary or str(outcome)
    return "replayed" if outcome["replayed"] else str(outcome["code"])


def wait_until_blocked(database: Database, waiting: psycopg.Connection[Any]) -> list[int]:
    """Returns as soon as Postgres says that this connection waits for a lock: the ids of the backends that hold it."""
    deadline = time.monotonic() + PATIENCE
    pid = waiting.info.backend_pid
    with database.connect() as watcher:
        while time.monotonic() < deadline:
            row = watcher.execute("select pg_blocking_pids(%s)", [pid]).fetchone()
            if row and row[0]:
                return list(row[0])
    raise AssertionError(f"backend {pid} never waited for anybody")


def weaken(database: Database, function: str, guard: str, instead: str = "") -> None:
    """Takes a guard out of a function, to show that the tests would notice. Only for a database of one's own."""
    definition = database.value("select pg_get_functiondef(%s::regprocedure)", function)
    assert guard in definition, f"{function} has no {guard!r}"
    database.run(definition.replace(guard, instead).replace("%", "%%"))
