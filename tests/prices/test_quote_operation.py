"""A quote answers what an operation would cost, exactly, and books nothing."""

from __future__ import annotations

from decimal import Decimal

from tests.prices.shop import Shop
from tests.support.database import Database
from tests.support.errors import raises
from tests.support.people import acting_as


def test_dimensions_are_added_up_before_the_one_rounding(shop: Shop, database: Database) -> None:
    shop.price("chat", "input", 1, per=3)
    shop.price("chat", "output", 1, per=6)
    quote = shop.quote("chat", input=1, output=3)
    assert quote["cost"] == quote["estimate"] == "0.000000001"
    assert quote["maximum"] == 1
    assert shop.quote("chat", input=1, output=4)["cost"] == "0.000000001"
    assert shop.quote("chat", input=1, output=5)["cost"] == "0.000000002"
    assert shop.quote("chat", input=0)["cost"] == "0"
    before = database.value("select count(*) from usage where account_id = %s", shop.id)
    assert before == 0
    assert quote["credit_type"] == "integration"


def test_minimum_and_maximum_bound_their_dimension(shop: Shop) -> None:
    shop.price("chat", "input", 10, minimum_nano=1000, maximum_nano=5000)
    shop.price("chat", "output", 10)
    costs = [Decimal(shop.quote("chat", input=n, output=1)["cost"]) * 10**9 for n in (0, 99, 100, 101, 500, 501)]
    assert costs == [1010, 1010, 1010, 1020, 5010, 5010]


def test_the_most_specific_price_counts_for_each_dimension(shop: Shop, database: Database) -> None:
    database.call("set_price", f"{shop.name}:*", "call", 7)
    database.call("set_price", f"{shop.name}:eth*", "call", 5)
    shop.price("eth_call", "call", 3)
    database.call("set_price", f"{shop.name}*", "bytes", 1)
    costs = {
        name: Decimal(shop.quote(name, call=1)["cost"]) * 10**9
        for name in ("eth_call", "eth_calls", "eth", "net", "eth_cal")
    }
    assert costs == {"eth_call": 3, "eth_calls": 5, "eth": 5, "net": 7, "eth_cal": 5}
    quote = shop.quote("eth_call", call=1, bytes=2)
    assert [line["pattern"] for line in quote["lines"]] == [f"{shop.name}*", shop.operation("eth_call")]
    for name in ("", f"{shop.name}:*", f"{shop.name[:-1]}:net", f"{shop.name}:net" + "x" * 200_000):
        with raises("unknown_operation", "PT404"):
            database.call("quote_operation", name)


def test_a_step_prices_all_units_by_what_chooses_it(shop: Shop) -> None:
    steps = {
        "by": ["input", "cached"],
        "steps": [{"above": 100, "nano_per_unit": 20}, {"above": 200, "nano_per_unit": 30}],
    }
    shop.price("chat", "input", 10, steps=steps)
    shop.price("chat", "cached", 1)
    costs = [
        Decimal(shop.quote("chat", input=fresh, cached=cached)["cost"]) * 10**9
        for fresh, cached in ((100, 0), (101, 0), (50, 51), (200, 0), (200, 1), (0, 500))
    ]
    assert costs == [1000, 2020, 1051, 4000, 6001, 500]


def test_everybody_may_read_the_prices(shop: Shop, database: Database) -> None:
    shop.price("look", "call", 5)
    with acting_as(database, "anon") as connection:
        [row] = connection.execute(
            "select nano_per_unit, valid_to from credit_prices where operation = %s", [shop.operation("look")]
        ).fetchall()
        assert row == (5, None)
