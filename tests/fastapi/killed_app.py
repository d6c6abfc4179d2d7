"""An application whose handler never comes to an end. Run by test_killed."""

from __future__ import annotations

import asyncio
import os
from typing import Annotated

from fastapi import Depends, FastAPI

from sonas_supabase import AsyncCreditsClient
from sonas_supabase.fastapi import Credits, Spend, SupabaseAuth, spend

app = FastAPI()
Credits(
    AsyncCreditsClient.from_url(os.environ["DATABASE_URL"]), SupabaseAuth(jwt_secret=os.environ["SUPABASE_JWT_SECRET"])
).install(app)


@app.post("/work")
async def work(held: Annotated[Spend, Depends(spend("message", 4, ttl_seconds=1))]) -> None:
    """Work for ever."""
    await asyncio.Event().wait()
