"""A hold extends itself while its block runs."""

from __future__ import annotations

import asyncio
import threading
import time
from uuid import UUID

import psycopg

from sonas_supabase import AsyncCreditsClient, CreditsClient, Hold
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


def test_where_another_process_has_taken_it_up(database: Database, user: UUID) -> None:
    """It may have waited in a queue for most of its time, and the work may take longer than that."""
    with CreditsClient.from_url(database.url) as credits:
        with credits.reserve(user, "message", 3, ttl_seconds=2) as hold:
            token = hold.detach()
        with Hold.from_token(token, credits):
            deadline = time.monotonic() + 20
            while not database.value(EXTENDED.replace("1.5", "3.0"), user):
                assert time.monotonic() < deadline
    assert database.balance(user)["used"] == 3


def test_nothing_is_done_behind_the_back_of_a_callers_transaction(database: Database, user: UUID) -> None:
    with psycopg.connect(database.url) as connection:
        credits = CreditsClient.from_connection(connection)
        before = set(threading.enumerate())
        with credits.reserve(user, "message", 3, ttl_seconds=1):
            assert not set(threading.enumerate()) - before


def watchers() -> int:
    return [thread.name for thread in threading.enumerate()].count("sonas-holds")


def test_one_thread_watches_and_ends_after_the_last_hold(database: Database, user: UUID) -> None:
    with CreditsClient.from_url(database.url) as credits:
        for _ in range(2):
            with credits.reserve(user, "message", 1, ttl_seconds=1):
                assert watchers() == 1
        deadline = time.monotonic() + 20
        while watchers():
            assert time.monotonic() < deadline


def test_a_hold_that_was_dropped_is_extended_no_more(database: Database, user: UUID) -> None:
    """As that of a response which never went out."""
    with CreditsClient.from_url(database.url) as credits:
        credits.reserve(user, "message", 1, ttl_seconds=1).__enter__()
        deadline = time.monotonic() + 20
        while watchers() or database.balance(user)["reserved"]:
            assert time.monotonic() < deadline
