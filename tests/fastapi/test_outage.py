"""A database that cannot be reached: routes that refuse, routes that go on, and the journal in between."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated
from uuid import UUID

import httpx
import pytest
import pytest_asyncio
from fastapi import Depends, HTTPException

from sonas_supabase import AsyncCreditsClient, NotConfigured
from sonas_supabase.fastapi import Credits, Journal, Replay, Spend, Uncollected, spend
from sonas_supabase.fastapi._spend_request import SpendRequest
from tests.fastapi.outage import Line, line_to
from tests.fastapi.support import OneMessage, bearer, calling, make_app, make_credits
from tests.support.database import Database

GoesOn = Annotated[Spend, Depends(spend("message", 1, on_unavailable="allow"))]


@dataclass
class Shop:
    """An application behind a line that can be cut."""

    http: httpx.AsyncClient
    line: Line
    journal: Journal
    path: Path
    client: AsyncCreditsClient
    credits: Credits
    ran: int = 0


@pytest_asyncio.fixture
async def shop(database: Database, tmp_path: Path) -> AsyncIterator[Shop]:
    async with opened(database, Journal(tmp_path / "journal"), tmp_path / "journal") as shop:
        yield shop


@asynccontextmanager
async def opened(database: Database, journal: Journal | None, path: Path) -> AsyncIterator[Shop]:
    async with line_to(database) as line, AsyncCreditsClient.from_url(database.url) as client:
        credits = make_credits(line.url, journal=journal, timeout=0.5, retries=0)
        app = make_app(credits)
        async with calling(app) as http:
            shop = Shop(http, line, journal or Journal(path), path, client, credits)

            @app.post("/closed")
            async def closed(held: OneMessage) -> None:
                shop.ran += 1

            @app.post("/open/{cost}")
            async def go_on(cost: int, held: GoesOn) -> bool:
                shop.ran += 1
                held.cost = cost
                return held.operation_id is not None

            @app.post("/fails")
            async def fails(held: GoesOn) -> None:
                raise HTTPException(500)

            @app.post("/cut")
            async def cut(held: OneMessage) -> None:
                await line.cut()

            @app.post("/cut-at-work")
            async def cut_at_work(held: Annotated[Spend, Depends(spend("message", 3, charge="on_start"))]) -> None:
                await line.cut()
                raise HTTPException(500)

            yield shop
        await credits.client.close()


def asks(user: UUID, *, key: str = "k", ttl_seconds: int = 900) -> SpendRequest:
    return SpendRequest(
        key=key, user_id=user, workspace_id=None, credit_type="message", amount=1, description="", metadata={},
        ttl_seconds=ttl_seconds,
    )  # fmt: skip


async def test_a_route_refuses_by_default(shop: Shop, database: Database, user: UUID) -> None:
    await shop.line.cut()
    answer = await shop.http.post("/closed", headers=bearer(user))
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.headers["retry-after"] == "5"
    assert shop.ran == 0
    assert await shop.journal.pending() == 0


async def test_a_route_may_go_on_and_is_booked_later(shop: Shop, database: Database, user: UUID) -> None:
    await shop.line.cut()
    answer = await shop.http.post("/open/3", headers=bearer(user))
    assert (answer.status_code, answer.json()) == (200, False)
    assert "ratelimit" not in answer.headers
    assert database.balance(user)["used"] == 0
    assert await shop.journal.pending() == 1
    assert shop.path.stat().st_mode & 0o777 == 0o600

    away = AsyncCreditsClient.from_url(shop.line.url, timeout=0.5, retries=0)
    assert await shop.journal.replay(away) == Replay(booked=0, waiting={"unavailable": 1})
    await away.close()

    assert await shop.journal.replay(shop.client) == Replay(booked=1, waiting={})
    assert database.balance(user)["used"] == 3
    assert await shop.journal.replay(shop.client) == Replay(booked=0, waiting={})
    database.verify(user)


async def test_while_the_database_is_there_nothing_is_journaled(shop: Shop, database: Database, user: UUID) -> None:
    assert (await shop.http.post("/open/1", headers=bearer(user))).json() is True
    assert database.balance(user)["used"] == 1
    assert not shop.path.exists()


async def test_a_failure_or_a_cost_of_nothing_is_not_journaled(shop: Shop, user: UUID) -> None:
    await shop.line.cut()
    assert (await shop.http.post("/fails", headers=bearer(user))).status_code == 500
    assert (await shop.http.post("/open/0", headers=bearer(user))).status_code == 200
    assert await shop.journal.pending() == 0


async def test_an_outage_lets_no_stranger_in(shop: Shop) -> None:
    await shop.line.cut()
    assert (await shop.http.post("/open/1")).status_code == 401
    assert shop.ran == 0


async def test_a_replay_that_broke_off_books_once(shop: Shop, database: Database, user: UUID) -> None:
    await shop.line.cut()
    for _ in range(3):
        await shop.http.post("/open/2", headers=bearer(user))
    written = shop.path.read_bytes()
    assert (await shop.journal.replay(shop.client)).booked == 3
    # What a replay leaves that was killed after booking and before saying so.
    shop.path.write_bytes(written)
    assert (await shop.journal.replay(shop.client)).booked == 3
    shop.path.write_bytes(written)
    await asyncio.gather(*(Journal(shop.path).replay(shop.client) for _ in range(4)))
    balance = database.balance(user)
    assert (balance["used"], balance["reserved"]) == (6, 0)
    database.verify(user)


async def test_a_retry_after_the_outage_costs_once(shop: Shop, database: Database, user: UUID) -> None:
    headers = {**bearer(user), "idempotency-key": "k"}
    await shop.line.cut()
    for _ in range(2):
        assert (await shop.http.post("/open/1", headers=headers)).status_code == 200
    await shop.line.mend()
    while (answer := await shop.http.post("/open/1", headers=headers)).json() is False:
        pass
    assert answer.status_code == 200
    await shop.journal.replay(shop.client)
    assert await shop.journal.pending() == 0
    assert database.balance(user)["used"] == 1


async def test_a_charge_that_cannot_be_made_is_kept(shop: Shop, database: Database, user: UUID) -> None:
    assert (await shop.http.post("/cut", headers=bearer(user))).status_code == 200
    assert database.balance(user)["reserved"] == 1
    assert await shop.journal.pending() == 1
    assert (await shop.journal.replay(shop.client)).booked == 1
    balance = database.balance(user)
    assert (balance["used"], balance["reserved"]) == (1, 0)
    assert len(database.query("select id from public.credit_reservations where account_id = %s", user)) == 1


async def test_what_cannot_be_given_back_is_kept_too(shop: Shop, database: Database, user: UUID) -> None:
    assert (await shop.http.post("/cut-at-work", headers=bearer(user))).status_code == 500
    assert database.balance(user)["used"] == 3
    written = shop.path.read_bytes()
    assert await shop.journal.replay(shop.client) == Replay(booked=1, waiting={})
    assert database.balance(user)["used"] == 0
    shop.path.write_bytes(written)
    assert (await shop.journal.replay(shop.client)).booked == 1
    assert database.balance(user)["used"] == 0, "a refund that is done twice is one"
    database.verify(user)


async def test_what_can_never_be_given_back_is_owed(shop: Shop, database: Database, user: UUID) -> None:
    await shop.http.post("/cut-at-work", headers=bearer(user))
    [operation] = database.value(
        "select array_agg(distinct operation_id) from public.usage where account_id = %s", user
    )
    database.call("refund_credits", user, operation)
    for _ in range(10):
        replay = await shop.journal.replay(shop.client)
    assert [letter.credits for letter in replay.dead] == [-3]
    told = database.call("list_uncollected", user)
    assert (told["totals"], told["owed"]) == ({}, {"message": 3})


async def test_what_cannot_be_paid_waits(shop: Shop, database: Database, user: UUID) -> None:
    await shop.line.cut()
    await shop.http.post("/open/1", headers=bearer(user))
    database.call("consume_credits", user, "message", 10)
    assert await shop.journal.replay(shop.client) == Replay(booked=0, waiting={"insufficient_credits": 1})
    database.call("reset_monthly_credits", user)
    assert await shop.journal.replay(shop.client) == Replay(booked=1, waiting={})
    assert database.balance(user)["remaining"] == 9


async def test_what_cannot_be_paid_is_given_up_after_ten_refusals(shop: Shop, database: Database, user: UUID) -> None:
    await shop.line.cut()
    await shop.http.post("/open/1", headers=bearer(user))
    database.call("consume_credits", user, "message", 10)
    for _ in range(9):
        assert (await shop.journal.replay(shop.client)).waiting == {"insufficient_credits": 1}
    [letter] = (await shop.journal.replay(shop.client)).dead
    assert (letter.user_id, letter.credits, letter.reason) == (str(user), 1, "insufficient_credits")
    assert await shop.journal.dead_letters() == [letter]
    assert database.call("list_uncollected", user)["totals"] == {"message": 1}
    assert await shop.journal.replay(shop.client) == Replay(booked=0, waiting={})
    denied = "select count(*) from public.usage where user_id = %s and status = 'denied'"
    assert database.value(denied, user) == 10, "and none more, however often it is replayed"

    database.call("reset_monthly_credits", user)
    assert await shop.journal.revive() == 1
    assert (await shop.journal.replay(shop.client)).booked == 1
    assert database.balance(user)["used"] == 1


@pytest.mark.parametrize("odd", ["", "nonsense", "[]", "{}", '{"user_id": "nobody", "workspace_id": null}'])
async def test_an_odd_entry_is_set_aside(shop: Shop, user: UUID, odd: str) -> None:
    await shop.line.cut()
    await shop.http.post("/open/1", headers=bearer(user))
    with sqlite3.connect(shop.path) as file:
        file.execute("update spends set request = ?", (odd,))
    await shop.http.post("/open/1", headers=bearer(user))
    replay = await shop.journal.replay(shop.client)
    assert (replay.booked, replay.waiting) == (1, {})
    assert [(letter.reason, letter.request) for letter in replay.dead] == [("unreadable", odd)]
    assert await shop.journal.pending() == 0


async def test_a_user_is_served_so_much_unheld_and_no_more(database: Database, user: UUID, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    async with opened(database, Journal(path, most_per_user=3), path) as shop:
        await shop.line.cut()
        answers = await asyncio.gather(*(shop.http.post("/open/1", headers=bearer(user)) for _ in range(10)))
        assert sorted(answer.status_code for answer in answers) == [200] * 3 + [503] * 7
        assert shop.ran == 3
        other = database.new_user()
        assert (await shop.http.post("/open/1", headers=bearer(other))).status_code == 200
        assert (await shop.journal.replay(shop.client)).booked == 4
        assert (await shop.http.post("/open/1", headers=bearer(user))).status_code == 200


async def test_what_a_killed_worker_had_let_in_does_not_count_for_ever(shop: Shop, user: UUID) -> None:
    request = asks(user, ttl_seconds=1)
    assert await shop.journal.open(request)
    long_ago = (datetime.now(UTC) - timedelta(seconds=2)).isoformat()
    with sqlite3.connect(shop.path) as file:
        file.execute("update spends set at = ?", (long_ago,))
    assert await shop.journal.open(request)
    with sqlite3.connect(shop.path) as file:
        assert file.execute("select count(*) from spends").fetchone() == (1,)
    assert await shop.journal.pending() == 0, "what runs is not charged yet"


async def test_what_works_for_longer_than_others_hold_is_charged_too(shop: Shop, user: UUID) -> None:
    long, short = asks(user, ttl_seconds=86400), asks(user, ttl_seconds=1)
    entries = [await shop.journal.open(request) for request in (long, short)]
    an_hour_ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    with sqlite3.connect(shop.path) as file:
        file.execute("update spends set at = ?", (an_hour_ago,))
    assert await shop.journal.open(short)
    with sqlite3.connect(shop.path) as file:
        assert {row[0] for row in file.execute("select id from spends")} >= {entries[0]} != {entries[1]}
    for entry, request in zip(entries, (long, short), strict=True):
        assert entry is not None
        await shop.journal.settle(entry, request, 2)
        await shop.journal.settle(entry, request, 3)
    assert await shop.journal.pending() == 2, "also what was taken for killed"


async def test_an_odd_entry_hides_no_other(shop: Shop, user: UUID) -> None:
    await shop.journal.append(asks(user, key="odd"), 1)
    with sqlite3.connect(shop.path) as file:
        file.execute("update spends set request = 'nonsense'")
    await shop.journal.append(asks(user, key="k"), 1)
    assert await shop.journal.holds(user, "k")
    assert not await shop.journal.holds(user, "odd")


@pytest.mark.parametrize("kind", ["another file", "a folder"])
async def test_a_journal_that_cannot_be_written_lets_nobody_in(
    database: Database, user: UUID, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "journal"
    if kind == "a folder":
        path.mkdir()
    else:
        path.write_text("something else entirely, and long enough to be looked at " * 20)
    async with opened(database, Journal(path), path) as shop:
        told: list[Uncollected] = []
        shop.credits.books.on_uncollected = told.append
        assert (await shop.http.post("/cut", headers=bearer(user))).status_code == 200
        assert [entry.credits for entry in told] == [1], "what was done is told, if it cannot be kept"
        for headers in ({}, {"idempotency-key": "k"}):
            refused = await shop.http.post("/open/1", headers=bearer(user) | headers)
            assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        assert shop.ran == 0


async def test_another_file_is_no_journal(tmp_path: Path, user: UUID) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("something else entirely, and long enough to be looked at " * 20)
    with pytest.raises(NotConfigured, match="no journal"):
        await Journal(path).pending()
    assert path.read_text().startswith("something else")


async def test_a_journal_may_be_shared(shop: Shop, user: UUID) -> None:
    await shop.line.cut()
    await asyncio.gather(*(shop.http.post("/open/1", headers=bearer(user)) for _ in range(30)))
    assert await Journal(shop.path).pending() == 30


async def test_going_on_without_a_journal_is_a_mistake(database: Database, user: UUID, tmp_path: Path) -> None:
    async with opened(database, None, tmp_path / "none") as shop:
        answer = await shop.http.post("/open/1", headers=bearer(user))
    assert (answer.status_code, answer.json()["code"]) == (500, "misconfigured")
    assert shop.ran == 0
