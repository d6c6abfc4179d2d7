"""The app under test: in this process for what HTTP can tell, on a real server for what takes a browser."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import uvicorn
from fastapi import FastAPI

from sonas_supabase.fastapi import SupabaseAuth
from sonas_supabase.local import Keys, free_port
from sonas_supabase.web import Demo, create_app
from tests.support.database import Database

KEYS = Keys.make()


def token(user_id: UUID, **claims: Any) -> str:
    return KEYS.token(role="authenticated", user_id=str(user_id), **claims)


def bearer(user_id: UUID) -> dict[str, str]:
    return {"authorization": f"Bearer {token(user_id)}"}


def make_app(database: Database, **options: Any) -> FastAPI:
    options.setdefault("demo", Demo(token=lambda user_id, email: token(user_id, email=email)))
    return create_app(database.url, auth=SupabaseAuth(jwt_secret=KEYS.jwt_secret), **options)


@asynccontextmanager
async def calling(app: FastAPI, base_url: str = "http://localhost") -> AsyncIterator[httpx.AsyncClient]:
    """Calls an app without a server."""
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=base_url, timeout=30) as client:
            yield client


@dataclass(frozen=True)
class Site:
    """A running app."""

    url: str
    database: Database


@contextmanager
def serving(app: Any, database: Database, port: int | None = None) -> Iterator[Site]:
    port = port or free_port()
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        with httpx.Client(transport=httpx.HTTPTransport(retries=10)) as client:
            client.get(f"http://127.0.0.1:{port}/")
        yield Site(f"http://127.0.0.1:{port}", database)
    finally:
        server.should_exit = True
        thread.join(10)


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["code"] == code
    return body
