"""Fixtures: the application of `support`, in the test's own loop and behind a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI

from tests.fastapi.support import Server, add_routes, calling, make_app, make_credits, serving
from tests.support.database import Database


@pytest_asyncio.fixture(scope="module")
async def http(database: Database) -> AsyncIterator[httpx.AsyncClient]:
    """Calls the application."""
    credits = make_credits(database.url)
    app = make_app(credits)
    add_routes(app)
    async with calling(app) as client:
        yield client
    await credits.client.close()


@pytest.fixture(scope="module")
def server_app(database: Database) -> FastAPI:
    """The application of `served`; tests may add routes."""
    app = make_app(make_credits(database.url))
    add_routes(app)
    return app


@pytest.fixture(scope="module")
def served(server_app: FastAPI) -> Iterator[Server]:
    """The application on a real server."""
    with serving(server_app) as server:
        yield server
