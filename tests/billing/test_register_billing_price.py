"""A provider's price buys a plan or a pack, and never something else."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.database import Database
from tests.support.errors import raises


def test_a_price_is_followed_by_another_and_stays_known(own_database: Database) -> None:
    first = own_database.call("register_billing_price", "price_1", "starter", unit_amount=2000)
    assert (first["plan_id"], first["billing_interval"], first["is_current"], first["replayed"]) == (
        *("starter", "month", True, False),
    )
    own_database.call("register_billing_price", "price_2", "starter", unit_amount=2500)
    own_database.call("register_billing_price", "price_y", "starter", interval="year", unit_amount=20000)
    listed = own_database.call("list_billing_prices")["prices"]
    assert {(p["price_id"], p["is_current"]) for p in listed} == {
        *(("price_1", False), ("price_2", True), ("price_y", True)),
    }
    [starter] = [plan for plan in own_database.call("list_plans")["plans"] if plan["id"] == "starter"]
    assert [(p["interval"], p["unit_amount"], p["price_id"]) for p in starter["prices"]] == [
        *(("month", 2500, "price_2"), ("year", 20000, "price_y")),
    ]


def test_the_same_price_again_changes_nothing(own_database: Database) -> None:
    own_database.call("register_billing_price", "price_p", pack_id="message_100", unit_amount=1500)
    before = own_database.query("select * from credits.billing_prices")
    assert own_database.call("register_billing_price", "price_p", pack_id="message_100")["replayed"] is True
    assert own_database.query("select * from credits.billing_prices") == before


@pytest.mark.parametrize(
    "other",
    [{"plan_id": "pro"}, {"unit_amount": 1}, {"currency": "eur"}, {"livemode": True}, {"interval": "year"}],
)
def test_a_price_is_never_changed(database: Database, other: dict[str, Any]) -> None:
    named = {"plan_id": "starter", "unit_amount": 2000}
    database.call("register_billing_price", "price_same", **named)
    with raises("invalid_argument", "PT422"):
        database.call("register_billing_price", "price_same", **(named | other))


def test_a_price_buys_either_a_plan_or_a_pack(database: Database) -> None:
    for named in ({}, {"plan_id": "pro", "pack_id": "message_100"}, {"plan_id": "pro", "currency": "dollars"}):
        with raises("invalid_argument", "PT422"):
            database.call("register_billing_price", "price_x", **named)


def test_a_plan_without_a_price_of_its_own_is_listed_by_the_month(database: Database) -> None:
    plans = {plan["id"]: plan["prices"] for plan in database.call("list_plans")["plans"]}
    assert plans["free"] == []
    assert [(p["interval"], p["price_id"]) for p in plans["elite"]] == [("month", None)]
