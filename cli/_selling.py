"""The simulated checkout of the local stack: its Stripe, the catalogue in it, and what a worker does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING

from sonas_supabase import AsyncCreditsClient, CreditsClient

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from sonas_supabase.billing import BillingSettings
    from sonas_supabase.local import LocalStack

PATH = "/simulated-stripe"
_EVERY = 5.0
_YEARLY_MONTHS = 10
_logger = logging.getLogger("sonas_supabase")


def is_installed() -> bool:
    """Whether the extra is here that selling needs."""
    return find_spec("stripe") is not None


def settings_of(stack: LocalStack) -> BillingSettings | None:
    """Stripe's test mode, where the environment has a key for it; else the simulated one.

    Raises:
        LocalProblem: the environment has a live key, which would take real money for a demo.
    """
    from sonas_supabase.billing import BillingSettings
    from sonas_supabase.local import LocalProblem
    from sonas_supabase.local.stripe import SIMULATED_KEY

    given = BillingSettings.from_env()
    if (given.secret_key or "").startswith(SIMULATED_KEY):
        # Out of `sonas status --env`, perhaps of a stack that was made anew since.
        return _simulated(stack)
    if given.livemode:
        raise LocalProblem(
            "STRIPE_SECRET_KEY is a live key, and a local stack takes no real money.",
            "Unset it for the simulated checkout, or set a test key (sk_test_…).",
        )
    return given if given.secret_key else _simulated(stack)


def environment_of(stack: LocalStack) -> dict[str, str]:
    """What an app, or `sonas stripe`, has in its environment to sell through the simulated Stripe of a stack."""
    settings = _simulated(stack)
    return {
        "STRIPE_SECRET_KEY": settings.require_key(),
        "STRIPE_WEBHOOK_SECRETS": ",".join(settings.webhook_secrets),
        "STRIPE_API_BASE": str(settings.api_base),
    }


def _simulated(stack: LocalStack) -> BillingSettings:
    from sonas_supabase.billing import BillingSettings
    from sonas_supabase.local.stripe import stripe_keys

    keys = stripe_keys(stack)
    return BillingSettings(
        secret_key=keys.secret_key, webhook_secrets=(keys.webhook_secret,), api_base=f"{stack.api_url}{PATH}"
    )


def with_checkout(app: Starlette, stack: LocalStack, settings: BillingSettings) -> Starlette:
    """The app with the simulated Stripe beside it."""
    from starlette.applications import Starlette
    from starlette.routing import Mount

    from sonas_supabase.local.stripe import simulated_stripe

    if settings.api_base is None:
        return app
    stripe = simulated_stripe(stack, f"{stack.api_url}/api/billing/webhook")

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with (
            stripe.router.lifespan_context(stripe),
            app.router.lifespan_context(app),
            _selling(stack.database_url, settings),
        ):
            yield

    return Starlette(routes=[Mount(PATH, stripe), Mount("/", app)], lifespan=lifespan)


@asynccontextmanager
async def _selling(database_url: str, settings: BillingSettings) -> AsyncIterator[None]:
    """Makes the catalogue, once the server answers, and then does a worker's part of billing."""
    from sonas_supabase.billing import Operations, work_once

    def stock() -> None:
        with CreditsClient.from_url(database_url, pool_size=1) as client:
            Operations(client, settings).push(yearly_months=_YEARLY_MONTHS)

    async def work() -> None:
        async with AsyncCreditsClient.from_url(database_url, pool_size=1) as client:
            await work_once(client, settings)

    async def run() -> None:
        await _repeat(lambda: asyncio.to_thread(stock), until_done=True)
        await _repeat(work, until_done=False)

    running = asyncio.create_task(run())
    try:
        yield
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def _repeat(act: Callable[[], Awaitable[None]], *, until_done: bool) -> None:
    while True:
        try:
            await act()
        except Exception as error:
            _logger.info("selling waits: %s", error)
        else:
            if until_done:
                return
        await asyncio.sleep(0.3 if until_done else _EVERY)
