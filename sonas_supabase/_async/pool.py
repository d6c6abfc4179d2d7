"""The pool of the Postgres transport: connections opened by whoever needs one, so that what is wrong is said at once.

psycopg_pool opens its connections in the background: a caller waits for all of its timeout to learn that the password
is wrong, a fork shares its connections, and a pool belongs to one event loop.
"""

from __future__ import annotations

import select
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

from sonas_supabase._async.waiting import Homes, Slots, pause
from sonas_supabase._breaker import Breaker
from sonas_supabase._deadline import DEADLINE, Limits, TimeIsUp, bounded
from sonas_supabase._statement import connection_parameters, not_connected
from sonas_supabase.errors import CreditsUnavailable, PoolTimeout

_LONGEST_IDLE = 600.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0
# A call that only looks whether the database is back.
_PROBE = 2.0


class AsyncBoundedConnection(psycopg.AsyncConnection[Any]):
    """A connection that waits for nothing beyond its deadline."""

    deadline: float = float("inf")
    idle_since: float = 0.0

    async def wait(self, gen: Generator[Any, Any, Any], *args: Any, **options: Any) -> Any:
        """Like psycopg's, and TimeIsUp after the deadline."""
        return await super().wait(bounded(gen, self.deadline), *args, **options)

    @classmethod
    def _connect_gen(cls, *args: Any, **options: Any) -> Any:
        deadline = DEADLINE.get()
        steps = super()._connect_gen(*args, **options)
        return steps if deadline is None else bounded(steps, deadline)


class _Home:
    def __init__(self, size: int) -> None:
        self.slots = Slots(size)
        self.idle: list[AsyncBoundedConnection] = []
        self.closed = False


class AsyncPool:
    """At most ``size`` connections per process and event loop, the one used last first."""

    def __init__(self, database_url: str, *, size: int) -> None:
        self._parameters = connection_parameters(database_url)
        self._size = size
        self.breaker = Breaker()
        self._homes = Homes(lambda: _Home(size), _close_all)

    @asynccontextmanager
    async def connection(self, limits: Limits) -> AsyncIterator[AsyncBoundedConnection]:
        """A connection until the block ends. Raises CreditsError when there is none in time."""
        home = await self._homes.here()
        began = monotonic()
        if not await home.slots.take(limits.reach_by - began):
            raise PoolTimeout(
                f"All {self._size} connections stayed busy for {monotonic() - began:.1f} s.",
                hint="Give the client a larger pool_size.",
            )
        try:
            connection = await self._take(home, limits)
            try:
                yield connection
                self.breaker.worked()
            except TimeIsUp:
                self.breaker.was_silent(monotonic() - began)
                raise
            finally:
                await _give(home, connection)
        finally:
            home.slots.give()

    async def _take(self, home: _Home, limits: Limits) -> AsyncBoundedConnection:
        while home.idle:
            connection = home.idle.pop()
            if _is_usable(connection):
                connection.deadline = limits.deadline
                return connection
            await connection.close()
        connection = await self._connect(limits.reach_by, limits.probes)
        connection.deadline = limits.deadline
        return connection

    async def _connect(self, deadline: float, probes: bool) -> AsyncBoundedConnection:
        """Try until the deadline, as a server that starts again refuses for a moment; a probe tries once."""
        began = monotonic()
        seconds = _FIRST_PAUSE
        while True:
            tried = monotonic()
            until = min(deadline, monotonic() + _PROBE) if probes else deadline
            try:
                connection = await self._open(until)
            except CreditsUnavailable as error:
                if probes or monotonic() + seconds >= deadline:
                    self.breaker.failed(monotonic() - tried)
                    raise PoolTimeout(
                        f"The database could not be reached within {monotonic() - began:.1f} s: {error.message}",
                        details={"may_have_taken_effect": False},
                        hint="Try again later.",
                    ) from error
            else:
                return connection
            await pause(seconds)
            seconds = min(seconds * 2, _LONGEST_PAUSE)

    async def _open(self, deadline: float) -> AsyncBoundedConnection:
        token = DEADLINE.set(deadline)
        try:
            return await AsyncBoundedConnection.connect(
                **self._parameters,
                autocommit=True,
                # Poolers in transaction mode hand the next statement to another server process.
                prepare_threshold=None,
            )
        except TimeIsUp:
            raise CreditsUnavailable("no answer in time") from None
        except psycopg.Error as error:
            raise not_connected(error) from error
        finally:
            DEADLINE.reset(token)

    async def close(self) -> None:
        """Close the connections of this process and event loop."""
        await self._homes.end_here()


async def _give(home: _Home, connection: AsyncBoundedConnection) -> None:
    if home.closed or connection.closed or connection.info.transaction_status is not TransactionStatus.IDLE:
        await connection.close()
        return
    connection.idle_since = monotonic()
    home.idle.append(connection)


async def _close_all(home: _Home) -> None:
    home.closed = True
    while home.idle:
        await home.idle.pop().close()


def _is_usable(connection: AsyncBoundedConnection) -> bool:
    """Whether an idle connection is still one: a server that has gone has left its farewell there to be read."""
    if connection.closed or monotonic() - connection.idle_since > _LONGEST_IDLE:
        return False
    if not hasattr(select, "poll"):
        return True
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return not poll.poll(0)
