"""Holds that outlive their answer, their time, or belong to a workspace."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID, uuid4

import httpx
import pytest
import pytest_asyncio
from fastapi import Depends

from sonas_supabase import AsyncCreditsClient, CreditsUnavailable, Reservation
from sonas_supabase.fastapi import Credits, Spend, spend
from tests.fastapi.support import add_routes, bearer, calling, make_app, make_credits, settled, until
from tests.support.database import Database


class Stuttering(AsyncCreditsClient):
    """A client whose first answer always gets lost, so that what it answers is the replay."""

    async def reserve_credits(self, *arguments: Any, **options: Any) -> Reservation:
        await super().reserve_credits(*arguments, **options)
        return await super().reserve_credits(*arguments, **options)


class Unable(AsyncCreditsClient):
    """A client that cannot extend a hold, as when the database is away just then."""

    async def extend_reservation(self, *arguments: Any, **options: Any) -> Reservation:
        raise CreditsUnavailable("away")


class Slow(AsyncCreditsClient):
    """A client that holds at once and takes its time to say so."""

    held = asyncio.Event()
    say_so = asyncio.Event()

    async def reserve_credits(self, *arguments: Any, **options: Any) -> Reservation:
        reservation = await super().reserve_credits(*arguments, **options)
        self.held.set()
        await self.say_so.wait()
        return reservation


@pytest_asyncio.fixture(scope="module")
async def http(database: Database) -> AsyncIterator[httpx.AsyncClient]:
    credits = make_credits(database.url)
    credits.books.client = Unable.from_url(database.url)
    app = make_app(credits)

    @app.post("/long/{others_spend}")
    async def long(others_spend: int, held: Annotated[Spend, Depends(spend("message", 4, ttl_seconds=1))]) -> str:
        held.cost = 3
        await until(lambda: database.balance(held.user.id)["remaining"] == 10)
        if others_spend:
            database.call("consume_credits", held.user.id, "message", others_spend)
        return "done"

    @app.post("/team")
    async def team(
        held: Annotated[Spend, Depends(spend("message", 1, workspace=lambda request: request.headers.get("team")))],
    ) -> str:
        return "done"

    async with calling(app) as client:
        yield client
    await credits.client.close()


async def test_work_that_outlives_its_hold_is_charged(http: httpx.AsyncClient, database: Database, user: UUID) -> None:
    assert (await http.post("/long/0", headers=bearer(user))).status_code == 200
    balance = database.balance(user)
    assert (balance["used"], balance["reserved"]) == (3, 0)
    database.verify(user)


async def test_work_that_outlives_its_hold_and_the_credits_is_logged(
    http: httpx.AsyncClient, database: Database, user: UUID, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "sonas_supabase"):
        assert (await http.post("/long/9", headers=bearer(user))).status_code == 200
    assert "2 credits could not be charged: insufficient_credits" in caplog.text
    balance = database.balance(user)
    assert (balance["used"], balance["remaining"], balance["reserved"]) == (10, 0, 0), "what is there is charged"
    [row] = database.call("list_uncollected", user)["rows"]
    assert (row["credit_type"], row["amount"], row["reason"]) == ("message", 2, "insufficient_credits")


async def test_an_answer_that_got_lost_is_no_conflict(database: Database, user: UUID) -> None:
    steady = make_credits(database.url)
    async with Stuttering.from_url(database.url) as client:
        app = make_app(Credits(client, steady.auth))
        add_routes(app)
        async with calling(app) as http:
            answer = await http.post("/one", headers=bearer(user))
            assert (answer.status_code, answer.json()["replayed"]) == (200, False)
            assert (await http.post("/denied-later", headers=bearer(user))).status_code == 418
    balance = database.balance(user)
    assert (balance["used"], balance["reserved"]) == (1, 0)


async def test_what_was_held_for_a_request_that_was_cancelled_meanwhile_is_given_back(
    database: Database, user: UUID
) -> None:
    auth = make_credits(database.url).auth
    async with Slow.from_url(database.url) as client:
        app = make_app(Credits(client, auth))
        add_routes(app)
        async with calling(app) as http:
            request = asyncio.create_task(http.post("/one", headers=bearer(user)))
            await client.held.wait()
            assert database.balance(user)["reserved"] == 1
            request.cancel()
            with pytest.raises(asyncio.CancelledError):
                await request
            client.say_so.set()
            await settled(database, user)
    assert database.balance(user)["used"] == 0


async def test_a_workspace_pays_for_its_members(http: httpx.AsyncClient, database: Database, user: UUID) -> None:
    database.run("update credits.settings set workspace_credits = 'free'")
    team = database.value("insert into public.credit_workspaces (name) values ('team') returning account_id")
    database.run("insert into public.credit_workspace_members (account_id, user_id) values (%s, %s)", team, user)
    database.run("select credits.open_account(%s, 'workspace')", team)
    assert (await http.post("/team", headers=bearer(user) | {"team": str(team)})).status_code == 200
    assert (database.balance(team)["used"], database.balance(user)["used"]) == (1, 0)
    assert (await http.post("/team", headers=bearer(user))).status_code == 200
    assert database.balance(user)["used"] == 1

    stranger = database.new_user()
    for named in (str(team), str(uuid4()), "no uuid at all"):
        answer = await http.post("/team", headers=bearer(stranger) | {"team": named})
        assert (answer.status_code, answer.json()["code"]) == (403, "account_not_found")


async def test_a_hold_lives_as_long_as_its_request(database: Database, user: UUID) -> None:
    credits = make_credits(database.url)
    app = make_app(credits)
    extended = "select expires_at - created_at > interval '1.5 s' from public.credit_reservations where account_id = %s"

    @app.post("/extended")
    async def wait(held: Annotated[Spend, Depends(spend("message", 4, ttl_seconds=1))]) -> None:
        await until(lambda: bool(database.value(extended, user)))

    async with calling(app) as http:
        assert (await http.post("/extended", headers=bearer(user))).status_code == 200
    await credits.client.close()
    holds = "select array_agg(status) from public.credit_reservations where account_id = %s"
    assert database.value(holds, user) == ["captured"]
    assert database.balance(user)["used"] == 4
