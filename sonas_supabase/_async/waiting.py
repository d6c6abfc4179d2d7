"""What asyncio and threads do differently. This file has a hand-written twin in ``_sync``."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")

pause = asyncio.sleep

_log = logging.getLogger("sonas_supabase")
# asyncio keeps only weak references to tasks.
_going_on: set[asyncio.Task[Any]] = set()


async def see_through(work: Callable[[], Awaitable[T]], undo: Callable[[T], Awaitable[object]] | None = None) -> T:
    """Do the work even if the caller is cancelled meanwhile; ``undo`` then takes back what nobody waits for."""
    task = asyncio.ensure_future(work())
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if not task.cancelled():
            _go_on(_finish(task, undo))
        raise


async def _finish(task: asyncio.Future[T], undo: Callable[[T], Awaitable[object]] | None) -> None:
    try:
        result = await task
        if undo is not None:
            await undo(result)
    except Exception as error:
        _log.warning("what was cancelled could not be finished: %s", error)


def _go_on(coroutine: Any) -> None:
    task = asyncio.ensure_future(coroutine)
    _going_on.add(task)
    task.add_done_callback(_going_on.discard)


State = TypeVar("State")
within = asyncio.timeout
"""Ends what is in the block with TimeoutError when the seconds are over."""


def cutting(seconds: float, connection: Any) -> asyncio.Timeout:
    """Ends what is in the block with TimeoutError when the seconds are over; a task can be cancelled, so nothing is
    cut."""
    return asyncio.timeout(seconds)


def every(seconds: float, work: Callable[[], Awaitable[object]]) -> Callable[[], object]:
    """Do the work every so many seconds, until what this answers is called. It costs a timer until it is time."""
    loop = asyncio.get_running_loop()
    timers: list[asyncio.TimerHandle] = []

    async def once() -> None:
        await work()
        if timers:
            timers[:] = [loop.call_later(seconds, begin)]

    def begin() -> None:
        _go_on(once())

    def stop() -> None:
        for timer in timers:
            timer.cancel()
        timers.clear()

    timers.append(loop.call_later(seconds, begin))
    return stop


class Slots:
    """So many callers at once; the others wait."""

    def __init__(self, number: int) -> None:
        self._free = asyncio.Semaphore(number)

    async def take(self, seconds: float) -> bool:
        """Wait for a place; False when there was none in time."""
        if not self._free.locked():
            return await self._free.acquire()
        try:
            async with asyncio.timeout(max(seconds, 0)):
                return await self._free.acquire()
        except TimeoutError:
            return False

    def give(self) -> None:
        """Leave the place."""
        self._free.release()


class Homes(Generic[State]):
    """What belongs to one event loop of one process: neither a fork nor another loop may use its connections."""

    def __init__(self, make: Callable[[], State], end: Callable[[State], Awaitable[object]]) -> None:
        self._make = make
        self._end = end
        self._homes: dict[tuple[int, int], tuple[asyncio.AbstractEventLoop, State, AsyncGenerator[None]]] = {}

    async def here(self) -> State:
        """The state of this loop, made at its first use. It ends with the loop, or by :meth:`end_here`."""
        loop = asyncio.get_running_loop()
        key = (os.getpid(), id(loop))
        found = self._homes.get(key)
        if found is None or found[0] is not loop:
            state = self._make()
            keeper = self._keep(key, state)
            # A loop that shuts down closes the asynchronous generators that began in it, and so what they keep.
            await anext(keeper)
            found = self._homes[key] = (loop, state, keeper)
        return found[1]

    async def _keep(self, key: tuple[int, int], state: State) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            self._homes.pop(key, None)
            await self._end(state)

    async def end_here(self) -> None:
        """End the state of this loop."""
        found = self._homes.get((os.getpid(), id(asyncio.get_running_loop())))
        if found is not None:
            await found[2].aclose()


def OVER_ASYNCPG(connection: Any) -> Any:
    """The transport over a connection of asyncpg."""
    from sonas_supabase._async.of_asyncpg import AsyncpgTransport

    return AsyncpgTransport(connection)


def is_mine(connection: Any) -> bool:
    """Whether a connection of SQLAlchemy is one for asyncio."""
    return hasattr(connection, "sync_session") or hasattr(connection, "sync_connection")
