"""What asyncio and threads do differently. This file has a hand-written twin in ``_sync``."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

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
