"""An automatic top-up from the spend that crosses the threshold to the payment, or the decline."""

from __future__ import annotations

import pytest

from tests.billing.shop import MARCH, Buyer, open_shop, utc
from tests.support.database import Database


@pytest.fixture(scope="module", autouse=True)
def _shop(database: Database) -> None:
    open_shop(database)


@pytest.fixture
def a(database: Database) -> Buyer:
    a = Buyer(database).at(MARCH)
    a.call("grant_credits", "message", 20, "top_up")
    a.call("set_auto_top_up", "message", 20, "P500", 3)
    assert a.call("consume_credits", "message", 11)["success"]
    return a


def waiting(a: Buyer) -> list[tuple[int, str]]:
    orders = a.database.call("list_top_ups")["orders"]
    return [(o["quantity"], o["order_id"]) for o in orders if o["account_id"] == str(a.id)]


def charge(a: Buyer, name: str) -> str:
    [(_, order)] = waiting(a)
    a.database.call("attach_billing_session", order, a.own(name))
    return order


def state(a: Buyer) -> str:
    [top_up] = a.call("get_billing_account")["top_ups"]
    return str(top_up["state"])


def test_a_charge_that_succeeds_grants_once_and_is_ready_again(a: Buyer) -> None:
    for _ in range(5):
        a.call("consume_credits", "message")
    [order] = a.database.call("list_top_ups")["orders"]
    assert (order["customer_id"], order["quantity"], order["price_id"]) == (a.customer, 1, "price_p5")
    charge(a, "in_9")
    paid = a.invoice(MARCH, "in_9", ("price_p5", 500, MARCH, MARCH), sub=None, intent="pi_9")
    assert a.tell(paid, paid, paid) == ["applied"] * 3
    assert (a.left, state(a), waiting(a)) == (14 + 500, "ready", [])
    assert sorted(g["amount"] for g in a.grants("top_up")) == [20, 500]
    a.verify()


def test_a_decline_stops_it_until_the_card_changes(a: Buyer) -> None:
    charge(a, "in_9")
    a.tell(a.failed(MARCH, "in_9", sub=None))
    a.call("consume_credits", "message")
    assert (state(a), waiting(a)) == ("stopped", [])
    changed = {"fact": "customer_changed", "customer_id": a.customer, "at": utc(3, 1, 1).isoformat()}
    a.tell((MARCH.isoformat(), [changed]))
    assert state(a) == "stopped", "something else has changed"
    a.at(utc(3, 1, 1)).tell((MARCH.isoformat(), [changed | {"card_changed": True}]))
    assert (state(a), len(waiting(a))) == ("in_flight", 1)
    a.verify()


def test_a_decline_stops_it_for_a_day(a: Buyer) -> None:
    charge(a, "in_9")
    a.tell(a.failed(MARCH, "in_9", sub=None, state="action_required"))
    a.at(utc(3, 1, 23)).call("consume_credits", "message")
    assert state(a) == "stopped"
    a.at(utc(3, 2)).call("consume_credits", "message")
    assert state(a) == "in_flight"
    a.verify()


def test_a_payment_after_a_decline_still_counts(a: Buyer) -> None:
    charge(a, "in_9")
    a.tell(a.failed(MARCH, "in_9", sub=None))
    a.tell(a.invoice(MARCH, "in_9", ("price_p5", 500, MARCH, MARCH), sub=None))
    assert a.left == 519
    a.verify()


def test_an_invoice_of_something_else_grants_nothing(a: Buyer) -> None:
    charge(a, "in_9")
    for told in (
        a.invoice(MARCH, "in_9", ("price_p5", 500, MARCH, MARCH), sub=None, quantity=7),
        a.invoice(MARCH, "in_8", ("price_p5", 500, MARCH, MARCH), sub=None),
        a.invoice(MARCH, "in_7", ("price_of_something", 500, MARCH, MARCH), sub=None),
    ):
        a.tell(told)
    assert a.left == 19
    a.verify()


def test_the_month_has_a_cap(a: Buyer) -> None:
    for n in range(3):
        charge(a, f"in_{n}")
        a.tell(a.invoice(MARCH, f"in_{n}", ("price_p5", 500, MARCH, MARCH), sub=None))
        a.call("consume_credits", "message", a.left - 10 if a.left else 0)
    assert (waiting(a), a.left) == ([], 10)
    a.at(utc(4, 1)).call("consume_credits", "message", 15)
    assert len(waiting(a)) == 1
    a.verify()


def test_a_dispute_or_a_warning_of_one_ends_it(a: Buyer) -> None:
    charge(a, "in_9")
    a.tell(a.invoice(MARCH, "in_9", ("price_p5", 500, MARCH, MARCH), sub=None, intent="pi_1"))
    a.tell(a.dispute(MARCH, "warning_needs_response"))
    a.call("consume_credits", "message", 515)
    assert (waiting(a), a.left) == ([], 4)
    a.verify()


def test_one_that_no_invoice_can_be_made_for_is_given_up_after_a_day(a: Buyer) -> None:
    [(_, first)] = waiting(a)
    a.wait(hours=23)
    assert waiting(a) == [], "what is about to be given up is not begun"
    a.wait(hours=2).call("consume_credits", "message", 1)
    [(_, second)] = waiting(a)
    assert second != first
    assert a.call("get_billing_order", first)["state"] == "failed"
    # One that has an invoice waits for what comes of that.
    a.database.call("attach_billing_session", second, a.own("in_7"))
    a.wait(hours=48).call("consume_credits", "message", 1)
    assert waiting(a) == [(1, second)]
    a.verify()
