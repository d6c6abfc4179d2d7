"""The simulated Stripe: the official SDK sells through it, and its events are signed and in order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
import stripe

from sonas_supabase.billing import SUBSCRIBED
from sonas_supabase.local import LocalProblem, LocalStack
from sonas_supabase.local.stripe import Store, later, simulated_stripe
from sonas_supabase.local.stripe._objects import Json
from tests.billing.events import at
from tests.billing.support import Double, Hearer, press, wait_until
from tests.billing.test_reader import unknown_fields


def price(double: Double, amount: int, interval: Any = None, name: str = "Pro") -> str:
    product = double.client.v1.products.create({"name": name})
    params: Any = {"product": product.id, "currency": "usd", "unit_amount": amount}
    if interval:
        params["recurring"] = {"interval": interval}
    return double.client.v1.prices.create(params).id


def session(double: Double, mode: Any, price_id: str) -> stripe.checkout.Session:
    customer = double.client.v1.customers.create({"email": "ann@example.com"})
    wanted: Any = {
        "mode": mode,
        "customer": customer.id,
        "line_items": [{"price": price_id, "quantity": 1}],
        "success_url": "http://127.0.0.1:1/back?session={CHECKOUT_SESSION_ID}",
    }
    return double.client.v1.checkout.sessions.create(wanted)


def pay(double: Double, mode: Any, price_id: str) -> stripe.checkout.Session:
    opened = session(double, mode, price_id)
    answer = press(opened.url, "card")
    assert (answer.status_code, answer.headers["location"]) == (303, f"http://127.0.0.1:1/back?session={opened.id}")
    return double.client.v1.checkout.sessions.retrieve(opened.id)


def portal(double: Double, customer: Any) -> str:
    return double.client.v1.billing_portal.sessions.create(
        {"customer": customer, "return_url": "http://127.0.0.1:1/"}
    ).url


def test_a_pack_is_paid_and_told_once(double: Double, hearer: Hearer) -> None:
    paid = pay(double, "payment", price(double, 500))
    assert (paid.status, paid.payment_status, paid.amount_total) == ("complete", "paid", 500)
    wait_until(lambda: "checkout.session.completed" in hearer.types())
    [fact] = hearer.events[-1].facts
    assert (fact["session_id"], fact["state"], fact["payment_intent"]) == (paid.id, "paid", paid.payment_intent)
    assert press(paid.url, "card").status_code == 409


def test_a_subscription_tells_its_whole_story(double: Double, hearer: Hearer) -> None:
    paid = pay(double, "subscription", price(double, 2000, "month"))
    wait_until(lambda: "checkout.session.completed" in hearer.types())
    assert [told for told in hearer.types() if not told.startswith(("payment_method", "customer.updated"))] == [
        "customer.subscription.created",
        "invoice.paid",
        "invoice_payment.paid",
        "customer.subscription.updated",
        "checkout.session.completed",
    ]
    facts = {event.type: event.facts[0] for event in hearer.events}
    covered = facts["invoice.paid"]["lines"][0]
    item = facts["customer.subscription.updated"]["items"][0]
    assert (covered["period_end"], covered["price_id"]) == (item["period_end"], item["price_id"])
    assert (
        facts["invoice.paid"]["subscription_id"]
        == paid.subscription
        == facts["checkout.session.completed"]["subscription_id"]
    )
    assert set(hearer.types()) <= set(SUBSCRIBED)


def test_the_portal_cancels_resumes_changes_and_fails(double: Double, hearer: Hearer) -> None:
    small, large = price(double, 2000, "month", "Starter"), price(double, 10000, "month")
    paid = pay(double, "subscription", small)
    page, of = portal(double, paid.customer), str(paid.subscription)
    for button in (
        f"end:{of}",
        f"keep:{of}",
        f"to {large}:{of}",
        f"pause:{of}",
        f"resume:{of}",
        "card:declines",
        f"renew:{of}",
    ):
        answer = press(page, button, follow_redirects=True)
        assert answer.status_code == 200, answer.text
        assert "No card is charged" in answer.text
    now = double.client.v1.subscriptions.retrieve(of)
    assert (now.status, now.items.data[0].price.id) == ("past_due", large)
    press(page, "card:works")
    assert double.client.v1.subscriptions.retrieve(of).status == "active"
    press(page, f"cancel:{of}")
    assert double.client.v1.subscriptions.retrieve(of).status == "canceled"
    assert press(page, f"renew:{of}").status_code == 409
    wait_until(lambda: "customer.subscription.deleted" in hearer.types())
    assert "invoice.payment_failed" in hearer.types()
    [upgrade] = [
        event.facts[0] for event in hearer.events if event.facts[0].get("billing_reason") == "subscription_update"
    ]
    assert [line["proration"] for line in upgrade["lines"]] == [True, True]
    assert upgrade["lines"][0]["period_start"] == upgrade["lines"][1]["period_start"]


def test_money_goes_back_and_is_disputed(double: Double, hearer: Hearer) -> None:
    paid = pay(double, "payment", price(double, 600))
    page, intent = portal(double, paid.customer), str(paid.payment_intent)
    press(page, f"half:{intent}")
    [refund] = double.client.v1.refunds.list({"payment_intent": intent}).data
    press(page, f"unrefund:{refund.id}")
    press(page, f"dispute:{intent}")
    [dispute] = double.client.v1.disputes.list({"payment_intent": intent}).data
    press(page, f"lost:{dispute.id}")
    wait_until(lambda: "charge.dispute.closed" in hearer.types())
    told = [event.facts[0] for event in hearer.events if event.type.startswith(("refund", "charge"))]
    assert [fact["status"] for fact in told] == ["succeeded", "failed", "needs_response", "lost"]
    assert (told[0]["amount"], told[0]["payment_intent"]) == (300, intent)


def test_a_debit_arrives_later_or_never(double: Double, hearer: Hearer) -> None:
    for end, told in (("arrives", "async_payment_succeeded"), ("fails", "async_payment_failed")):
        opened = session(double, "payment", price(double, 500))
        press(opened.url, "debit")
        assert double.client.v1.checkout.sessions.retrieve(opened.id).payment_status == "unpaid"
        press(opened.url, end)
        wait_until(lambda told=told: f"checkout.session.{told}" in hearer.types())  # type: ignore[misc]


def test_a_declined_card_leaves_the_session_open(double: Double) -> None:
    opened = session(double, "payment", price(double, 500))
    answer = press(opened.url, "declined")
    assert "Your card was declined" in answer.text
    assert double.client.v1.checkout.sessions.retrieve(opened.id).status == "open"
    double.client.v1.checkout.sessions.expire(opened.id)
    assert press(opened.url, "card").status_code == 409


def test_an_idempotency_key_is_one_request(double: Double) -> None:
    customers = double.client.v1.customers
    first = customers.create({"email": "a@example.com"}, {"idempotency_key": "k"})
    assert customers.create({"email": "a@example.com"}, {"idempotency_key": "k"}).id == first.id
    with pytest.raises(stripe.IdempotencyError):
        customers.create({"email": "b@example.com"}, {"idempotency_key": "k"})
    assert len(customers.list().data) == 1


def test_an_invoice_by_hand_is_charged_to_the_card_on_file(double: Double) -> None:
    paid = pay(double, "payment", price(double, 500))
    once = price(double, 500, name="500 credits")
    client = double.client.v1

    def buy() -> stripe.Invoice:
        invoice = client.invoices.create({"customer": str(paid.customer), "auto_advance": False})
        client.invoice_items.create(
            {"customer": str(paid.customer), "invoice": invoice.id, "pricing": {"price": once}, "quantity": 2}
        )
        client.invoices.finalize_invoice(str(invoice.id))
        return client.invoices.pay(str(invoice.id))

    bought = buy()
    assert (bought.status, bought.total, bought.parent) == ("paid", 1000, None)
    press(portal(double, paid.customer), "card:declines")
    with pytest.raises(stripe.CardError):
        buy()


def test_prices_are_found_by_their_lookup_key_and_hand_it_on(double: Double) -> None:
    client = double.client.v1
    product = client.products.create({"name": "Pro"}).id
    first = client.prices.create({"product": product, "currency": "usd", "unit_amount": 1, "lookup_key": "pro"})
    with pytest.raises(stripe.InvalidRequestError):
        client.prices.create({"product": product, "currency": "usd", "unit_amount": 2, "lookup_key": "pro"})
    second = client.prices.create(
        {"product": product, "currency": "usd", "unit_amount": 2, "lookup_key": "pro", "transfer_lookup_key": True}
    )
    assert [found.id for found in client.prices.list({"lookup_keys": ["pro"]}).data] == [second.id]
    assert client.prices.retrieve(first.id).lookup_key is None


def test_what_is_not_taken_is_sent_again_and_in_order(double: Double, hearer: Hearer) -> None:
    hearer.answers = [500, 503]
    pay(double, "subscription", price(double, 2000, "month"))
    wait_until(lambda: "checkout.session.completed" in hearer.types())
    listed = [event.type for event in reversed(double.client.v1.events.list({"limit": 100}).data)]
    assert hearer.types() == [told for told in listed if told in SUBSCRIBED or told in hearer.types()]
    assert len({event.id for event in hearer.events}) == len(hearer.events)


def test_it_remembers_across_a_restart(double: Double) -> None:
    made = double.client.v1.customers.create({"email": "ann@example.com"})
    double.shop.store.save()
    again = Store(double.stack.directory / "stripe.json")
    assert again.get(made.id)["email"] == "ann@example.com"


def test_it_runs_for_a_running_stack_alone(tmp_path: Path) -> None:
    with pytest.raises(LocalProblem, match="runs nowhere else"):
        simulated_stripe(LocalStack(tmp_path / "other"), "http://127.0.0.1:1/")


def test_it_answers_this_machine_and_this_key_alone(double: Double) -> None:
    elsewhere = {"host": "shop.example.com"}
    assert httpx.get(f"{double.url}/v1/events", headers=elsewhere).status_code == 403
    assert httpx.get(f"{double.url}/v1/events").status_code == 401
    assert httpx.get(f"{double.url}/v1/events", headers={"authorization": "Bearer sk_live_1"}).status_code == 401


def test_a_form_of_another_site_buys_nothing(double: Double) -> None:
    opened = session(double, "payment", price(double, 500))
    answer = press(opened.url, "card", headers={"origin": "https://evil.example.com"})
    assert answer.status_code == 403
    assert double.client.v1.checkout.sessions.retrieve(opened.id).status == "open"


def test_the_portal_of_one_customer_does_nothing_to_another(double: Double) -> None:
    paid = pay(double, "subscription", price(double, 2000, "month"))
    other = double.client.v1.customers.create({"email": "bob@example.com"})
    assert press(portal(double, other.id), f"cancel:{paid.subscription}").status_code == 404
    assert double.client.v1.subscriptions.retrieve(str(paid.subscription)).status == "active"


def test_all_that_it_says_is_of_the_sdks_shape(double: Double) -> None:
    paid = pay(double, "subscription", price(double, 2000, "month"))
    pay(double, "payment", price(double, 500))
    press(portal(double, paid.customer), f"renew:{paid.subscription}")
    kept: list[Json] = [*double.shop.store.objects.values(), *double.shop.store.events]
    for of in kept:
        assert list(unknown_fields(of, None, of["object"])) == []


@pytest.mark.parametrize(
    ("start", "interval", "end"),
    [
        ("2027-01-31", "month", "2027-02-28"),
        ("2027-12-15 10:30", "month", "2028-01-15 10:30"),
        ("2028-02-29", "year", "2029-02-28"),
        ("2027-03-01", "year", "2028-03-01"),
    ],
)
def test_a_month_ends_where_stripes_does(start: str, interval: str, end: str) -> None:
    assert later(at(start), interval) == at(end)
