"""An answer in time, or none: whoever scrapes gives up after some seconds, and then learns nothing at all."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from sonas_supabase import CreditsError

T = TypeVar("T")


class Patience(Generic[T]):
    """Asks in a thread of its own, one question at a time: a database that hangs collects no queue of them."""

    def __init__(self, question: Callable[[], T], seconds: float) -> None:
        self._question = question
        self._seconds = seconds
        self._lock = threading.Lock()
        self._asked: Future[T] | None = None

    def ask(self) -> T:
        """The answer, or what the question raised; `TimeoutError` when neither came in time."""
        with self._lock:
            if self._asked is None or self._asked.done():
                self._asked = Future()
                # A process that ends does not wait for an answer that may never come.
                threading.Thread(target=self._answer, args=(self._asked,), daemon=True).start()
            asked = self._asked
        return asked.result(self._seconds)

    def _answer(self, asked: Future[T]) -> None:
        try:
            asked.set_result(self._question())
        except BaseException as error:
            asked.set_exception(error)


class AsyncPatience(Generic[T]):
    """The same for a coroutine: one question at a time, and each scrape waits as long as it may."""

    def __init__(self, question: Callable[[], Awaitable[T]], seconds: float) -> None:
        self._question = question
        self._seconds = seconds
        self._asked: asyncio.Future[T] | None = None

    async def ask(self) -> T | None:
        """The answer; None when it did not come in time, or failed."""
        if self._asked is None or self._asked.done():
            self._asked = asyncio.ensure_future(self._question())
        try:
            return await asyncio.wait_for(asyncio.shield(self._asked), self._seconds)
        except (CreditsError, TimeoutError):
            return None
