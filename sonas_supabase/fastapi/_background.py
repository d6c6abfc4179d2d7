"""The one keeper of background tasks: what has to come to its end whatever happens to the request."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

# asyncio keeps only weak references to tasks.
_running: set[asyncio.Task[Any]] = set()


def start(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Run the work in a task of its own, and keep it until it has ended."""
    task = asyncio.ensure_future(work)
    _running.add(task)
    task.add_done_callback(_running.discard)
    return task


async def finish(work: Coroutine[Any, Any, T]) -> T:
    """Do the work to its end, even if the caller is cancelled meanwhile."""
    return await asyncio.shield(start(work))
