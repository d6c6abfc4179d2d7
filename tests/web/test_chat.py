"""POST /api/chat-continue: one message credit for an answer, nothing for none."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from uuid import UUID

import httpx
import pytest

from sonas_supabase.web import Project
from tests.support.database import Database
from tests.web.support import Site, bearer, calling, make_app, problem, serving


async def failing_chat(project: Project, message: str) -> AsyncIterator[str]:
    if message == "at the start":
        raise OSError("no model")
    yield "half an "
    raise OSError("the model has gone")


async def endless_chat(project: Project, message: str) -> AsyncIterator[str]:
    if message == "silence":
        await asyncio.Event().wait()
    while True:
        yield "and on "
        await asyncio.sleep(0.01)


def project_of(database: Database, user: UUID) -> str:
    files = json.dumps({"README.md": "# Harbour\n\nShips come and go.\n"})
    return str(
        database.value(
            "insert into public.projects (owner_id, name, files) values (%s, 'Harbour', %s) returning id", user, files
        )
    )


def ask(database: Database, user: UUID, message: str) -> dict[str, str]:
    return {"project_id": project_of(database, user), "message": message}


def events(text: str) -> list[tuple[str, dict[str, object]]]:
    parsed = [part.split("\n") for part in text.strip().split("\n\n")]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in parsed]


async def test_the_built_in_one_answers_out_of_the_projects_files(
    http: httpx.AsyncClient, database: Database, user: UUID
) -> None:
    answer = await http.post("/api/chat-continue", json=ask(database, user, "Any ships?"), headers=bearer(user))

    assert answer.headers["content-type"].startswith("text/event-stream")
    *deltas, (last, data) = events(answer.text)
    said = "".join(str(delta["text"]) for _, delta in deltas)
    assert "built-in assistant" in said
    assert "README.md, line 3: Ships come and go." in said
    assert (last, data) == ("done", {"charged": 1})
    assert len(deltas) > 5, "it came in one piece"
    assert database.balance(user)["used"] == 1


async def test_without_credits_no_answer_begins(http: httpx.AsyncClient, database: Database, user: UUID) -> None:
    asked = ask(database, user, "Any ships?")
    database.call("consume_credits", user, "message", 10)

    refused = problem(
        await http.post("/api/chat-continue", json=asked, headers=bearer(user)), 402, "insufficient_credits"
    )

    assert refused["upgrade_url"] == "/pricing"


@pytest.mark.parametrize("message", ["at the start", "half-way"])
async def test_an_answer_that_breaks_off_costs_nothing(database: Database, user: UUID, message: str) -> None:
    async with calling(make_app(database, chat=failing_chat)) as client:
        answer = await client.post("/api/chat-continue", json=ask(database, user, message), headers=bearer(user))

    name, data = events(answer.text)[-1]
    assert name == "error"
    assert "Nothing was charged" in str(data["detail"])
    balance = database.balance(user)
    assert (balance["used"], balance["reserved"]) == (0, 0)
    database.verify(user)


@pytest.fixture(scope="module")
def endless(database: Database) -> Iterator[Site]:
    with serving(make_app(database, chat=endless_chat), database) as site:
        yield site


async def settled(database: Database, user: UUID) -> int:
    """What was charged, once nothing is held any more."""
    async with asyncio.timeout(10):
        # The database is all that tells.
        while (balance := database.balance(user))["reserved"]:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return int(balance["used"])


async def test_a_reader_who_leaves_pays_for_what_was_read(endless: Site, database: Database, user: UUID) -> None:
    async with httpx.AsyncClient(base_url=endless.url) as client:
        asked = ask(database, user, "go on")
        async with client.stream("POST", "/api/chat-continue", json=asked, headers=bearer(user)) as answer:
            await anext(answer.aiter_text())
            assert database.balance(user)["reserved"] == 1

    assert await settled(database, user) == 1
    database.verify(user)


async def test_a_reader_who_leaves_before_the_first_word_pays_nothing(
    endless: Site, database: Database, user: UUID
) -> None:
    async with httpx.AsyncClient(base_url=endless.url) as client:
        asked = ask(database, user, "silence")
        async with client.stream("POST", "/api/chat-continue", json=asked, headers=bearer(user)):
            assert database.balance(user)["reserved"] == 1

    assert await settled(database, user) == 0
