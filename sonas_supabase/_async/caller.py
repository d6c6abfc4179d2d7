"""What the chapters of the client have in common: a transport, and how often it may try."""

from __future__ import annotations

from typing import TypeVar

from sonas_supabase._async.transport import AsyncTransport, send_safely
from sonas_supabase._call import Call
from sonas_supabase.observe import observed

T = TypeVar("T")


class AsyncCaller:
    """Sends calls over one transport."""

    _transport: AsyncTransport
    _retries: int

    async def _call(self, call: Call[T]) -> T:
        with observed(call):
            return await send_safely(self._transport, call, self._retries)
