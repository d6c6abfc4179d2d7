"""POST /api/generate-daytona: one message credit and one project, both or neither."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import httpx
import pytest_asyncio

from sonas_supabase import AsyncCreditsClient, CreditsClient
from sonas_supabase.web import Draft
from tests.support.database import Database
from tests.web.support import bearer, calling, make_app, problem

PROMPT = {"prompt": "A todo list with filters"}


def used(database: Database, user: UUID) -> tuple[int, int]:
    balances = [database.balance(user, kind) for kind in ("message", "project")]
    assert not any(balance["reserved"] for balance in balances), "a hold is left"
    return balances[0]["used"], balances[1]["used"]


async def generate(http: httpx.AsyncClient, user: UUID, key: str | None = None, **body: str) -> httpx.Response:
    headers = bearer(user) | ({"idempotency-key": key} if key else {})
    return await http.post("/api/generate-daytona", json=PROMPT | body, headers=headers)


async def test_costs_a_message_and_a_project(http: httpx.AsyncClient, database: Database, user: UUID) -> None:
    made = await generate(http, user)

    assert made.status_code == 201
    assert made.json()["name"] == "Todo list with filters"
    assert "A todo list" in made.json()["files"]["index.html"]
    assert used(database, user) == (1, 1)
    [(stored,)] = database.query("select id from public.projects where owner_id = %s", user)
    assert str(stored) == made.json()["id"]
    database.verify(user)


async def test_without_a_place_for_a_project_no_message_is_spent(
    http: httpx.AsyncClient, database: Database, user: UUID
) -> None:
    for _ in range(3):
        assert (await generate(http, user)).status_code == 201

    refused = problem(await generate(http, user), 402, "limit_reached")

    assert refused["upgrade_url"] == "/pricing"
    assert refused["credit_type"] == "project"
    assert used(database, user) == (3, 3)
    assert database.value("select count(*) from public.projects where owner_id = %s", user) == 3
    assert database.value("select count(*) from public.usage where user_id = %s and status = 'denied'", user) == 1
    database.verify(user)


async def test_without_a_message_credit_no_project_is_made(
    http: httpx.AsyncClient, database: Database, user: UUID
) -> None:
    database.call("consume_credits", user, "message", 10)

    refused = problem(await generate(http, user), 402, "insufficient_credits")

    assert (refused["required"], refused["available"]) == (1, 0)
    assert refused["resets_at"]
    assert used(database, user) == (10, 0)
    assert database.value("select count(*) from public.projects where owner_id = %s", user) == 0


async def test_a_deleted_project_gives_its_place_back(http: httpx.AsyncClient, database: Database, user: UUID) -> None:
    made = [(await generate(http, user)).json()["id"] for _ in range(3)]

    assert (await http.delete(f"/api/projects/{made[0]}", headers=bearer(user))).status_code == 204

    assert used(database, user) == (3, 2)
    problem(await http.delete(f"/api/projects/{made[0]}", headers=bearer(user)), 404, "project_not_found")
    assert (await generate(http, user)).status_code == 201
    assert used(database, user) == (4, 3)
    database.verify(user)


async def test_the_same_request_under_the_same_key_makes_one_project(
    http: httpx.AsyncClient, database: Database, user: UUID
) -> None:
    answers = await asyncio.gather(*(generate(http, user, key="once") for _ in range(5)))
    again = await generate(http, user, key="once")

    made = [answer for answer in [*answers, again] if answer.status_code == 201]
    assert len({answer.json()["id"] for answer in made}) == 1
    # Of five at once, some find that the first three hold every place; none of them costs anything.
    assert {answer.status_code for answer in answers} <= {201, 402}
    assert again.status_code == 201
    assert used(database, user) == (1, 1)
    other = await generate(http, user, key="once", prompt="Something else")
    assert other.json()["id"] != again.json()["id"]
    assert used(database, user) == (2, 2)


class Broken:
    """Work that fails, after seeing what is held meanwhile."""

    def __init__(self, database: Database) -> None:
        self.credits = CreditsClient.from_url(database.url)
        self.user: UUID = uuid4()
        self.held: list[int] = []

    async def generate(self, prompt: str) -> Draft:
        summary = self.credits.get_credit_summary(self.user)
        self.held = [summary.balance(kind).reserved for kind in ("message", "project")]
        raise OSError("the machine behind this is on fire")


@pytest_asyncio.fixture
async def broken(database: Database) -> AsyncIterator[tuple[httpx.AsyncClient, Broken]]:
    work = Broken(database)
    async with calling(make_app(database, generate=work.generate)) as client:
        yield client, work
    work.credits.close()


async def test_work_that_fails_costs_nothing(
    broken: tuple[httpx.AsyncClient, Broken], database: Database, user: UUID
) -> None:
    client, work = broken
    work.user = user

    failed = problem(await generate(client, user), 500, "work_failed")

    assert "Nothing was charged" in failed["detail"]
    assert "fire" not in failed["detail"]
    assert work.held == [1, 1]
    assert used(database, user) == (0, 0)
    database.verify(user)


async def test_a_project_that_cannot_be_stored_costs_nothing(
    http: httpx.AsyncClient, database: Database, user: UUID
) -> None:
    database.run(
        "alter table public.projects add constraint no_more check (name <> 'Todo list with filters') not valid"
    )
    try:
        answer = await generate(http, user)
    finally:
        database.run("alter table public.projects drop constraint no_more")

    assert answer.status_code == 500
    assert used(database, user) == (0, 0)
    database.verify(user)


async def test_without_a_database_it_says_so(database: Database, user: UUID) -> None:
    credits = AsyncCreditsClient.from_url("postgresql://postgres@127.0.0.1:1/postgres", timeout=0.2, retries=0)
    async with credits, calling(make_app(database, credits=credits)) as client:
        away = await generate(client, user)

    said = problem(away, 503, "unavailable")
    assert "Try again later" in said["detail"]
    assert away.headers["retry-after"] == "5"
