"""A hold charges on success, gives back on failure, and never hides what went wrong."""

# ruff: noqa: PT012 - what is raised inside the hold's block is what is tested.

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from sonas_supabase import InsufficientCredits, InvalidAmount, ReservationClosed
from tests.support.api import Api
from tests.support.clients import make_client, until, until_blocked
from tests.support.database import Database


def balance(database: Database, user: UUID) -> tuple[int, int, int]:
    """Used, reserved, remaining."""
    row = database.balance(user)
    return row["used"], row["reserved"], row["remaining"]


async def test_success_charges_all_of_it(credits: Any, database: Database, user: UUID) -> None:
    async with credits.reserve(user, "message", 4, description="a chat", metadata={"a": 1}) as hold:
        assert balance(database, user) == (0, 4, 6)
        assert (hold.amount, hold.closed) == (4, False)
        assert hold.expires_at == hold.reservation.expires_at
    assert hold.closed
    assert balance(database, user) == (4, 0, 6)
    operation = await credits.explain_operation(user, hold.operation_id)
    assert operation.reservation["reservation_id"] == str(hold.reservation_id)
    assert (operation.description, operation.metadata) == ("a chat", {"a": 1})


async def test_capture_charges_what_it_says(credits: Any, database: Database, user: UUID) -> None:
    async with credits.reserve(user, "message", 4) as hold:
        captured = await hold.capture(1, description="short answer", metadata={"tokens": 7})
        assert (captured.captured, captured.released) == (1, 3)
    assert balance(database, user) == (1, 0, 9)
    operation = await credits.explain_operation(user, hold.operation_id)
    assert (operation.description, operation.metadata) == ("short answer", {"tokens": 7})


async def test_an_exception_gives_it_back(credits: Any, database: Database, user: UUID) -> None:
    error = ValueError("the model is down")
    with pytest.raises(ValueError, match="the model is down") as raised:
        async with credits.reserve(user, "message", 4) as hold:
            raise error
    assert raised.value is error
    assert hold.closed
    assert balance(database, user) == (0, 0, 10)
    reason = database.value("select close_reason from public.credit_reservations where id = %s", hold.reservation_id)
    assert reason == "ValueError"


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError])
async def test_an_interruption_gives_it_back(
    credits: Any, database: Database, user: UUID, interruption: type[BaseException]
) -> None:
    with pytest.raises(interruption):
        async with credits.reserve(user, "message", 4):
            raise interruption
    assert balance(database, user) == (0, 0, 10)


async def test_released_by_hand(credits: Any, database: Database, user: UUID) -> None:
    async with credits.reserve(user, "message", 4) as hold:
        assert (await hold.release("nothing found")).released == 4
    assert balance(database, user) == (0, 0, 10)


async def test_an_exception_after_the_capture_charges_it(credits: Any, database: Database, user: UUID) -> None:
    with pytest.raises(ValueError, match="late"):
        async with credits.reserve(user, "message", 4) as hold:
            await hold.capture(2)
            raise ValueError("late")
    assert balance(database, user) == (2, 0, 8)


async def test_a_broken_stream_charges_what_was_used(credits: Any, database: Database, user: UUID) -> None:
    used = 0
    with pytest.raises(ConnectionError):
        async with credits.reserve(user, "message", 5) as hold:
            try:
                for chunk in range(4):
                    if chunk == 3:
                        raise ConnectionError
                    used += 1
            finally:
                await hold.capture(used)
    assert balance(database, user) == (3, 0, 7)


async def test_the_same_capture_twice_is_one(credits: Any, database: Database, user: UUID) -> None:
    async with credits.reserve(user, "message", 4) as hold:
        assert not (await hold.capture(3)).replayed
        assert (await hold.capture(3)).replayed
        with pytest.raises(ReservationClosed):
            await hold.capture(2)
        with pytest.raises(ReservationClosed):
            await hold.release()
    assert balance(database, user) == (3, 0, 7)


async def test_a_capture_that_cannot_be_leaves_the_hold_open(credits: Any, database: Database, user: UUID) -> None:
    async with credits.reserve(user, "message", 4) as hold:
        with pytest.raises(InvalidAmount):
            await hold.capture(0)
        assert not hold.closed
        await hold.capture(1)
    assert balance(database, user) == (1, 0, 9)


