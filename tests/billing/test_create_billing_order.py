"""What is bought is written down before the provider is asked."""

from __future__ import annotations

from uuid import UUID

from tests.support.database import Database
from tests.support.errors import raises


def test_an_order_of_packs_has_credits_and_amounts_of_our_own(database: Database, user: UUID) -> None:
    order = database.call("create_billing_order", user, "message_500", 2)
    assert (order["state"], order["credits"], order["unit_amount"], order["amount"]) == ("open", 1000, 6000, 12000)
    assert order["price_id"] is None
    database.call("register_billing_price", "price_500", pack_id="message_500", unit_amount=5900)
    order = database.call("create_billing_order", user, "message_500")
    assert (order["price_id"], order["amount"], order["credits"]) == ("price_500", 5900, 500)


def test_the_same_key_is_the_same_order(database: Database, user: UUID) -> None:
    first = database.call("create_billing_order", user, "message_100", idempotency_key="click")
    again = database.call("create_billing_order", user, "message_100", idempotency_key="click")
    assert (again["order_id"], again["replayed"]) == (first["order_id"], True)
    with raises("idempotency_conflict", "PT409"):
        database.call("create_billing_order", user, "message_100", 2, idempotency_key="click")


def test_an_order_of_a_plan_needs_a_price_of_it(database: Database, user: UUID) -> None:
    with raises("invalid_argument", "PT422"):
        database.call("create_billing_order", user, plan_id="pro", interval="year")
    database.call("register_billing_price", "price_year", "pro", interval="year", unit_amount=100000)
    order = database.call("create_billing_order", user, plan_id="pro", interval="year")
    assert (order["kind"], order["price_id"], order["amount"], order["credits"]) == (
        *("plan", "price_year", 100000, None),
    )
    for plan in ("free", "gold"):
        with raises("invalid_argument", "PT422"):
            database.call("create_billing_order", user, plan_id=plan)
