"""A Stripe on one's own machine: the simulated checkout of `sonas up`, and what the tests sell through.

The official SDK talks to it as to Stripe, with ``STRIPE_API_BASE``. In the order in which a sale meets them:

1. `_api`: the part of the API that selling credits calls. An ``Idempotency-Key`` is honoured.
2. `_pages`: the checkout and the portal, plain HTML, each marked: pay, be declined, cancel, resume, refund, dispute.
3. `_shop`: what then happens, in the order in which Stripe tells it; `_objects` has the shapes, `_store` remembers.
4. `_sender`: each event goes to the application's webhook, signed.

It moves no money, knows no tax and no bank, and its arithmetic of prorations is not Stripe's. So it runs for a local
stack alone, and answers only requests from this machine.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from sonas_supabase.local._problems import LocalProblem
from sonas_supabase.local.stripe._api import Api
from sonas_supabase.local.stripe._pages import Pages
from sonas_supabase.local.stripe._sender import PAUSES, Sender, signed
from sonas_supabase.local.stripe._shop import Impossible, Shop, later
from sonas_supabase.local.stripe._store import Missing, Store

if TYPE_CHECKING:
    from sonas_supabase.local.stack import LocalStack

__all__ = [
    "SIMULATED_KEY",
    "Impossible",
    "Missing",
    "Sender",
    "Shop",
    "Store",
    "StripeKeys",
    "later",
    "signed",
    "simulated_stripe",
    "stripe_keys",
]

SIMULATED_KEY = "sk_test_simulated_"
"""What the secret keys of simulated ones begin with."""
_HOSTS = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class StripeKeys:
    """The secret key and the webhook's secret of a stack's simulated Stripe. Real ones look alike, and are refused."""

    secret_key: str
    webhook_secret: str


def stripe_keys(stack: LocalStack) -> StripeKeys:
    """The keys of a stack: they follow from its own secret."""
    derived = [hashlib.sha256(f"{use} {stack.keys.jwt_secret}".encode()).hexdigest()[:32] for use in ("api", "webhook")]
    return StripeKeys(f"{SIMULATED_KEY}{derived[0]}", f"whsec_simulated_{derived[1]}")


def simulated_stripe(stack: LocalStack, webhook_url: str, *, pauses: Sequence[float] = PAUSES) -> Starlette:
    """The ASGI app, with the webhook to tell. ``app.state.shop`` is the shop behind it.

    Raises:
        LocalProblem: the stack does not run, so nothing here may pretend that something was paid.
    """
    if not stack.is_served():
        raise LocalProblem(
            "The simulated checkout is a part of a running local stack, and runs nowhere else.",
            "Start one with `sonas up`.",
        )
    keys = stripe_keys(stack)
    store = Store(stack.directory / "stripe.json")
    shop = Shop(store)
    sender = Sender(webhook_url, keys.webhook_secret, pauses=pauses)
    store.on_event(sender.send)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        sending = asyncio.create_task(sender.run())
        try:
            yield
        finally:
            sending.cancel()
            with suppress(asyncio.CancelledError):
                await sending
            store.save()

    app = Starlette(routes=[*Api(shop, keys.secret_key).routes(), *Pages(shop).routes()], lifespan=lifespan)
    app.add_middleware(_ThisMachine)
    app.state.shop, app.state.sender = shop, sender
    return app


class _ThisMachine:
    """Refuses what does not come from this machine, under a name of this machine."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not _is_local(scope):
            await PlainTextResponse("The simulated checkout answers this machine alone.", 403)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _is_local(scope: Scope) -> bool:
    host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
    name = host.rpartition("]")[0].lstrip("[") if host.startswith("[") else host.partition(":")[0]
    client = scope.get("client")
    try:
        near = client is None or ip_address(client[0]).is_loopback
    except ValueError:
        near = False
    return near and name in _HOSTS
