"""A hold extends itself while its block runs."""

from __future__ import annotations

import asyncio
import time
from uuid import UUID

from sonas_supabase import AsyncCreditsClient, CreditsClient
from tests.support.database import Database

EXTENDED = "select expires_at - created_at > interval '1.5 s' from public.credit_reservations where account_id = %s"


def test_in_a_thread(database: Database, user: UUID) -> None:
    with CreditsClient.from_url(database.url) as credits, credits.reserve(user, "message", 3, ttl_seconds=1) as hold:
        deadline = time.monotonic() + 20
        while not database.value(EXTENDED, user):
            assert time.monotonic() < deadline
        hold.capture(2)
    assert database.balance(user)["used"] == 2
    database.verify(user)


async def test_in_a_loop(database: Database, user: UUID) -> None:
    async with (
        AsyncCreditsClient.from_url(database.url) as credits,
        credits.reserve(user, "message", 3, ttl_seconds=1) as hold,
    ):
        deadline = time.monotonic() + 20
        while not await asyncio.to_thread(database.value, EXTENDED, user):
            assert time.monotonic() < deadline
        await hold.capture(2)
    assert database.balance(user)["used"] == 2
    database.verify(user)
