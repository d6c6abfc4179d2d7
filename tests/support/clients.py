"""The client in its four shapes behind one interface, so that one suite runs over all of them."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from sonas_supabase import AsyncCreditsClient, CreditsClient
from tests.support.database import Database

TRANSPORTS = ("postgres", "rpc")
COLOURS = ("sync", "async")


class Awaited:
    """A sync object whose methods are awaited: they run in a thread, as in a web application."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        return _in_thread(value) if inspect.ismethod(value) else value

    def reserve(self, *args: Any, **kwargs: Any) -> Any:
        return Awaited(self._inner.reserve(*args, **kwargs))

    async def iter_credit_history(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        for row in await _in_thread(lambda: list(self._inner.iter_credit_history(*args, **kwargs)))():
            yield row

    async def __aenter__(self) -> Awaited:
        await _in_thread(self._inner.__enter__)()
        return self

    async def __aexit__(self, *error: Any) -> Any:
        return await _in_thread(self._inner.__exit__)(*error)


def _in_thread(function: Callable[..., Any]) -> Callable[..., Coroutine[Any, Any, Any]]:
    async def awaited(*args: Any, **kwargs: Any) -> Any:
        context = contextvars.copy_context()
        return await asyncio.to_thread(context.run, lambda: function(*args, **kwargs))

    return awaited


def make_client(transport: str, colour: str, *, url: str, secret_key: str = "", **options: Any) -> Any:
    """An AsyncCreditsClient, or a CreditsClient that is awaited like one."""
    kind = AsyncCreditsClient if colour == "async" else CreditsClient
    client = (
        kind.from_url(url, **options) if transport == "postgres" else kind.from_supabase(url, secret_key, **options)
    )
    return client if colour == "async" else Awaited(client)


async def until(database: Database, query: str, wanted: int, *arguments: Any) -> None:
    """Returns as soon as the query answers `wanted`. Postgres cannot tell us, so it is asked."""
    async with asyncio.timeout(20):
        while await asyncio.to_thread(database.value, query, *arguments) != wanted:
            pass


async def until_blocked(database: Database, sessions: int = 1) -> None:
    """Returns as soon as so many sessions of this database wait for a lock."""
    waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    await until(database, waiting, sessions)
