"""A hold is handed over to another process, which charges it or gives it back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

import httpx
import pytest
import pytest_asyncio
from fastapi import HTTPException

from sonas_supabase import AsyncCreditsClient, AsyncHold, CreditsClient, Hold, InvalidArgument, ReservationClosed
from tests.fastapi.support import FiveMessages, bearer, calling, make_app, make_credits
from tests.support.database import Database


@pytest_asyncio.fixture(scope="module")
async def http(database: Database) -> AsyncIterator[httpx.AsyncClient]:
    credits = make_credits(database.url)
    app = make_app(credits)

    @app.post("/job")
    async def job(held: FiveMessages, fail: bool = False) -> str:
        token = held.detach()
        with pytest.raises(RuntimeError):
            held.detach()
        if fail:
            raise HTTPException(500, token)
        return token

    async with calling(app) as client:
        yield client
    await credits.client.close()


async def test_the_request_neither_charges_nor_gives_back(
    http: httpx.AsyncClient, database: Database, user: UUID
) -> None:
    tokens = [
        (await http.post("/job", headers=bearer(user))).json(),
        (await http.post("/job?fail=1", headers=bearer(user))).json()["detail"],
    ]
    balance = database.balance(user)
    assert (balance["used"], balance["reserved"]) == (0, 10)
    with CreditsClient.from_url(database.url) as credits:
        with Hold.from_token(tokens[0], credits) as hold:
            assert (hold.amount, hold.closed) == (5, False)
            hold.capture(3)
        with pytest.raises(ZeroDivisionError), Hold.from_token(tokens[1], credits):
            raise ZeroDivisionError
    balance = database.balance(user)
    assert (balance["used"], balance["reserved"]) == (3, 0)
    database.verify(user)


async def test_a_job_that_is_delivered_twice_is_done_once(
    http: httpx.AsyncClient, database: Database, user: UUID
) -> None:
    token = (await http.post("/job", headers=bearer(user))).json()
    async with AsyncCreditsClient.from_url(database.url) as credits:
        async with AsyncHold.from_token(token, credits):
            pass
        with pytest.raises(ReservationClosed) as closed:
            async with AsyncHold.from_token(token, credits):
                raise AssertionError("the work is not done again")
    assert closed.value.details["status"] == "captured"
    assert database.balance(user)["used"] == 5


def test_a_hold_of_a_block_is_handed_over_too(database: Database, user: UUID) -> None:
    with CreditsClient.from_url(database.url) as credits:
        with credits.reserve(user, "message", 4) as hold:
            token = hold.detach()
        assert database.balance(user)["reserved"] == 4
        with Hold.from_token(token, credits):
            pass
    balance = database.balance(user)
    assert (balance["used"], balance["reserved"]) == (4, 0)


def test_who_comes_too_late_does_not_begin(database: Database, user: UUID) -> None:
    with CreditsClient.from_url(database.url) as credits:
        with credits.reserve(user, "message", 4) as hold:
            token = hold.detach()
        credits.release_credits(user, hold.reservation_id)
        with pytest.raises(ReservationClosed), Hold.from_token(token, credits):
            raise AssertionError("the work is not done for nothing")


@pytest.mark.parametrize("token", ["", "nonsense", "bm9uc2Vuc2U", "e30", "W10", "\x00", "ä"])
def test_what_is_no_token_is_refused(database: Database, token: str) -> None:
    with CreditsClient.from_url(database.url) as credits, pytest.raises(InvalidArgument):
        Hold.from_token(token, credits)
