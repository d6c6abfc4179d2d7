"""Without a test key there is nothing here to collect."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import stripe

KEY = os.environ.get("STRIPE_TEST_KEY", "")
collect_ignore_glob = [] if KEY.startswith(("sk_test_", "rk_test_")) else ["test_*.py"]


@pytest.fixture(scope="session")
def client() -> stripe.StripeClient:
    """Stripe's test mode."""
    return stripe.StripeClient(KEY, max_network_retries=2)


Advance = Callable[[int], None]


@pytest.fixture
def clock(client: stripe.StripeClient) -> Iterator[tuple[str, int, Advance]]:
    """A test clock, when it began, and how to move it on; deleted with all that hangs on it."""
    began = int(time.time())
    made = client.v1.test_helpers.test_clocks.create({"frozen_time": began, "name": "sonas-supabase"})

    def advance(to: int) -> None:
        client.v1.test_helpers.test_clocks.advance(made.id, {"frozen_time": to})
        for _ in range(120):
            if client.v1.test_helpers.test_clocks.retrieve(made.id).status == "ready":
                return
            time.sleep(1)
        raise TimeoutError("the test clock does not get there")

    yield made.id, began, advance
    client.v1.test_helpers.test_clocks.delete(made.id)


@pytest.fixture
def subscribed(client: stripe.StripeClient, clock: tuple[str, int, Advance]) -> Any:
    """Subscribes a customer of the clock at a price; answers the subscription."""

    def subscribe(amount: int = 2000, card: str = "pm_card_visa") -> stripe.Subscription:
        customer = client.v1.customers.create({"test_clock": clock[0], "email": "sonas@example.com"})
        method = client.v1.payment_methods.attach(card, {"customer": customer.id})
        client.v1.customers.update(customer.id, {"invoice_settings": {"default_payment_method": method.id}})
        product = client.v1.products.create({"name": "sonas-supabase live test"})
        price = client.v1.prices.create(
            {"product": product.id, "currency": "usd", "unit_amount": amount, "recurring": {"interval": "month"}}
        )
        return client.v1.subscriptions.create(
            {"customer": customer.id, "items": [{"price": price.id}], "billing_mode": {"type": "flexible"}}
        )

    return subscribe
