"""An application whose requests end in every way there is. Served by test_who_pays on each kind of server.

`?event=` says how a request is to end, `?cost=` what its handler says that it cost. A handler that has to wait until
its client has left waits at a gate, which the test watches and opens over HTTP.
"""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Request, Response, WebSocket
from fastapi.responses import StreamingResponse

from sonas_supabase import AsyncCreditsClient
from sonas_supabase.fastapi import Credits, Spend, SupabaseAuth, spend

app = FastAPI()
credits = Credits(
    AsyncCreditsClient.from_url(os.environ["DATABASE_URL"]), SupabaseAuth(jwt_secret=os.environ["SUPABASE_JWT_SECRET"])
)
credits.install(app)


class Gate:
    """Where a handler says that it has come, and waits to be let on."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.open = asyncio.Event()


gates: dict[str, Gate] = defaultdict(Gate)
runs: dict[str, int] = defaultdict(int)


@app.get("/gates/{name}/reached")
async def reached(name: str) -> None:
    """Answers when a handler waits there."""
    await asyncio.wait_for(gates[name].reached.wait(), 20)


@app.post("/gates/{name}/open")
async def open_gate(name: str) -> None:
    """Lets it go on."""
    gates[name].open.set()


@app.get("/runs/{name}")
async def count(name: str) -> int:
    """How often a handler has run for a user."""
    return runs[name]


def say(held: Spend, cost: int | None) -> None:
    """Set the cost, if there is one."""
    if cost is not None:
        held.cost = cost


async def run(request: Request, held: Spend, background: BackgroundTasks) -> Response:
    """End as the request asks for."""
    asked = request.query_params
    event, gate = asked["event"], gates[str(held.user.id)]
    cost = int(asked["cost"]) if "cost" in asked else None
    runs[str(held.user.id)] += 1
    if event == "background":
        background.add_task(say, held, cost)
        return Response("done", background=background)
    if event == "background fails":
        say(held, cost)
        background.add_task(raise_error)
        return Response("done", background=background)
    if event.startswith("stream"):
        return StreamingResponse(stream(event, held, cost, gate), media_type="text/event-stream")
    if event == "left, then cost":
        gate.reached.set()
        await gate.open.wait()
    say(held, cost)
    if event == "cost, then left":
        gate.reached.set()
        await gate.open.wait()
    if event == "watched":
        gate.reached.set()
        while not await request.is_disconnected():  # noqa: ASYNC110 - handlers watch like this
            await asyncio.sleep(0.01)
    if event == "raises":
        raise_error()
    if event.startswith("refuses"):
        raise HTTPException(int(event.removeprefix("refuses ")))
    return Response("done", int(event) if event.isdecimal() else 200, {"location": "/elsewhere"})


def raise_error() -> None:
    """Fail."""
    raise ZeroDivisionError


async def stream(event: str, held: Spend, cost: int | None, gate: Gate) -> AsyncIterator[bytes]:
    """Stream, and break off as asked."""
    if event == "stream, added, fails":
        held.add(cost or 0)
        yield b"1\n"
        raise_error()
    if event == "stream, cost, fails":
        say(held, cost)
        yield b"1\n"
        raise_error()
    if event == "stream, cost first":
        say(held, cost)
    yield b"data: 1\n\n"
    if event == "stream, added":
        for _ in range(cost or 0):
            held.add()
    if event == "stream, left in the middle":
        say(held, cost)
        yield b"data: 2\n\n"
        gate.reached.set()
        await gate.open.wait()
    yield b"data: [DONE]\n\n"
    if event == "stream, left after [DONE]":
        say(held, cost)
        gate.reached.set()
        await gate.open.wait()
    if event == "stream, cost in the last chunk":
        say(held, cost)
        yield b"\n"


@app.post("/held")
async def by_hold(
    request: Request, background: BackgroundTasks, held: Annotated[Spend, Depends(spend("message", 5))]
) -> Response:
    """The default."""
    return await run(request, held, background)


@app.post("/cost")
async def by_cost(
    request: Request, background: BackgroundTasks, held: Annotated[Spend, Depends(spend("message", 5, charge="cost"))]
) -> Response:
    """What the handler says."""
    return await run(request, held, background)


@app.post("/on_start")
async def on_start(
    request: Request,
    background: BackgroundTasks,
    held: Annotated[Spend, Depends(spend("message", 5, charge="on_start"))],
) -> Response:
    """Before the handler runs."""
    return await run(request, held, background)


@app.post("/at-least")
async def at_least(
    request: Request,
    background: BackgroundTasks,
    held: Annotated[Spend, Depends(spend("message", 5, charge="cost", at_least=2))],
) -> Response:
    """What the handler says, and a minimum."""
    return await run(request, held, background)


@app.websocket("/socket")
async def socket(websocket: WebSocket, held: Annotated[Spend, Depends(spend("message", 2))]) -> None:
    """A session that costs by its handshake; `cost N` changes that, `fail` fails."""
    await websocket.accept()
    async for text in websocket.iter_text():
        if text.startswith("cost"):
            held.cost = int(text.removeprefix("cost"))
        if text == "fail":
            raise_error()
        await websocket.send_text(text)
