"""A hold that is captured elsewhere: in the transaction of the app's own writes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from sonas_supabase import AsyncCreditsClient, CreditsError, InsufficientCredits, Reservation, ReservationClosed

HOLD_SECONDS = 600
"""How long the work may take. If the process dies in it, the credits are back after this time."""

_log = logging.getLogger("sonas_supabase.web")
_going_on: set[asyncio.Task[Any]] = set()


@asynccontextmanager
async def holding(
    credits: AsyncCreditsClient, user_id: UUID, credit_type: str, *, description: str
) -> AsyncIterator[Reservation]:
    """One credit, set aside while the block runs; given back when it fails. The block captures it itself."""
    try:
        reservation = await credits.reserve_credits(
            user_id, credit_type, description=description, ttl_seconds=HOLD_SECONDS
        )
    except InsufficientCredits as denial:
        denial.details["credit_type"] = credit_type
        raise
    try:
        yield reservation
    except BaseException as failure:
        await _to_the_end(_give_back(credits, user_id, reservation, type(failure).__name__))
        raise


async def _give_back(credits: AsyncCreditsClient, user_id: UUID, reservation: Reservation, reason: str) -> None:
    """Releases a hold, if it is still one. A failure is logged: the hold expires by itself."""
    try:
        await credits.release_credits(user_id, reservation.reservation_id, reason=reason)
    except ReservationClosed:
        return
    except CreditsError as error:
        _log.warning("hold %s counts until %s: %s", reservation.reservation_id, reservation.expires_at, error)


async def _to_the_end(work: Awaitable[object]) -> None:
    """Waits for the work; when the caller is cancelled meanwhile, the work goes on without it."""
    task = asyncio.ensure_future(work)
    _going_on.add(task)
    task.add_done_callback(_going_on.discard)
    await asyncio.shield(task)
