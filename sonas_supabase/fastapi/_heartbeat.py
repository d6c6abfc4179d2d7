"""What has to be said again and again while a request is being worked on, so that it does not lapse."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from sonas_supabase.fastapi import _background

_log = logging.getLogger("sonas_supabase")


class Heartbeat:
    """Does ``beat`` every so many seconds, until it is stopped. It costs a timer, and a task only when it is time."""

    def __init__(self, seconds: float, beat: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._seconds = seconds
        self._beat = beat
        self._is_stopped = False
        self._timer = asyncio.get_running_loop().call_later(seconds, self._begin)

    def stop(self) -> None:
        """Let it lapse."""
        self._is_stopped = True
        self._timer.cancel()

    def _begin(self) -> None:
        _background.start(self._once())

    async def _once(self) -> None:
        try:
            await self._beat()
        except Exception as error:
            _log.warning("what should not lapse could not be renewed: %s", error)
        if not self._is_stopped:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._begin)
