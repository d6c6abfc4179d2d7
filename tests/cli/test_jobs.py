"""The jobs of the local stack: what falls due is booked and the metrics are rolled up, without anybody coming by."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import pytest

from sonas_cli._jobs import running_jobs
from sonas_supabase.local import free_port
from tests.support.database import Database
from tests.support.people import all_due


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110 - the event is in the database
            await asyncio.sleep(0.05)


async def test_what_falls_due_is_booked_and_rolled_up_again_and_again(own_database: Database) -> None:
    database = own_database

    def everything_is_read() -> bool:
        return bool(database.call("metrics_health")["unread_balances"] == 0)

    async with running_jobs(database.url, every=0.2):
        user = database.new_user()
        hold = database.call("reserve_credits", user, "message", 2, ttl_seconds=1)["reservation_id"]
        await until(everything_is_read)
        status = "select status from public.credit_reservations where id = %s"
        await until(lambda: database.value(status, hold) == "expired")
        database.call("consume_credits", user, "message", 1)
        await until(everything_is_read)


async def test_more_than_a_batch_is_booked_before_the_next_turn(own_database: Database) -> None:
    all_due(own_database, 230)
    due = "select count(*) from credits.balances where due_at = '-infinity' and kind = 'credit'"
    async with running_jobs(own_database.url, every=600):
        await until(lambda: own_database.value(due) == 0)


async def test_a_database_that_is_down_is_told_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="sonas_supabase")
    nobody = f"postgresql://postgres@127.0.0.1:{free_port()}/postgres?connect_timeout=1"
    async with running_jobs(nobody, every=0.2):
        await until(lambda: sum("jobs of the local stack" in line for line in caplog.messages) > 1)
