"""An application with metrics, for several workers. Served by test_workers."""

from __future__ import annotations

import os

from fastapi import FastAPI

from sonas_supabase import AsyncCreditsClient
from sonas_supabase.metrics import metrics_routes

client = AsyncCreditsClient.from_url(os.environ["DATABASE_URL"])
app = FastAPI(routes=[*metrics_routes(client)])


@app.get("/pid")
async def pid() -> int:
    """Which worker this is."""
    return os.getpid()


@app.post("/spend/{user}")
async def spend(user: str) -> int:
    """Spend one, and say which worker did."""
    await client.consume_credits(user, "message")
    return os.getpid()
