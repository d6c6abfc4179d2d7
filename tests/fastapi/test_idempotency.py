"""The ``Idempotency-Key`` header: a request that is sent again costs once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Annotated
from uuid import UUID, uuid4

import httpx
import pytest_asyncio
from fastapi import Body, FastAPI, HTTPException, Request

from tests.fastapi.support import OneMessage, add_routes, bearer, calling, make_app, make_credits
from tests.support.database import Database


class Mood:
    """What the next requests of a user come to."""

    def __init__(self) -> None:
        self.failures: dict[UUID, int] = {}
        self.reached = asyncio.Event()
        self.open = asyncio.Event()


@pytest_asyncio.fixture(scope="module")
async def mood() -> Mood:
    return Mood()


@pytest_asyncio.fixture(scope="module")
async def http(database: Database, mood: Mood) -> AsyncIterator[httpx.AsyncClient]:
    credits = make_credits(database.url)
    app: FastAPI = make_app(credits)
    add_routes(app)

    @app.post("/unsteady")
    async def unsteady(held: OneMessage) -> bool:
        if mood.failures.get(held.user.id, 0) > 0:
            mood.failures[held.user.id] -= 1
            raise HTTPException(500)
        return held.replayed

    @app.post("/slow")
    async def slow(held: OneMessage) -> str:
        mood.reached.set()
        await mood.open.wait()
        return "done"

    @app.post("/raw")
    async def raw(request: Request, held: OneMessage) -> int:
        return len(await request.body())

    @app.post("/item/{number}")
    async def item(number: int, held: OneMessage, text: Annotated[str, Body()] = "") -> int:
        return number

    async with calling(app) as client:
        yield client
    await credits.client.close()


def keyed(user: UUID, key: str) -> dict[str, str]:
    return {**bearer(user), "idempotency-key": key}


async def test_a_retry_costs_once(http: httpx.AsyncClient, database: Database, user: UUID) -> None:
    answers = [await http.post("/one", headers=keyed(user, "k")) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert [answer.json()["replayed"] for answer in answers] == [False, True, True]
    assert len({answer.json()["operation"] for answer in answers}) == 1
    assert database.balance(user)["used"] == 1
    database.verify(user)


async def test_a_retry_says_no_balance_of_long_ago(http: httpx.AsyncClient, user: UUID) -> None:
    assert "ratelimit" in (await http.post("/one", headers=keyed(user, "k"))).headers
    assert "ratelimit" not in (await http.post("/one", headers=keyed(user, "k"))).headers


async def test_a_retry_of_the_last_credit_is_not_denied(
    http: httpx.AsyncClient, database: Database, user: UUID
) -> None:
    database.call("consume_credits", user, "message", 9)
    assert (await http.post("/one", headers=keyed(user, "k"))).status_code == 200
    assert (await http.post("/one", headers=keyed(user, "k"))).status_code == 200
    assert (await http.post("/one", headers=keyed(user, "other"))).status_code == 402


async def test_quotation_marks_make_no_other_key(http: httpx.AsyncClient, database: Database, user: UUID) -> None:
    await http.post("/one", headers=keyed(user, "k"))
    await http.post("/one", headers=keyed(user, '"k"'))
    assert database.balance(user)["used"] == 1


async def test_keys_are_apart_by_user_route_and_name(
    http: httpx.AsyncClient, database: Database, new_user: Callable[[], UUID]
) -> None:
    first, second = new_user(), new_user()
    for user in (first, second):
        for path in ("/item/1", "/item/2"):
            for key in ("a", "b", "x" * 3000):
                assert (await http.post(path, headers=keyed(user, key), json="")).status_code == 200
        assert database.balance(user)["used"] == 6


async def test_without_a_key_every_request_costs(http: httpx.AsyncClient, database: Database, user: UUID) -> None:
    for _ in range(2):
        await http.post("/one", headers=keyed(user, ""))
        await http.post("/one", headers=bearer(user))
    assert database.balance(user)["used"] == 4


async def test_a_failed_request_may_be_sent_again(
    http: httpx.AsyncClient, database: Database, user: UUID, mood: Mood
) -> None:
    mood.failures[user] = 3
    statuses = [(await http.post("/unsteady", headers=keyed(user, "k"))).status_code for _ in range(5)]
    assert statuses == [500, 500, 500, 200, 200]
    assert database.balance(user)["used"] == 1
    database.verify(user)


async def test_another_body_under_the_same_key_is_refused(
    http: httpx.AsyncClient, database: Database, user: UUID
) -> None:
    assert (await http.post("/body", headers=keyed(user, "k"), json={"text": "a"})).status_code == 200
    answer = await http.post("/body", headers=keyed(user, "k"), json={"text": "b"})
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_conflict")
    query = await http.post("/body?other=1", headers=keyed(user, "k"), json={"text": "a"})
    assert query.status_code == 409
    assert database.balance(user)["used"] == 1


async def test_a_handler_can_still_read_the_body(http: httpx.AsyncClient, user: UUID) -> None:
    for size in (0, 10, 3_000_000):
        pieces = [b"x" * min(size, 65_536)] * max(size // 65_536, 1) if size else []

        async def body(pieces: list[bytes] = pieces) -> AsyncIterator[bytes]:
            for piece in pieces:
                yield piece

        answer = await http.post("/raw", headers=keyed(user, str(size)), content=body())
        assert answer.json() == sum(map(len, pieces))
        whole = await http.post("/raw", headers=keyed(user, str(size)), content=b"".join(pieces))
        assert whole.status_code == 200, "the same body in other pieces is the same request"


async def test_a_form_that_is_sent_again_is_the_same_request(
    http: httpx.AsyncClient, database: Database, user: UUID
) -> None:
    for _ in range(2):
        boundary = uuid4().hex
        headers = {**keyed(user, "k"), "content-type": f"multipart/form-data; boundary={boundary}"}
        content = f'--{boundary}\r\ncontent-disposition: form-data; name="a"\r\n\r\n1\r\n--{boundary}--\r\n'
        assert (await http.post("/raw", headers=headers, content=content)).status_code == 200
    assert database.balance(user)["used"] == 1


async def test_two_at_a_time_are_one_and_a_conflict(
    http: httpx.AsyncClient, database: Database, user: UUID, mood: Mood
) -> None:
    first = asyncio.create_task(http.post("/slow", headers=keyed(user, "k")))
    await mood.reached.wait()
    second = await http.post("/slow", headers=keyed(user, "k"))
    assert (second.status_code, second.json()["code"]) == (409, "request_in_progress")
    assert second.headers["retry-after"] == "1"
    mood.open.set()
    assert (await first).status_code == 200
    assert (await http.post("/slow", headers=keyed(user, "k"))).status_code == 200
    assert database.balance(user)["used"] == 1


async def test_many_at_a_time_cost_once(http: httpx.AsyncClient, database: Database, user: UUID, mood: Mood) -> None:
    mood.failures[user] = 1
    for _ in range(3):
        answers = await asyncio.gather(*(http.post("/unsteady", headers=keyed(user, "k")) for _ in range(20)))
        assert {answer.status_code for answer in answers} <= {200, 409, 500}
    assert (await http.post("/unsteady", headers=keyed(user, "k"))).status_code == 200
    balance = database.balance(user)
    assert (balance["used"], balance["reserved"]) == (1, 0)
    database.verify(user)


async def test_both_credits_of_a_retry_cost_once(http: httpx.AsyncClient, database: Database, user: UUID) -> None:
    for _ in range(2):
        assert (await http.post("/both", headers=keyed(user, "k"))).status_code == 200
    assert [database.balance(user, name)["used"] for name in ("message", "project")] == [1, 1]
