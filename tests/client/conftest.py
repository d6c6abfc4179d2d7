"""The client over each transport, with and without await: every test that asks for `credits` runs four times."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.api import Api
from tests.support.clients import COLOURS, TRANSPORTS, make_client
from tests.support.database import Database

Shape = tuple[str, str]


@pytest.fixture(params=[(t, c) for t in TRANSPORTS for c in COLOURS], ids="-".join)
def shape(request: pytest.FixtureRequest) -> Shape:
    """Which transport, and sync or async."""
    chosen: Shape = request.param
    return chosen


@pytest.fixture
async def credits(shape: Shape, database: Database, api: Api) -> AsyncIterator[Any]:
    """The client in one of its four shapes."""
    transport, colour = shape
    url = database.url if transport == "postgres" else api.url
    client = make_client(transport, colour, url=url, secret_key=api.keys.secret_key)
    async with asyncio.timeout(60), client:
        yield client
