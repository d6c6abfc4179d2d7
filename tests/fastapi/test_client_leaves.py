"""Clients that go away, on a real server: once the handler has run, they pay what they would have paid."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any
from uuid import UUID

import httpx
import pytest
from fastapi import Depends, FastAPI, Request
from fastapi.responses import StreamingResponse
from fastapi.sse import EventSourceResponse

from sonas_supabase.fastapi import Spend, spend
from tests.fastapi.support import FiveMessages, Server, bearer, settled, stream, until
from tests.support.database import Database


class Gate:
    """Where a handler says that it has come, and waits to be let on."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.open = threading.Event()


@pytest.fixture(scope="module")
def gates() -> dict[str, Gate]:
    return {}


@pytest.fixture
def gate(gates: dict[str, Gate], user: UUID) -> Gate:
    gates[str(user)] = Gate()
    return gates[str(user)]


@pytest.fixture(scope="module", autouse=True)
def routes(server_app: FastAPI, gates: dict[str, Gate]) -> None:
    app = server_app

    async def wait_at(held: Spend) -> None:
        gate = gates[str(held.user.id)]
        gate.reached.set()
        await asyncio.to_thread(gate.open.wait, 10)

    @app.post("/slow")
    async def slow(held: FiveMessages) -> str:
        await wait_at(held)
        held.cost = 3
        return "too late"

    @app.post("/watching")
    async def watching(request: Request, held: FiveMessages) -> str:
        gates[str(held.user.id)].reached.set()
        while not await request.is_disconnected():  # noqa: ASYNC110 - handlers watch like this
            await asyncio.sleep(0.01)
        return "nobody there"

    @app.post("/tokens/{metered}")
    async def tokens(metered: bool, held: FiveMessages) -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            for number in range(3):
                if metered:
                    held.add()
                yield b"%d\n" % number
            await wait_at(held)
            yield b"end\n"

        return stream(parts())

    @app.post("/fails-half-way/{metered}")
    async def fails_half_way(metered: bool, held: FiveMessages) -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            if metered:
                held.add(2)
            yield b"1\n"
            raise ZeroDivisionError

        return stream(parts())

    @app.post("/events", response_class=EventSourceResponse)
    async def events(held: Annotated[Spend, Depends(spend("message", 5))]) -> AsyncIterator[dict[str, Any]]:
        for number in range(2):
            held.add()
            yield {"number": number}
        await wait_at(held)
        yield {"end": True}


async def leave(served: Server, connection: socket.socket) -> None:
    """Cut the connection and wait until the server knows."""
    before = served.connections
    connection.close()
    await until(lambda: served.connections < before)


async def read_until(connection: socket.socket, expected: bytes) -> None:
    seen = b""
    while expected not in seen:
        part = await asyncio.to_thread(connection.recv, 4096)
        assert part, seen
        seen += part


@pytest.mark.parametrize(("path", "used"), [("/slow", 3), ("/watching", 5)])
async def test_a_client_that_left_before_the_answer_pays_for_the_work(
    served: Server, database: Database, user: UUID, gate: Gate, path: str, used: int
) -> None:
    connection = served.post(path, bearer(user))
    await asyncio.to_thread(gate.reached.wait, 10)
    assert database.balance(user)["reserved"] == 5
    await leave(served, connection)
    gate.open.set()
    balance = await settled(database, user)
    assert (balance["used"], balance["remaining"]) == (used, 10 - used)
    database.verify(user)


async def test_a_client_that_waits_pays(served: Server, database: Database, user: UUID, gate: Gate) -> None:
    gate.open.set()
    async with httpx.AsyncClient() as client:
        assert (await client.post(f"{served.url}/slow", headers=bearer(user))).status_code == 200
    assert (await settled(database, user))["used"] == 3


@pytest.mark.parametrize(
    ("path", "marker", "used"),
    [("/tokens/true", b"2\n", 3), ("/tokens/false", b"2\n", 5), ("/events", b'"number":1', 2)],
)
async def test_a_broken_stream_is_charged_what_was_used(
    served: Server, database: Database, user: UUID, gate: Gate, path: str, marker: bytes, used: int
) -> None:
    connection = served.post(path, bearer(user))
    await read_until(connection, marker)
    await asyncio.to_thread(gate.reached.wait, 10)
    assert database.balance(user)["reserved"] == 5, "nothing is charged before the end"
    await leave(served, connection)
    balance = await settled(database, user)
    gate.open.set()
    assert (balance["used"], balance["remaining"]) == (used, 10 - used)
    database.verify(user)


@pytest.mark.parametrize(("path", "used"), [("/tokens/true", 3), ("/tokens/false", 5), ("/events", 2)])
async def test_a_stream_is_charged_at_its_end(
    served: Server, database: Database, user: UUID, gate: Gate, path: str, used: int
) -> None:
    gate.open.set()
    async with httpx.AsyncClient() as client:
        assert "end" in (await client.post(served.url + path, headers=bearer(user))).text
    assert (await settled(database, user))["used"] == used


@pytest.mark.parametrize(("metered", "used"), [("true", 2), ("false", 0)])
async def test_a_stream_that_fails_is_charged_what_was_used(
    served: Server, database: Database, user: UUID, metered: str, used: int
) -> None:
    async with httpx.AsyncClient() as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.post(f"{served.url}/fails-half-way/{metered}", headers=bearer(user))
    assert (await settled(database, user))["used"] == used


async def test_ten_credits_are_ten_answers(served: Server, database: Database, new_user: Callable[[], UUID]) -> None:
    user = new_user()
    limits = httpx.Limits(max_connections=50)
    async with httpx.AsyncClient(limits=limits, timeout=60) as client:
        answers = await asyncio.gather(*(client.post(f"{served.url}/one", headers=bearer(user)) for _ in range(200)))
    statuses = [answer.status_code for answer in answers]
    assert (statuses.count(200), statuses.count(402)) == (10, 190)
    balance = await settled(database, user)
    assert (balance["used"], balance["remaining"]) == (10, 0)
    assert database.value("select count(*) from public.usage where user_id = %s and status = 'denied'", user) == 190
    database.verify(user)
