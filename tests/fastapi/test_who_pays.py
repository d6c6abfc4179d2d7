"""Who pays: each cell of the table in docs/fastapi.md, on each kind of server."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from sonas_supabase.local import free_port
from tests.fastapi.support import KEYS, bearer, settled, until
from tests.support.database import Database

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "fastapi.md"
AMOUNT, COST = 5, 3
MODES = ("held", "cost", "on_start")
LEAVES = {
    "left, then cost", "cost, then left", "watched", "stream, left in the middle", "stream, left after [DONE]",
}  # fmt: skip

# How each row of the table comes about.
EVENTS = {
    "the response goes out, status 2xx": [
        "200", "201", "stream, cost first", "stream, added", "stream, cost in the last chunk", "background",
        "background fails",
    ],
    "the client leaves once the handler has begun, or in the middle of a stream": sorted(LEAVES),
    "a redirect, 304, any 3xx": ["303", "307", "304"],
    "a 4xx": ["refuses 422", "404", "refuses 400"],
    "an exception, a 5xx": ["raises", "refuses 503", "500"],
    "a stream breaks by an exception": ["stream, added, fails", "stream, cost, fails"],
}  # fmt: skip

COMMANDS = {
    "uvicorn": ["uvicorn", "--log-level", "critical", "--port"],
    "hypercorn": ["hypercorn", "--log-level", "critical", "--bind"],
    "granian": ["granian", "--interface", "asgi", "--log-level", "critical", "--port"],
}


@dataclass(frozen=True)
class Served:
    """A server of a kind."""

    kind: str
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def send(self, path: str, headers: dict[str, str]) -> socket.socket:
        """A request whose connection can be cut at any moment."""
        connection = socket.create_connection(("127.0.0.1", self.port), 20)
        lines = [f"POST {path} HTTP/1.1", "host: test", "content-length: 0", *map(": ".join, headers.items())]
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        return connection


@contextmanager
def serving(kind: str, database: Database) -> Iterator[Served]:
    port = free_port()
    where = f"127.0.0.1:{port}" if kind == "hypercorn" else str(port)
    command = [sys.executable, "-m", *COMMANDS[kind], where, "tests.fastapi.charged_app:app"]
    environment = {**os.environ, "DATABASE_URL": database.url, "SUPABASE_JWT_SECRET": KEYS.jwt_secret}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with httpx.Client() as client:
            for _ in range(600):
                with suppress(httpx.TransportError):
                    client.get(f"http://127.0.0.1:{port}/runs/nobody")
                    break
                with suppress(subprocess.TimeoutExpired):
                    raise AssertionError(f"{kind} has ended: {process.wait(0.1)}")
        yield Served(kind, port)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="module", params=list(COMMANDS))
def served(request: pytest.FixtureRequest, database: Database) -> Iterator[Served]:
    with serving(request.param, database) as server:
        yield server


def cells() -> dict[str, dict[str, str]]:
    """The table: row, mode, cell."""
    section = PAGE.read_text().partition("## Who pays")[2].partition("\n\n|")[2].partition("\n\n")[0]
    table: dict[str, dict[str, str]] = {}
    for line in section.splitlines()[2:]:
        row, *columns = (cell.strip() for cell in line.strip("|").split("|"))
        table[row] = dict(zip(MODES, columns, strict=True))
    return table


def expected(cell: str, cost: int | None, event: str) -> int:
    """Credits, as the cell says."""
    if cell == "what was added":
        return cost or 0 if event == "stream, added, fails" else 0
    if cell == "0":
        return 0
    said = re.fullmatch(r"the cost, else (0|the amount)", cell)
    assert said, cell
    if cost is not None:
        return cost
    return AMOUNT if said[1] == "the amount" else 0


def test_every_row_of_the_table_is_tried() -> None:
    assert list(cells()) == list(EVENTS)


async def end(served: Served, mode: str, event: str, cost: int | None, user: UUID) -> None:
    """Make a request that ends like that."""
    query = {"event": event} | ({} if cost is None else {"cost": str(cost)})
    path = f"/{mode}?{urlencode(query)}"
    async with httpx.AsyncClient(base_url=served.url, timeout=20) as client:
        if event not in LEAVES:
            with suppress(httpx.RemoteProtocolError, httpx.ReadError):
                await client.post(path, headers=bearer(user))
            return
        with closing(served.send(path, bearer(user))) as connection:
            await client.get(f"/gates/{user}/reached")
            if "[DONE]" in event:
                seen = b""
                while b"[DONE]" not in seen:
                    seen += connection.recv(4096)
        await client.post(f"/gates/{user}/open")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("row", EVENTS)
async def test_each_cell_is_what_is_charged(served: Served, database: Database, row: str, mode: str) -> None:
    cell = cells()[row][mode]
    for event in EVENTS[row]:
        for cost in (None, COST):
            if cost is None and event == "stream, added":
                continue
            user = database.new_user()
            await end(served, mode, event, cost, user)
            wanted = expected(cell, cost, event)
            await until(lambda: database.balance(user)["used"] == wanted and not database.balance(user)["reserved"])  # noqa: B023
            database.verify(user)


async def test_a_redirect_that_is_followed_is_charged_once(served: Served, database: Database, user: UUID) -> None:
    await end(served, "held", "307", None, user)
    await end(served, "held", "200", None, user)
    assert (await settled(database, user))["used"] == AMOUNT


@pytest.mark.parametrize(
    ("event", "cost", "used"), [("200", None, 2), ("200", 0, 2), ("200", 1, 2), ("200", 4, 4), ("404", None, 0)]
)
async def test_a_request_that_was_served_costs_the_least(
    served: Served, database: Database, user: UUID, event: str, cost: int | None, used: int
) -> None:
    await end(served, "at-least", event, cost, user)
    await until(lambda: database.balance(user)["used"] == used and not database.balance(user)["reserved"])


def session(served: Served, user: UUID | None) -> Any:
    headers = bearer(user) if user else {}
    return connect(f"ws://127.0.0.1:{served.port}/socket", additional_headers=headers, open_timeout=20, close_timeout=5)


async def test_a_websocket_is_charged_at_its_handshake(served: Served, database: Database, user: UUID) -> None:
    with session(served, user) as websocket:
        websocket.send("hello")
        assert websocket.recv(20) == "hello"
        assert database.balance(user)["used"] == 2
        websocket.send("cost 3")
        assert websocket.recv(20) == "cost 3"
    await until(lambda: database.balance(user)["used"] == 3)


async def test_a_websocket_that_fails_is_given_back(served: Served, database: Database, user: UUID) -> None:
    with session(served, user) as websocket:
        websocket.send("fail")
        with suppress(ConnectionClosed):
            websocket.recv(20)
    await until(lambda: database.balance(user)["used"] == 0)


async def test_a_denial_closes_a_websocket_with_a_code_and_a_reason(
    served: Served, database: Database, user: UUID
) -> None:
    database.call("consume_credits", user, "message", 9)
    for who, code, reason in ((user, 4402, "insufficient_credits: "), (None, 4401, "not_authenticated: ")):
        with session(served, who) as websocket, pytest.raises(ConnectionClosed) as closed:
            websocket.recv(20)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == code
        assert closed.value.rcvd.reason.startswith(reason)
    balance = database.balance(user)
    assert (balance["used"], balance["reserved"]) == (9, 0)
