"""Receivers, and a worker on a database of the test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from sonas_supabase import AsyncCreditsClient
from sonas_supabase.notify import Report, Worker, WorkerSettings
from tests.notify.receivers import HttpReceiver, SmtpServer, http_receiver, smtp_server
from tests.support.database import Database

Pass = Callable[..., Awaitable[Report]]


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    with http_receiver() as running:
        yield running


@pytest.fixture
def smtp() -> Iterator[SmtpServer]:
    with smtp_server() as running:
        yield running


@pytest.fixture
async def work(own_database: Database) -> AsyncIterator[Pass]:
    """One pass of a worker, with settings that a test may change."""
    async with AsyncCreditsClient.from_url(own_database.url) as credits:

        async def once(**settings: Any) -> Report:
            given = {"allow_private": True, "webhook_timeout": 5, "backoff": (0.0, 0.0), **settings}
            return await Worker(credits, WorkerSettings(**given)).run_once()

        yield once
