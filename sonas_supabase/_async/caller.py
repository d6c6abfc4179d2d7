"""What the chapters of the client have in common: a transport, and how often it may try."""

from __future__ import annotations

from time import monotonic
from typing import TypeVar

from sonas_supabase._async.transport import AsyncTransport, send_safely
from sonas_supabase._call import Call
from sonas_supabase._deadline import SLOW, Limits, checked_retries, checked_timeout
from sonas_supabase.errors import NotConfigured
from sonas_supabase.observe import observed

T = TypeVar("T")


class AsyncCaller:
    """Sends calls over one transport."""

    _transport: AsyncTransport
    _retries: int
    _timeout: float
    _closed: bool = False

    async def _call(self, call: Call[T], timeout: float | None, retries: int | None) -> T:
        usual = max(self._timeout, SLOW) if call.slow else self._timeout
        seconds = usual if timeout is None else checked_timeout(timeout)
        times = self._retries if retries is None else checked_retries(retries)
        if self._closed:
            raise NotConfigured("This client is closed.", hint="Make a new client, or close this one later.")
        now = monotonic()
        limits = Limits(deadline=now + seconds, reach_by=now + min(seconds, self._timeout))
        with observed(call):
            return await send_safely(self._transport, call, times if self._transport.autonomous else 0, limits)
