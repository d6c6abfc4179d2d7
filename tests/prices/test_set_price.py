"""A price is a row with a date: added, followed, ended, never changed."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from tests.prices.shop import Shop
from tests.support.database import Database
from tests.support.errors import raises
from tests.support.people import acting_as


def prices(shop: Shop) -> list[tuple[Any, ...]]:
    return shop.database.query(
        "select nano_per_unit, valid_from, valid_to from credit_prices where operation = %s order by valid_from",
        shop.operation("look"),
    )


def test_a_price_ends_where_the_next_one_begins(shop: Shop, database: Database) -> None:
    midnight = shop.now + timedelta(hours=1)
    first = shop.price("look", "call", 100, at=shop.now)
    second = shop.price("look", "call", Decimal("0.5"), at=midnight)
    assert second["version"] > first["version"]
    assert prices(shop) == [(100, shop.now, midnight), (Decimal("0.5"), midnight, None)]
    assert shop.consume("look")["cost"] == "0.0000001"
    shop.at(midnight - timedelta(microseconds=1))
    assert shop.consume("look")["price_version"] == first["version"]
    shop.at(midnight)
    answer = shop.consume("look", {"call": 2})
    assert (answer["cost"], answer["price_version"]) == ("0.000000001", second["version"])
    database.call("end_price", shop.operation("look"), "call", valid_to=shop.now + timedelta(hours=1))
    assert prices(shop)[-1] == (Decimal("0.5"), midnight, midnight + timedelta(hours=1))
    shop.wait(hours=1)
    with raises("unknown_operation", "PT404"):
        shop.consume("look")


def test_the_same_price_again_changes_nothing_and_a_planned_one_can_be_replaced(shop: Shop) -> None:
    first = shop.price("look", "call", 100, at=shop.now)
    assert shop.price("look", "call", "100.0", at=shop.now + timedelta(hours=5))["version"] == first["version"]
    planned = shop.now + timedelta(days=1)
    assert datetime.fromisoformat(first["valid_from"]) == shop.now
    shop.price("look", "call", 200, at=planned)
    shop.price("look", "call", 300, at=planned)
    assert prices(shop) == [(100, shop.now, planned), (300, planned, None)]


@pytest.mark.parametrize(
    "statement", ["update credits.prices set per = 2", "delete from credits.prices", "truncate credits.prices cascade"]
)
def test_no_role_changes_a_price(shop: Shop, database: Database, statement: str) -> None:
    shop.price("look", "call", 100)
    with raises("invalid_argument", "PT422"):
        database.run(statement)
    with acting_as(database, "service_role") as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement.encode())


@pytest.mark.parametrize(
    "wrong",
    [
        {"operation": "a*b"}, {"operation": ""}, {"operation": None}, {"operation": "x" * 201}, {"operation": "a\nb"},
        {"dimension": "Call"}, {"dimension": None}, {"nano_per_unit": None}, {"nano_per_unit": -1},
        {"nano_per_unit": Decimal("NaN")}, {"nano_per_unit": Decimal("Infinity")}, {"per": 0}, {"per": None},
        {"book": "nowhere"}, {"minimum_nano": 2, "maximum_nano": 1}, {"minimum_nano": -1}, {"maximum_nano": -1},
        {"valid_from": "infinity"}, {"steps": {"steps": []}}, {"steps": {"steps": [{"above": 1}]}}, {"steps": [1]},
        {"steps": {"steps": [{"above": 2, "nano_per_unit": 1}, {"above": 1, "nano_per_unit": 1}]}},
        {"steps": {"by": [5], "steps": [{"above": 2, "nano_per_unit": 1}]}}, {"source": "s" * 201},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_price_is_refused(database: Database, wrong: dict[str, Any]) -> None:
    with raises("invalid_argument", "PT422"):
        database.call("set_price", **{"operation": "refused", "dimension": "call", "nano_per_unit": 1} | wrong)
