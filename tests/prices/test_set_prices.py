"""Many prices at once: all or none, and what would change without changing it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.database import Database
from tests.support.errors import raises


def book(database: Database, name: str) -> str:
    database.call("set_price_book", name, "integration", credits_per_unit=100)
    return name


def test_a_dry_run_says_what_would_change_and_the_same_again_changes_nothing(database: Database) -> None:
    name = book(database, "many")
    prices: list[dict[str, Any]] = [
        {"operation": "a", "dimension": "call", "nano_per_unit": "0.5"},
        {"operation": "b", "dimension": "input", "cost_per_unit": "1.25", "per": 1000000, "markup": "1.3"},
    ]
    dry = database.call("set_prices", prices, name, dry_run=True)
    assert (dry["changed"], dry["unchanged"], dry["dry_run"]) == (2, 0, True)
    assert database.call("list_prices", book=name)["prices"] == []
    done = database.call("set_prices", prices, name)
    assert done["changes"] == dry["changes"]
    assert done["changes"][1]["after"] == {"nano_per_unit": "162500000000", "per": 1000000}
    again = database.call("set_prices", prices, name)
    assert (again["changed"], again["unchanged"]) == (0, 2)
    prices[0]["nano_per_unit"] = 2
    ends = {"operation": "b", "dimension": "input", "ends": True}
    [changed, ended] = database.call("set_prices", [prices[0], ends], name)["changes"]
    assert (changed["before"]["nano_per_unit"], changed["after"]["nano_per_unit"]) == ("0.5", "2")
    assert ended["after"] is None
    with raises("unknown_operation", "PT404"):
        database.call("quote_operation", "b", {"input": 1}, name)


def test_a_book_is_made_with_its_prices_or_not_at_all(database: Database) -> None:
    prices = [{"operation": "a", "dimension": "call", "cost_per_unit": "0.002", "markup": "1.5"}]
    terms = {"credit_type": "message", "credits_per_unit": 1000}
    dry = database.call("set_prices", prices, "made", dry_run=True, **terms)
    assert dry["changes"][0]["after"]["nano_per_unit"] == "3000000000"
    wrong: dict[str, Any]
    for wrong in ({}, {**terms, "credits_per_unit": 0}):
        with raises("invalid_argument", "PT422"):
            database.call("set_prices", prices, "made", **wrong)
    with raises("unknown_credit_type", "PT404"):
        database.call("set_prices", prices, "made", credits_per_unit=1)
    with raises("invalid_argument", "PT422"):
        database.call("set_prices", [*prices, {"operation": "b"}], "made", **terms)
    with raises("invalid_argument", "PT422"):
        database.call("list_prices", book="made")
    assert database.call("set_prices", prices, "made", **terms)["changes"] == dry["changes"]
    # A dry run sees what a credit would be worth, and leaves it.
    [change] = database.call("set_prices", prices, "made", dry_run=True, credits_per_unit=2000)["changes"]
    assert change["after"]["nano_per_unit"] == "6000000000"
    assert database.call("set_prices", prices, "made")["unchanged"] == 1


@pytest.mark.parametrize(
    "wrong",
    [
        *({"nano_per_unit": "x"}, {"nano_per_unit": 1, "color": "red"}, {"cost_per_unit": 1}, {}),
        *({"nano_per_unit": 1, "valid_from": "soon"}, {"nano_per_unit": 1, "valid_from": "2026-99-99T00:00:00Z"}),
        *({"nano_per_unit": 1, "valid_from": "2026-01-01T00:00:00"}, {"nano_per_unit": 1, "per": "0"}),
    ],
    ids=str,
)
def test_one_that_is_no_price_stops_all(database: Database, wrong: dict[str, Any]) -> None:
    name = book(database, "stopped")
    good = {"operation": "a", "dimension": "call", "nano_per_unit": 1}
    with raises("invalid_argument", "PT422"):
        database.call("set_prices", [good, {"operation": "b", "dimension": "call"} | wrong], name)
    assert database.call("list_prices", book=name)["prices"] == []
