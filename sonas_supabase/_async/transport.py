"""What a transport is, and when it may send a call again."""

from __future__ import annotations

import logging
import random
from dataclasses import replace
from time import monotonic
from typing import Any, Protocol, TypeVar

from sonas_supabase._async.waiting import pause
from sonas_supabase._breaker import Breaker
from sonas_supabase._call import Call
from sonas_supabase._deadline import Limits
from sonas_supabase.errors import CreditsUnavailable, PoolTimeout

T = TypeVar("T")

_log = logging.getLogger("sonas_supabase")
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 2.0


class AsyncTransport(Protocol):
    """One way to the SQL functions."""

    autonomous: bool
    """Whether each call is a transaction of its own. Only then can a lost one be sent again."""

    async def send(self, call: Call[Any], limits: Limits) -> Any:
        """Run the call once, within its limits, and return its JSON answer. Raises CreditsError."""

    breaker: Breaker | None
    """What knows whether the database is away; None on a connection of the caller's."""

    async def close(self) -> None:
        """Close what this transport opened itself."""


async def send_safely(transport: AsyncTransport, call: Call[T], retries: int, limits: Limits) -> T:
    """Send a call, and send it again when it got lost, doing so cannot double its effect, and there is time left."""
    if transport.autonomous and retries:
        call = call.with_key()
    # While the database is known to be away, a call only looks whether it is back.
    if transport.breaker is not None and transport.breaker.admit():
        limits, retries = replace(limits, probes=True), 0
    unsure = False
    for attempt in range(retries + 1):
        try:
            return call.read(await transport.send(call, limits))
        except CreditsUnavailable as lost:
            # What an earlier attempt may have done stays possible, however the last one ended.
            unsure = unsure or lost.may_have_taken_effect
            lost.details["may_have_taken_effect"] = unsure
            safe = transport.autonomous and (call.repeatable or not unsure)
            # A pool has waited for as long as it may.
            if not safe or attempt == retries or isinstance(lost, PoolTimeout):
                raise
            # Jitter keeps clients that failed together from coming back together.
            seconds = random.uniform(0, min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**attempt))  # noqa: S311
            if monotonic() + seconds >= limits.deadline:
                raise
            _log.warning(
                "%s got lost (%s); sending it again in %.2f s, attempt %d of %d",
                call.function,
                lost,
                seconds,
                attempt + 2,
                retries + 1,
            )
            await pause(seconds)
    raise AssertionError("the last attempt returns or raises")
