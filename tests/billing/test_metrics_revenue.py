"""What selling brings: money that was paid, earned and is still owed, and what subscriptions are worth by the month."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from tests.billing.shop import APRIL, JUNE, MARCH, MAY, Buyer, open_shop, utc
from tests.billing.walk_lifecycles import Life
from tests.support.database import Database

YEAR = utc(3, 1, year=2028)


@pytest.fixture
def books(own_database: Database) -> Database:
    open_shop(own_database)
    return own_database


def revenue(database: Database, since: datetime, until: datetime, bucket: str = "month", **more: Any) -> dict[str, Any]:
    answer: dict[str, Any] = database.call("metrics_revenue", since, until, bucket, include_test=True, **more)
    for row in answer["rows"]:
        assert row["deferred"] == row["deferred_before"] + row["paid"] - row["refunded"] - row["earned"]
    for before, after in zip(answer["rows"], answer["rows"][1:], strict=False):
        assert (after["deferred_before"], after["mrr_before"]) == (before["deferred"], before["mrr"])
        assert after["payers_before"] == before["payers"]
    return answer


def test_money_is_earned_with_credits_and_time(books: Database) -> None:
    a, b = Buyer(books).at(MARCH), Buyer(books).at(MARCH)
    a.tell(a.seen(MARCH), a.invoice(MARCH, "in_1", ("price_st", 2000, MARCH, APRIL), intent="pi_in"))
    b.tell(
        b.seen(MARCH, price="price_proY", end=YEAR),
        b.invoice(MARCH, "in_1", ("price_proY", 100000, MARCH, YEAR), total=120000, tax=20000),
    )
    a.bought(MARCH)
    a.at(utc(3, 20)).call("consume_credits", "message", 100 + 200)
    a.at(utc(4, 2)).tell(a.refund(a.now, "re_1", 240))
    a.tell(a.seen(a.now, "canceled", start=APRIL, end=MAY, ended_at=a.now))
    b.at(utc(4, 10)).tell(b.seen(b.now, price="price_st", start=MARCH, end=YEAR))

    months = revenue(books, MARCH, JUNE)["rows"]
    year = 366 * 24
    assert [row["paid_subscriptions"] for row in months] == [102000, 0, 0]
    assert [row["paid_purchases"] for row in months] == [500, 0, 0]
    assert [row["refunded"] for row in months] == [0, 200, 0]
    assert [row["deferred_purchases"] for row in months] == [300, 100, 100]
    assert [row["deferred_subscriptions"] for row in months] == [
        round(100000 * (year - hours) / year) for hours in (31 * 24, 61 * 24, 92 * 24)
    ]
    assert months[0]["earned"] == 2000 + 200 + 100000 - months[0]["deferred_subscriptions"]
    assert [row["mrr"] for row in months] == [2000 + 8333, 2000, 2000]
    assert [(row["mrr_new"], row["mrr_contraction"], row["mrr_churned"]) for row in months] == [
        *((10333, 0, 0), (0, 6333, 2000), (0, 0, 0)),
    ]
    assert [(row["payers"], row["payers_churned"], row["churn"]) for row in months] == [
        (2, 0, None),
        (1, 1, 0.5),
        (1, 0, 0),
    ]
    assert months[0]["credits_spent"] == 300
    assert float(months[0]["per_credit"]) == pytest.approx(months[0]["earned"] / 300, abs=1e-6)
    [sold, *_] = revenue(books, MARCH, JUNE)["purchases"]
    assert {key: sold[key] for key in ("credit_type", "paid", "sold", "spent", "owed", "deferred", "per_credit")} == {
        **{"credit_type": "message", "paid": 500, "sold": 500, "spent": 200, "owed": 300, "deferred": 300},
        **{"per_credit": "1"},
    }
    # Test accounts and the other mode are left out.
    assert books.call("metrics_revenue", MARCH, JUNE)["rows"] == []
    assert revenue(books, MARCH, JUNE, livemode=True)["rows"] == []


def test_a_refund_of_an_invoice_is_earned_by_no_one(books: Database) -> None:
    a = Buyer(books).at(MARCH)
    a.tell(a.seen(MARCH), a.invoice(MARCH, "in_1", ("price_st", 2000, MARCH, APRIL), intent="pi_in"))
    a.at(utc(3, 11)).tell(a.refund(a.now, "re_1", 1000, payment_intent=a.own("pi_in")))
    [march, april] = revenue(books, MARCH, MAY)["rows"]
    assert (march["paid"], march["refunded"], march["earned"], march["deferred"]) == (2000, 1000, 1000, 0)
    assert (april["earned"], april["mrr"]) == (0, 2000)
    [day] = [r for r in revenue(books, utc(3, 11), utc(3, 12), "day")["rows"]]
    # A third of the month had passed; then half of what was left was given back.
    assert day["deferred_before"] == round(2000 * 21 / 31)
    assert day["deferred"] == round(1000 * 20 / 31)


def test_costs_that_are_known_leave_a_margin(own_database: Database) -> None:
    own_database.call("set_price_book", "default", credits_per_unit=100)
    own_database.call("set_provider_cost", "look", "call", Decimal("0.02"), markup=Decimal(2))
    user = own_database.new_user()
    own_database.call("grant_credits", user, "integration", 100, "top_up", priority=1, paid_amount=100, currency="usd")
    own_database.call("consume_operation", user, "look")
    [row] = own_database.call("metrics_revenue", bucket="all")["rows"]
    assert (row["earned"], row["provider_cost"], row["unknown_costs"], row["margin"]) == (4, 2, 0, 0.5)


def test_random_lives_reconcile(books: Database) -> None:
    """What is deferred is what an account's purchases still hold; what was paid, earned, given back or is deferred."""
    for n in range(2):
        life = Life(books, Random(f"revenue:{n}"))
        life.run(14)
    until = life.model.now + timedelta(days=400)
    whole = revenue(books, utc(2, 20), until, "all")
    monthly = revenue(books, utc(2, 20), until)
    [row] = whole["rows"]
    for figure in ("paid", "refunded", "earned"):
        assert abs(row[figure] - sum(month[figure] for month in monthly["rows"])) <= 2, figure
    held = books.value(
        "select coalesce(sum(g.remaining::numeric * g.paid_amount / g.amount), 0) "
        "from public.credit_grants g where g.paid_amount > 0"
    )
    assert row["deferred_purchases"] == round(held)
    paid = books.value("select sum(paid_net) from credits.billing_orders where state = 'paid'")
    assert row["paid_purchases"] == paid
