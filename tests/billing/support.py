"""A simulated Stripe that runs, the SDK's client for it, and a webhook that keeps what it hears."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import stripe
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sonas_supabase.billing import BillingEvent, read_webhook
from sonas_supabase.local import LocalStack, free_port
from sonas_supabase.local.stripe import Sender, Shop, StripeKeys, simulated_stripe, stripe_keys


@contextmanager
def served(app: Any, port: int | None = None) -> Iterator[str]:
    """An app on a port of this machine."""
    port = port or free_port()
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        with httpx.Client(transport=httpx.HTTPTransport(retries=10)) as client:
            client.get(f"http://127.0.0.1:{port}/")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)


@dataclass
class Hearer:
    """A webhook. `answers` are the statuses to answer first; then 200."""

    url: str = ""
    secret: str = ""
    events: list[BillingEvent] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    async def hear(self, request: Request) -> Response:
        heard = read_webhook(await request.body(), request.headers["stripe-signature"], [self.secret])
        if self.answers:
            return Response(status_code=self.answers.pop(0))
        self.events.append(heard)
        return Response()

    @contextmanager
    def listening(self) -> Iterator[Hearer]:
        with served(Starlette(routes=[Route("/hook", self.hear, methods=["POST"])])) as url:
            self.url = f"{url}/hook"
            yield self

    def types(self) -> list[str]:
        return [event.type for event in self.events]


@dataclass(frozen=True)
class Double:
    """A simulated Stripe."""

    url: str
    keys: StripeKeys
    shop: Shop
    stack: LocalStack
    sender: Sender

    def settle(self) -> None:
        """Waits until all that it has to say is taken."""
        wait_until(lambda: self.sender.idle, "the last event")

    @property
    def client(self) -> stripe.StripeClient:
        """The official SDK, as an application has it."""
        return stripe.StripeClient(self.keys.secret_key, base_addresses={"api": self.url})


@contextmanager
def running_double(directory: Path, webhook_url: str, **options: Any) -> Iterator[Double]:
    stack = LocalStack(directory)
    with stack._only_one():
        app = simulated_stripe(stack, webhook_url, pauses=[0.02], **options)
        with served(app) as url:
            yield Double(url, stripe_keys(stack), app.state.shop, stack, app.state.sender)


def wait_until(condition: Callable[[], object], what: str = "it", seconds: float = 10) -> None:
    """Waits for what other threads do."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.01)