async def test_a_denial_stops_before_the_block(credits: Any, user: UUID) -> None:
    entered = False
    with pytest.raises(InsufficientCredits) as denied:
        async with credits.reserve(user, "message", 11):
            entered = True
    assert not entered
    assert (denied.value.required, denied.value.available) == (11, 10)


async def test_a_hold_that_expired_meanwhile_says_so(credits: Any, database: Database, user: UUID) -> None:
    now = (await credits.mark_test_account(user)).now
    later = max(now, datetime.now(UTC)) + timedelta(seconds=120)
    with pytest.raises(ReservationClosed) as closed:
        async with credits.reserve(user, "message", 4, ttl_seconds=60):
            await credits.set_test_clock(user, later)
    assert closed.value.details["status"] == "expired"
    assert balance(database, user) == (0, 0, 10)


async def test_a_failing_release_never_hides_the_exception(
    shape: tuple[str, str], database: Database, api: Api, user: UUID, caplog: pytest.LogCaptureFixture
) -> None:
    transport, colour = shape
    url = database.url if transport == "postgres" else api.url
    client = make_client(transport, colour, url=url, secret_key=api.keys.secret_key, retries=0)
    with caplog.at_level(logging.WARNING, "sonas_supabase"), pytest.raises(ValueError, match="the real reason"):
        async with client.reserve(user, "message", 4):
            database.run("alter function public.release_credits rename to release_credits_another_day")
            raise ValueError("the real reason")
    database.run("alter function public.release_credits_another_day rename to release_credits")
    await client.close()
    assert "was not released and counts until" in caplog.text


async def test_a_hold_is_for_one_block(credits: Any, user: UUID) -> None:
    hold = credits.reserve(user, "message", 1)
    with pytest.raises(RuntimeError, match="when the block is entered"):
        _ = hold.reservation_id
    async with hold:
        pass
    with pytest.raises(RuntimeError, match="for one block"):
        async with hold:
            pass


@pytest.mark.parametrize("transport", ["postgres", "rpc"])
class TestCancellation:
    """Tasks are cancelled at awaits; threads are not, so this is asyncio's alone."""

    @pytest.fixture
    async def client(self, transport: str, database: Database, api: Api) -> Any:
        url = database.url if transport == "postgres" else api.url
        async with make_client(transport, "async", url=url, secret_key=api.keys.secret_key) as client:
            await client.list_plans()
            yield client

    async def test_a_cancelled_block_gives_it_back(self, client: Any, database: Database, user: UUID) -> None:
        working = asyncio.Event()

        async def work() -> None:
            async with client.reserve(user, "message", 4):
                working.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(work())
        await working.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert balance(database, user) == (0, 0, 10)

    async def test_a_second_cancellation_does_not_stop_the_release(
        self, client: Any, database: Database, user: UUID
    ) -> None:
        with database.connect(autocommit=False) as blocker:
            working = asyncio.Event()

            async def work() -> None:
                async with client.reserve(user, "message", 4):
                    # The release will have to wait for this lock.
                    blocker.execute("select 1 from credits.balances where account_id = %s for update", [user])
                    working.set()
                    await asyncio.Event().wait()

            task = asyncio.create_task(work())
            await working.wait()
            task.cancel()
            await until_blocked(database)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert balance(database, user) == (0, 4, 6)
            blocker.rollback()
        await _settled(database, user)

    async def test_cancelled_while_reserving_leaves_no_hold(self, client: Any, database: Database, user: UUID) -> None:
        with database.connect(autocommit=False) as blocker:
            blocker.execute("select 1 from credits.balances where account_id = %s for update", [user])

            async def work() -> None:
                async with client.reserve(user, "message", 4):
                    raise AssertionError("the block is never entered")

            task = asyncio.create_task(work())
            await until_blocked(database)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            blocker.rollback()
        await _settled(database, user)
        assert database.query("select status from public.credit_reservations where account_id = %s", user) == [
            ("released",)
        ]


async def _settled(database: Database, user: UUID) -> None:
    closed = "select count(*) from public.credit_reservations where account_id = %s and status = 'released'"
    await until(database, closed, 1, user)
    assert balance(database, user) == (0, 0, 10)
