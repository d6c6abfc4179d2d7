"""The Postgres transports: psycopg 3, on a pool of this client's own or on a connection of the caller's."""

from __future__ import annotations

import json
from contextlib import nullcontext
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row
from psycopg_pool import AsyncConnectionPool
from psycopg_pool import PoolTimeout as PsycopgPoolTimeout

from sonas_supabase._call import Call
from sonas_supabase._statement import connection_parameters, statement, translated
from sonas_supabase.errors import CreditsError, PoolTimeout, UnexpectedAnswer

_Connection = psycopg.AsyncConnection[Any]


class AsyncPoolTransport:
    """Each call is a transaction of its own, on a pooled connection."""

    autonomous = True

    def __init__(self, database_url: str, *, pool_size: int, timeout: float) -> None:
        self._timeout = timeout
        self._pool = AsyncConnectionPool(
            # Poolers in transaction mode hand the next statement to another server process.
            kwargs={**connection_parameters(database_url), "autocommit": True, "prepare_threshold": None},
            min_size=0,
            max_size=pool_size,
            timeout=timeout,
            # A pool's attempts come ever more rarely. Given up, they begin afresh with the next caller.
            reconnect_timeout=timeout,
            open=False,
            name="sonas_supabase",
        )

    async def send(self, call: Call[Any]) -> Any:
        """Run the call once and return its JSON answer. Raises CreditsError."""
        await self._pool.open()
        try:
            async with self._pool.connection() as connection:
                return await _execute(connection, call)
        except PsycopgPoolTimeout as error:
            raise self._no_connection() from error
        except psycopg.OperationalError as error:
            if error.sqlstate is None:
                # One connection is dead; its neighbours probably died with it.
                await self._pool.check()
            raise translated(error) from error
        except psycopg.Error as error:
            raise translated(error) from error

    def _no_connection(self) -> CreditsError:
        if self._pool.get_stats().get("pool_size", 0) < self._pool.max_size:
            return PoolTimeout(
                f"The database could not be reached within {self._timeout:g} s.", hint="Try again later."
            )
        return PoolTimeout(
            f"All {self._pool.max_size} connections stayed busy for {self._timeout:g} s.",
            hint="Give the client a larger pool_size.",
        )

    async def close(self) -> None:
        """Close the pool."""
        await self._pool.close()


class AsyncConnectionTransport:
    """Calls join the transaction of a connection that the caller has open, and commit or roll back with it."""

    autonomous = False

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection

    async def send(self, call: Call[Any]) -> Any:
        """Run the call once and return its JSON answer. Raises CreditsError."""
        connection = self._connection
        begins = not connection.autocommit and _status(connection) is TransactionStatus.IDLE
        # A savepoint keeps a call that fails from taking the caller's own writes with it.
        inside = _status(connection) is TransactionStatus.INTRANS
        try:
            async with connection.transaction() if inside else nullcontext():
                return await _execute(connection, call)
        except psycopg.Error as error:
            if begins and not connection.closed:
                # The transaction began with this very call, so there is nothing in it but the failure.
                await connection.rollback()
            raise translated(error) from error

    async def close(self) -> None:
        """Leave the connection to its owner."""


async def _execute(connection: _Connection, call: Call[Any]) -> Any:
    async with connection.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(*statement(call))
        row = await cursor.fetchone()
    if row is None:
        raise UnexpectedAnswer(f"{call.function} answered no row.")
    return json.loads(row[0])


def _status(connection: _Connection) -> TransactionStatus:
    return connection.info.transaction_status
