"""An application with routes that cost credits, served in the test's own loop or by a real server."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

import httpx
import uvicorn
from fastapi import Body, Depends, FastAPI, HTTPException, Response
from fastapi.responses import StreamingResponse

from sonas_supabase import AsyncCreditsClient
from sonas_supabase.fastapi import Credits, CurrentUser, Journal, Spend, SupabaseAuth, spend
from sonas_supabase.local import Keys, free_port
from tests.support.database import Database

KEYS = Keys.make()


def bearer(user_id: UUID, **claims: Any) -> dict[str, str]:
    """The headers of a signed-in user's request."""
    return {"authorization": f"Bearer {KEYS.token(role='authenticated', user_id=str(user_id), **claims)}"}


def make_credits(url: str, *, journal: Journal | None = None, **options: Any) -> Credits:
    client = AsyncCreditsClient.from_url(url, **options)
    return Credits(client, SupabaseAuth(jwt_secret=KEYS.jwt_secret), journal=journal)


def make_app(credits: Credits) -> FastAPI:
    """An application that closes its client at the end. Routes are added by the tests."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await credits.client.close()

    app = FastAPI(lifespan=lifespan)
    credits.install(app)
    return app


OneMessage = Annotated[Spend, Depends(spend("message", 1))]
FiveMessages = Annotated[Spend, Depends(spend("message", 5))]


def add_routes(app: FastAPI) -> None:
    """What most tests call."""

    @app.post("/one")
    async def one(held: OneMessage) -> dict[str, Any]:
        return {"user": str(held.user.id), "operation": str(held.operation_id), "replayed": held.replayed}

    @app.post("/sync")
    def sync(held: FiveMessages) -> str:
        held.cost = 2
        return "done"

    @app.post("/cost/{cost}")
    async def cost(cost: int, held: FiveMessages) -> str:
        held.cost = cost
        return "done"

    @app.post("/status/{status}")
    async def status(status: int, held: OneMessage) -> Response:
        return Response(status_code=status)

    @app.post("/denied-later")
    async def denied_later(held: OneMessage) -> None:
        raise HTTPException(418)

    @app.post("/broken")
    async def broken(held: OneMessage) -> None:
        raise ZeroDivisionError

    @app.post("/body")
    async def body(held: OneMessage, text: Annotated[str, Body(embed=True)]) -> str:
        return text

    @app.post("/both")
    async def both(message: OneMessage, project: Annotated[Spend, Depends(spend("project", 1))]) -> str:
        return "done"

    @app.post("/unknown")
    async def unknown(held: Annotated[Spend, Depends(spend("nonsense", 1))]) -> str:
        return "never"

    @app.get("/me")
    async def me(user: CurrentUser) -> str:
        return str(user.id)


def stream(parts: AsyncIterator[bytes]) -> StreamingResponse:
    return StreamingResponse(parts, media_type="text/event-stream")


@asynccontextmanager
async def calling(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client that talks to the application without a server; a request is settled when its answer is there."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
        yield client


@dataclass(frozen=True)
class Server:
    """A server that runs."""

    url: str
    port: int
    uvicorn: uvicorn.Server

    @property
    def connections(self) -> int:
        """How many clients it believes to be there."""
        return len(self.uvicorn.server_state.connections)

    def post(self, path: str, headers: dict[str, str]) -> socket.socket:
        """A request whose connection can be cut at any moment."""
        connection = socket.create_connection(("127.0.0.1", self.port))
        lines = [f"POST {path} HTTP/1.1", "host: test", "content-length: 0", *map(": ".join, headers.items())]
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        return connection


@contextmanager
def serving(app: Any) -> Iterator[Server]:
    """A real server in a thread."""
    port = free_port()
    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="critical", timeout_graceful_shutdown=5)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        with httpx.Client(transport=httpx.HTTPTransport(retries=10)) as client:
            client.get(f"http://127.0.0.1:{port}/nothing-there")
        yield Server(f"http://127.0.0.1:{port}", port, server)
    finally:
        server.should_exit = True
        thread.join(15)
    assert not thread.is_alive()


async def until(condition: Callable[[], bool], *, seconds: float = 10) -> None:
    """Wait for what another process or thread brings about."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        await asyncio.sleep(0.02)


async def settled(database: Database, user: UUID, credit_type: str = "message") -> dict[str, Any]:
    """The balance once nothing is held any more."""
    await until(lambda: database.balance(user, credit_type)["reserved"] == 0)
    return database.balance(user, credit_type)
