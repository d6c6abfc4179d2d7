"""Two hundred requests at once on ten credits: exactly ten get through."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from uuid import UUID

import httpx
import pytest
import pytest_asyncio

from sonas_supabase.web import Draft, Project
from tests.support.database import Database
from tests.web.support import bearer, calling, make_app

REQUESTS = 200
CREDITS = 10


async def quick_draft(prompt: str) -> Draft:
    return Draft(name="Quick", files={"README.md": prompt})


async def quick_answer(project: Project, message: str) -> AsyncIterator[str]:
    yield "Yes."


@pytest_asyncio.fixture(scope="module")
async def quick(database: Database) -> AsyncIterator[httpx.AsyncClient]:
    async with calling(make_app(database, generate=quick_draft, chat=quick_answer)) as client:
        yield client


@pytest.fixture
def ten(database: Database) -> UUID:
    """A user with unlimited projects and ten message credits."""
    user = database.new_user()
    database.call("change_plan", user, "starter")
    database.call("consume_credits", user, "message", 90)
    assert database.balance(user)["remaining"] == CREDITS
    return user


def settled(database: Database, user: UUID) -> tuple[int, int]:
    balance = database.balance(user)
    database.verify(user)
    return balance["remaining"], balance["reserved"]


async def test_generations(quick: httpx.AsyncClient, database: Database, ten: UUID) -> None:
    answers = await asyncio.gather(
        *(
            quick.post("/api/generate-daytona", json={"prompt": f"number {number}"}, headers=bearer(ten))
            for number in range(REQUESTS)
        )
    )

    assert Counter(answer.status_code for answer in answers) == {201: CREDITS, 402: REQUESTS - CREDITS}
    assert settled(database, ten) == (0, 0)
    assert database.value("select count(*) from public.projects where owner_id = %s", ten) == CREDITS


async def test_chat_messages(quick: httpx.AsyncClient, database: Database, ten: UUID) -> None:
    insert = "insert into public.projects (owner_id, name) values (%s, 'Talk') returning id"
    asked = {"project_id": str(database.value(insert, ten)), "message": "Really?"}

    answers = await asyncio.gather(
        *(quick.post("/api/chat-continue", json=asked, headers=bearer(ten)) for _ in range(REQUESTS))
    )

    assert Counter(answer.status_code for answer in answers) == {200: CREDITS, 402: REQUESTS - CREDITS}
    assert settled(database, ten) == (0, 0)


async def test_a_free_user_gets_three_projects(quick: httpx.AsyncClient, database: Database, user: UUID) -> None:
    answers = await asyncio.gather(
        *(quick.post("/api/generate-daytona", json={"prompt": "x"}, headers=bearer(user)) for _ in range(40))
    )

    # A request that is refused a project holds a message for a moment; nobody else is charged for that.
    made = [answer for answer in answers if answer.status_code == 201]
    assert {answer.status_code for answer in answers} == {201, 402}
    assert len(made) == 3
    assert settled(database, user) == (7, 0)
