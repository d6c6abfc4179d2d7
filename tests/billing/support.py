"""A simulated Stripe that runs, the SDK's client for it, and a webhook that keeps what it hears."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import stripe
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sonas_supabase import CreditsClient
from sonas_supabase.billing import BillingEvent, BillingSettings, Operations, read_webhook
from sonas_supabase.local import LocalStack, free_port
from sonas_supabase.local.stripe import Sender, Shop, StripeKeys, simulated_stripe, stripe_keys
from tests.support.database import Database
from tests.web.support import bearer, make_app


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


@dataclass(frozen=True)
class Selling:
    """The reference app that sells through a simulated Stripe, both served."""

    url: str
    double: Double
    database: Database

    def http(self, user_id: UUID | None = None) -> httpx.Client:
        """Requests of a user."""
        return httpx.Client(base_url=self.url, headers=bearer(user_id) if user_id else {}, timeout=30)

    def checkout(self, user_id: UUID, **wanted: Any) -> tuple[str, str]:
        """The page to pay on, and the order."""
        with self.http(user_id) as http:
            answer = http.post("/api/billing/checkout", json=wanted)
        assert answer.status_code == 200, answer.text
        return answer.json()["url"], answer.json()["order_id"]

    def order(self, user_id: UUID, order_id: str, **query: Any) -> dict[str, Any]:
        """What became of an order, when nothing is on its way any more."""
        self.double.settle()
        with self.http(user_id) as http:
            answer = http.get(f"/api/billing/orders/{order_id}", params=query)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def buy(self, user_id: UUID, **wanted: Any) -> dict[str, Any]:
        """Pays by a card that works."""
        url, order_id = self.checkout(user_id, **wanted)
        assert press(url, "card").status_code == 303
        return self.order(user_id, order_id)

    def portal(self, user_id: UUID) -> str:
        with self.http(user_id) as http:
            return str(http.post("/api/billing/portal").json()["url"])

    def left(self, user_id: UUID, credit_type: str = "message") -> int:
        """What can be spent now."""
        self.double.settle()
        return int(self.database.balance(user_id, credit_type)["remaining"])

    def plan(self, user_id: UUID) -> str:
        self.double.settle()
        return str(self.database.call("get_credit_summary", user_id)["plan"])


def press(url: str | None, button: str, **options: Any) -> httpx.Response:
    """Presses a button on a page of the simulated Stripe."""
    assert url
    return httpx.post(url, data={"do": button}, **options)


@contextmanager
def selling(database: Database, folder: Path) -> Iterator[Selling]:
    """The app and the simulated Stripe, with everything that is on sale in both."""
    port = free_port()
    with running_double(folder / "stack", f"http://127.0.0.1:{port}/api/billing/webhook") as double:
        keys = double.keys
        settings = BillingSettings(
            secret_key=keys.secret_key, webhook_secrets=(keys.webhook_secret,), api_base=double.url
        )
        app = make_app(database, billing=settings)
        with served(app, port) as url:
            with CreditsClient.from_url(database.url, pool_size=1) as client:
                Operations(client, settings).push(yearly_months=10)
            yield Selling(url, double, database)
