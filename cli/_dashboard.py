"""The dashboard of the local stack, where the extra that it needs is installed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from sonas_supabase import AsyncCreditsClient, CreditsClient

from . import _selling
from ._jobs import running_jobs

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from sonas_supabase.local import LocalStack
    from sonas_supabase.web import DashboardCheck


def is_installed() -> bool:
    """Whether the reference app can run here."""
    return find_spec("fastapi") is not None and find_spec("jwt") is not None


def serves_metrics() -> bool:
    """Whether the app has something for Prometheus."""
    return is_installed() and find_spec("prometheus_client") is not None


def local_app(stack: LocalStack, *, worker: bool = False) -> Starlette:
    """The reference app on the stack's database, in which a visitor is whichever demo user he clicks."""
    from sonas_supabase.fastapi import SupabaseAuth
    from sonas_supabase.web import Demo, create_app

    keys = stack.keys
    selling = _selling.settings_of(stack) if _selling.is_installed() else None
    app = create_app(
        stack.database_url,
        billing=selling,
        auth=SupabaseAuth(jwt_secret=keys.jwt_secret),
        demo=Demo(token=lambda user, email: keys.token(role="authenticated", user_id=str(user), email=email)),
    )
    if serves_metrics():
        _serve_metrics(app, stack.database_url)
    _run_beside(app, running_jobs(stack.database_url))
    if worker:
        _run_beside(app, running_worker(stack))
    return _selling.with_checkout(app, stack, selling) if selling else app


@asynccontextmanager
async def running_worker(stack: LocalStack) -> AsyncIterator[None]:
    """A worker whose mails are caught here, and whose webhooks may go to this machine."""
    from sonas_supabase.notify import Worker, WorkerSettings

    found = stack.environment()
    settings = WorkerSettings.from_env(
        {"WEBHOOK_ALLOW_PRIVATE": "1", "MAIL_FROM": "Sonas <credits@localhost>", **found}
    )
    stop = asyncio.Event()
    async with AsyncCreditsClient.from_url(stack.database_url, pool_size=4, timeout=30) as credits:
        work = asyncio.create_task(Worker(credits, settings).run(stop))
        try:
            yield
        finally:
            stop.set()
            await work


def _serve_metrics(app: Starlette, database_url: str) -> None:
    """What an operator's Prometheus reads, at /metrics."""
    from sonas_supabase.metrics import metrics_routes

    client = CreditsClient.from_url(database_url, pool_size=2)
    app.router.routes[:0] = metrics_routes(client)

    @asynccontextmanager
    async def connected() -> AsyncIterator[None]:
        with client:
            yield

    _run_beside(app, connected())


def _run_beside(app: Starlette, what: AbstractAsyncContextManager[object]) -> None:
    """Begins it when the app does, and ends it with it."""
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(served: Starlette) -> AsyncIterator[Any]:
        async with what, inner(served) as state:
            yield state

    app.router.lifespan_context = lifespan


def check(client: CreditsClient, base_url: str, user: str, token: str) -> DashboardCheck:
    """Compares what a running app shows of a user with what the database says."""
    from sonas_supabase.web import check_dashboard

    return check_dashboard(base_url, token, client.get_credit_summary(user))
