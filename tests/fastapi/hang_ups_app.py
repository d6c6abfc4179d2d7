"""An application that remembers what it has run. Served, killed and served again by test_hang_ups."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import StreamingResponse
from psycopg_pool import AsyncConnectionPool

from sonas_supabase import AsyncCreditsClient
from sonas_supabase.fastapi import Credits, Spend, SupabaseAuth, spend

pool = AsyncConnectionPool(os.environ["DATABASE_URL"], min_size=0, max_size=5, open=False)
client = AsyncCreditsClient.from_url(os.environ["DATABASE_URL"])


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Opens the pool."""
    async with pool, client:
        yield


app = FastAPI(lifespan=lifespan)
Credits(client, SupabaseAuth(jwt_secret=os.environ["SUPABASE_JWT_SECRET"]), answer_timeout=2).install(app)


@app.get("/up")
async def up() -> None:
    """Answers."""


async def run(request: Request, held: Spend) -> Response:
    """Remember the run, say the cost and end as asked."""
    asked = request.query_params
    async with pool.connection() as connection:
        await connection.execute("insert into public.runs (request) values (%s)", [asked["request"]])
    cost = int(asked["cost"]) if "cost" in asked else None
    if asked["kind"] == "stream":
        return StreamingResponse(stream(held, cost), media_type="text/event-stream")
    await asyncio.sleep(float(asked["seconds"]))
    if cost is not None:
        held.cost = cost
    if asked["kind"] == "fails":
        raise HTTPException(500)
    return Response("done", 404 if asked["kind"] == "refuses" else 200)


async def stream(held: Spend, cost: int | None) -> AsyncIterator[bytes]:
    """A stream with its cost said at the start."""
    if cost is not None:
        held.cost = cost
    for number in range(3):
        yield b"data: %d\n\n" % number
        await asyncio.sleep(0.005)
    yield b"data: [DONE]\n\n"


def route(held: Callable[..., Awaitable[Spend]]) -> Callable[..., Awaitable[Response]]:
    """A handler under one way to charge."""

    async def handler(request: Request, spent: Annotated[Spend, Depends(held)]) -> Response:
        return await run(request, spent)

    handler.__annotations__ |= {"request": Request, "spent": Annotated[Spend, Depends(held)], "return": Response}
    return handler


app.post("/held", response_model=None)(route(spend("message", 3, ttl_seconds=5)))
app.post("/cost", response_model=None)(route(spend("message", 3, ttl_seconds=5, charge="cost")))
app.post("/on_start", response_model=None)(route(spend("message", 3, ttl_seconds=5, charge="on_start")))
