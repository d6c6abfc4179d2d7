"""The Postgres transports: psycopg 3, on a pool of this client's own or on a connection of the caller's."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from sonas_supabase._async.pool import AsyncPool
from sonas_supabase._breaker import Breaker
from sonas_supabase._call import Call
from sonas_supabase._deadline import Limits, TimeIsUp, bounded
from sonas_supabase._failures import of_driver, unreachable
from sonas_supabase._statement import statement
from sonas_supabase.errors import NotConfigured, UnexpectedAnswer

_Connection = psycopg.AsyncConnection[Any]


class AsyncPoolTransport:
    """Each call is a transaction of its own, on a pooled connection."""

    autonomous = True

    def __init__(self, database_url: str, *, pool_size: int) -> None:
        self._pool = AsyncPool(database_url, size=pool_size)
        self.breaker: Breaker | None = self._pool.breaker

    async def send(self, call: Call[Any], limits: Limits) -> Any:
        """Run the call once and return its JSON answer. Raises CreditsError."""
        try:
            async with self._pool.connection(limits) as connection:
                return await _execute(connection, call)
        except TimeIsUp:
            raise unreachable("The database did not answer in time.", may_have_taken_effect=True) from None
        except psycopg.Error as error:
            raise of_driver(error) from error

    async def close(self) -> None:
        """Close the pool."""
        await self._pool.close()


class AsyncConnectionTransport:
    """Calls join the transaction of a connection that the caller has open, and commit or roll back with it."""

    autonomous = False
    breaker: Breaker | None = None

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        self._process = os.getpid()

    async def send(self, call: Call[Any], limits: Limits) -> Any:
        """Run the call once and return its JSON answer. Raises CreditsError."""
        connection = self._connection
        if os.getpid() != self._process:
            raise NotConfigured(
                "This connection belongs to the process that this one was forked from.",
                hint="Open a connection in this process.",
            )
        if connection.closed:
            raise NotConfigured("This connection is closed.", hint="Open another one.")
        begins = not connection.autocommit and _status(connection) is TransactionStatus.IDLE
        # A savepoint keeps a call that fails from taking the caller's own writes with it.
        inside = _status(connection) is TransactionStatus.INTRANS
        try:
            async with _giving_up(connection, limits.deadline), connection.transaction() if inside else nullcontext():
                return await _execute(connection, call)
        except TimeIsUp:
            # The connection is in the middle of an answer and good for nothing any more.
            await connection.close()
            raise unreachable("The database did not answer in time.", may_have_taken_effect=False) from None
        except psycopg.Error as error:
            if begins and not connection.closed:
                # The transaction began with this very call, so there is nothing in it but the failure.
                await connection.rollback()
            raise of_driver(error) from error

    async def close(self) -> None:
        """Leave the connection to its owner."""


@asynccontextmanager
async def _giving_up(connection: _Connection, deadline: float) -> AsyncIterator[None]:
    """Let the caller's connection wait for nothing beyond the deadline while the block runs."""
    wait = connection.wait

    def wait_in_time(gen: Any, *args: Any, **options: Any) -> Any:
        return wait(bounded(gen, deadline), *args, **options)

    vars(connection)["wait"] = wait_in_time
    try:
        yield
    finally:
        vars(connection).pop("wait", None)


async def _execute(connection: _Connection, call: Call[Any]) -> Any:
    # A connection of the caller's may make cursors that read other placeholders.
    async with psycopg.AsyncCursor(connection, row_factory=tuple_row) as cursor:
        await cursor.execute(*statement(call))
        row = await cursor.fetchone()
    if row is None:
        raise UnexpectedAnswer(f"{call.function} answered no row.")
    return json.loads(row[0])


def _status(connection: _Connection) -> TransactionStatus:
    return connection.info.transaction_status
