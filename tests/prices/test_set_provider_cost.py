"""What a provider charges makes the price where a markup is said, and is read by no user."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from tests.prices.shop import Shop
from tests.support.database import Database
from tests.support.errors import raises
from tests.support.people import acting_as


@pytest.fixture
def shop(database: Database) -> Shop:
    database.call("set_price_book", "default", credits_per_unit=100)
    return Shop(database)


def cost(shop: Shop, answer: dict[str, object]) -> tuple[Any, bool]:
    [row] = shop.database.query(
        "select provider_nano, is_complete from credits.operation_costs where operation_id = %s", answer["operation_id"]
    )
    return row[0], row[1]


def test_cost_times_markup_times_worth_is_the_price(shop: Shop, database: Database) -> None:
    operation = shop.operation("gpt")
    price = database.call(
        "set_provider_cost", operation, "input", Decimal("1.25"), 10**6, markup=Decimal("1.3"), valid_from=shop.now
    )
    assert (price["nano_per_unit"], price["per"]) == ("162500000000", 10**6)
    answer = shop.consume("gpt", {"input": 1000})
    assert answer["cost"] == "0.1625"
    assert cost(shop, answer) == (1_250_000, True)


def test_a_cost_beside_a_price_shows_the_margin_alone(shop: Shop, database: Database) -> None:
    version = shop.price("look", "call", 500_000_000)["version"]
    shop.price("look", "bytes", 1)
    noted = database.call("set_provider_cost", shop.operation("look"), "call", Decimal("0.002"), valid_from=shop.now)
    assert noted["version"] == version
    assert cost(shop, shop.consume("look")) == (2_000_000, True)
    assert cost(shop, shop.consume("look", {"call": 1, "bytes": 1})) == (2_000_000, False)
    with raises("invalid_argument", "PT422"):
        database.call("set_provider_cost", shop.operation("look"), "gas", 1, valid_from=shop.now)


def test_steps_of_a_cost_are_steps_of_the_price(shop: Shop, database: Database) -> None:
    steps = {"steps": [{"above": 200_000, "nano_per_unit": 2.5}]}
    database.call(
        "set_provider_cost",
        shop.operation("gpt"),
        "input",
        Decimal("1.25"),
        10**6,
        markup=1,
        steps=steps,
        valid_from=shop.now,
    )
    answers = [shop.consume("gpt", {"input": n}) for n in (200_000, 200_001)]
    assert [a["cost"] for a in answers] == ["25", "50.00025"]
    assert [cost(shop, a)[0] for a in answers] == [250_000_000, 500_002_500]


def test_the_margin_is_what_stays_of_the_charge(shop: Shop, database: Database) -> None:
    operation = shop.operation("gpt")
    database.call("set_provider_cost", operation, "input", Decimal("1.5"), 10**6, markup=2)
    spent = [shop.consume("gpt", {"input": n}) for n in (200_000, 300_000)]
    shop.call("refund_credits", spent[0]["operation_id"])
    shop.price("look", "call", 1)
    shop.consume("look")
    since, until = shop.now - timedelta(days=1), shop.now + timedelta(days=1)
    asked = {"since": since, "until": until, "include_test": True}
    rows = {row["operation"]: row for row in database.call("metrics_margin", **asked)["rows"]}
    told = {
        key: rows[operation][key] for key in ("operations", "unknown", "credits", "provider_cost", "worth", "margin")
    }
    assert told == {
        "operations": 2, "unknown": 0, "credits": "90", "provider_cost": "0.75", "worth": "0.9", "margin": "0.1667"
    }  # fmt: skip
    assert (rows[shop.operation("look")]["unknown"], rows[shop.operation("look")]["margin"]) == (1, None)
    assert database.call("metrics_margin", since=since, until=until)["rows"] == []


@pytest.mark.parametrize("role", ["anon", "authenticated", "service_role"])
@pytest.mark.parametrize("table", ["provider_prices", "operation_costs", "exchange_rates"])
def test_no_api_role_reads_what_a_provider_charges(shop: Shop, database: Database, role: str, table: str) -> None:
    with acting_as(database, role, shop.id) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(f"select 1 from credits.{table}".encode())


def test_neither_explanation_nor_export_tells_it(shop: Shop, database: Database) -> None:
    database.call("set_provider_cost", shop.operation("gpt"), "input", Decimal("7.77"), markup=2, valid_from=shop.now)
    answer = shop.consume("gpt", {"input": 1})
    told = str(shop.call("explain_operation", answer["operation_id"])) + str(shop.call("export_account"))
    assert "markup" not in told
    assert "provider" not in told
    assert "7770000000" not in told


@pytest.mark.parametrize(
    "wrong",
    [
        *({"cost_per_unit": -1}, {"cost_per_unit": None}, {"per": 0}, {"asset": "ETH!"}, {"markup": 0}, {"markup": -1}),
        *({"asset": "doge"}, {"book": "nowhere"}),
    ],
    ids=str,
)
def test_what_is_no_cost_is_refused(shop: Shop, wrong: dict[str, object]) -> None:
    arguments = {"operation": "refused", "dimension": "call", "cost_per_unit": 1, "markup": 1} | wrong
    with raises("invalid_argument", "PT422"):
        shop.database.call("set_provider_cost", **arguments)
