"""worker: delivers messages."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sonas_supabase import AsyncCreditsClient
from sonas_supabase.settings import Settings

from ._connect import AsJson, DbUrl, database_url
from ._guard import Stop
from ._output import Output
from ._register import register as _register

if TYPE_CHECKING:
    from sonas_supabase.notify import Report


def worker(
    once: Annotated[
        bool, typer.Option("--once", help="One pass: what is due is tried once, what fails waits for the next.")
    ] = False,
    concurrency: Annotated[
        int, typer.Option("--concurrency", help="How many receivers are served at once.", min=1, max=1000)
    ] = 100,
    db_url: DbUrl = None,
    as_json: AsJson = False,
) -> None:
    """Deliver messages: mails by SMTP, webhooks. Also books renewals, and finds what expires or ends.

    Any number of workers may run, and be killed at any moment: what one had begun, another sends again under the same
    id. Settings: SMTP_URL, MAIL_FROM, APP_URL, MAIL_TEMPLATES, WEBHOOK_TIMEOUT, WEBHOOK_ALLOW_PRIVATE, WORKER_BACKOFF,
    WORKER_LEASE, X402_FACILITATOR_URL. Without SMTP_URL mails wait. Ctrl-C ends it when it has finished what it has
    begun.

    Example: sonas worker --once
    """
    try:
        from sonas_supabase.notify import Worker, WorkerSettings
    except ModuleNotFoundError as missing:
        raise Stop(
            f"The worker needs {missing.name}.", 'pip install "sonas-supabase[worker]"', code="not_configured"
        ) from missing
    settings = WorkerSettings.from_env()
    output = Output(as_json)
    if not settings.smtp_url:
        output.note("SMTP_URL is not set: mails wait, webhooks are sent.")

    async def work() -> Report:
        async with _client(db_url) as credits:
            made = Worker(credits, settings, concurrency=concurrency, tasks=_tasks())
            if once:
                return await made.run_once()
            stop = asyncio.Event()
            for name in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(name, stop.set)
            return await made.run(stop)

    report = asyncio.run(work())
    sent = f"{report.delivered} delivered, {report.failed} to be tried again, {report.dead} given up."
    output.answer({"success": True, "code": "ok", **_as_data(report)}, sent)


def _client(db_url: str | None) -> AsyncCreditsClient:
    settings = Settings.from_env()
    if db_url is None and settings.database_url is None and settings.supabase_url and settings.supabase_secret_key:
        return AsyncCreditsClient.from_supabase(settings.supabase_url, settings.supabase_secret_key)
    return AsyncCreditsClient.from_url(database_url(db_url), pool_size=8, timeout=30)


def _tasks() -> list[Any]:
    """What billing and agents' payments have to do now and then, where they are set up."""
    tasks: list[Any] = []
    if os.environ.get("STRIPE_SECRET_KEY"):
        try:
            from sonas_supabase import billing
        except ModuleNotFoundError:
            pass
        else:
            tasks += [billing.work_once]
    if url := os.environ.get("X402_FACILITATOR_URL"):
        tasks.append(_reconciling(url))
    return tasks


def _reconciling(url: str) -> Any:
    try:
        from x402.http import FacilitatorConfig, HTTPFacilitatorClient

        from sonas_supabase.prices.x402 import reconcile
    except ModuleNotFoundError as missing:
        raise Stop(
            f"X402_FACILITATOR_URL needs {missing.name}.", 'pip install "sonas-supabase[x402]"', code="not_configured"
        ) from missing
    facilitator = HTTPFacilitatorClient(FacilitatorConfig(url=url))

    async def work(credits: AsyncCreditsClient) -> int:
        return await reconcile(credits, facilitator)

    return work


def _as_data(report: Report) -> dict[str, Any]:
    return {name: getattr(report, name) for name in report.__slots__}


def register(app: typer.Typer) -> None:
    """Adds the commands of this module."""
    _register(app, "Messages", {"worker": worker})
