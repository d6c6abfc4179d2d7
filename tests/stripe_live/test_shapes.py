"""What Stripe really sends is read by the paths that the reader has."""

from __future__ import annotations

import json
from typing import Any

import stripe

from sonas_supabase.billing import HANDLED, BillingEvent, read_event
from tests.stripe_live.conftest import Advance

MONTH = 32 * 86400


def heard(client: stripe.StripeClient, about: str, since: int) -> list[BillingEvent]:
    """The events of one subscription, read, the oldest first."""
    events = client.v1.events.list({"created": {"gte": since}, "types": sorted(HANDLED), "limit": 100})
    bodies = [json.loads(str(event)) for event in events.auto_paging_iter()]
    return [read_event(body) for body in reversed(bodies) if about in json.dumps(body)]


def test_a_subscription_begins_and_renews(
    client: stripe.StripeClient, clock: tuple[str, int, Advance], subscribed: Any
) -> None:
    _, began, advance = clock
    made = subscribed()
    advance(began + MONTH)
    facts = [fact for event in heard(client, made.id, began - 60) for fact in event.facts]
    paid = [fact for fact in facts if fact["fact"] == "period_paid"]
    assert [fact["billing_reason"] for fact in paid] == ["subscription_create", "subscription_cycle"]
    assert {fact["subscription_id"] for fact in paid} == {made.id}
    assert paid[0]["lines"][0]["period_end"] == paid[1]["lines"][0]["period_start"]
    seen = [fact for fact in facts if fact["fact"] == "subscription_seen"]
    assert seen[-1]["items"][0]["period_end"] == paid[1]["lines"][0]["period_end"]
    assert [fact for fact in facts if fact["fact"] == "payment_linked"]


def test_a_renewal_that_fails_is_past_due(
    client: stripe.StripeClient, clock: tuple[str, int, Advance], subscribed: Any
) -> None:
    _, began, advance = clock
    made = subscribed()
    method = client.v1.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": str(made.customer)})
    client.v1.customers.update(str(made.customer), {"invoice_settings": {"default_payment_method": method.id}})
    advance(began + MONTH)
    facts = [fact for event in heard(client, made.id, began - 60) for fact in event.facts]
    assert [fact["state"] for fact in facts if fact["fact"] == "payment_failed" and "invoice_id" in fact][:1] == [
        "failed"
    ]
    assert "past_due" in [fact["status"] for fact in facts if fact["fact"] == "subscription_seen"]


def test_an_upgrade_is_prorated_from_an_instant(
    client: stripe.StripeClient, clock: tuple[str, int, Advance], subscribed: Any
) -> None:
    _, began, advance = clock
    made = subscribed()
    advance(began + 15 * 86400)
    larger = client.v1.prices.create(
        {
            "product": client.v1.products.create({"name": "sonas-supabase larger"}).id,
            "currency": "usd",
            "unit_amount": 10000,
            "recurring": {"interval": "month"},
        }
    )
    client.v1.subscriptions.update(
        made.id,
        {
            "items": [{"id": made.items.data[0].id, "price": larger.id}],
            "proration_behavior": "always_invoice",
        },
    )
    facts = [fact for event in heard(client, made.id, began - 60) for fact in event.facts]
    [upgrade] = [fact for fact in facts if fact.get("billing_reason") == "subscription_update"]
    assert sorted(line["amount"] < 0 for line in upgrade["lines"]) == [False, True]
    assert all(line["proration"] for line in upgrade["lines"])
    assert len({line["period_start"] for line in upgrade["lines"]}) == 1, "from when on it was charged"
