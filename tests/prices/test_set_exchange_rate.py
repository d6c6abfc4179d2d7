"""A price in an asset follows its exchange rate, and a hold keeps the rate that it was made at."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from tests.prices.shop import Shop
from tests.support.database import Database
from tests.support.errors import raises

ETHER = 10**18


@pytest.fixture
def shop(database: Database) -> Shop:
    database.call("set_price_book", "default", credits_per_unit=100)
    return Shop(database)


def test_gas_is_held_at_its_limit_and_charged_by_the_receipt_at_the_rate_of_the_hold(
    shop: Shop, database: Database
) -> None:
    asset = shop.name.replace("-", "_")
    database.call("set_exchange_rate", asset, 3000, ETHER, valid_from=shop.now)
    database.call(
        "set_provider_cost", shop.operation("send"), "wei", 1, asset=asset, markup=Decimal("1.2"), valid_from=shop.now
    )
    # 100,000 gas at 20 gwei is 0.002 ether, 6 dollars, 600 credits, 720 with the markup.
    hold = shop.reserve("send", {"wei": str(100_000 * 20 * 10**9)})
    assert (hold["amount"], hold["cost"]) == (720, "720")
    shop.wait(minutes=1)
    followed = database.call("set_exchange_rate", asset, 4000, ETHER, valid_from=shop.now, source="a feed")
    assert followed["prices"] == 1
    assert database.call("set_exchange_rate", asset, 4000, ETHER, valid_from=shop.now)["prices"] == 0
    captured = shop.capture(hold, {"wei": str(21_000 * 15 * 10**9)})
    assert (captured["cost"], captured["amount"]) == ("113.4", 114)
    assert shop.consume("send", {"wei": str(21_000 * 15 * 10**9)})["cost"] == "151.2"
    costs = database.query(
        "select provider_nano from credits.operation_costs where account_id = %s order by created_at", shop.id
    )
    assert costs == [(945_000_000,), (1_260_000_000,)]
    shop.verify()


def test_a_rate_of_before_counts_for_before(shop: Shop, database: Database) -> None:
    asset = shop.name.replace("-", "_")
    database.call("set_exchange_rate", asset, 2, valid_from=shop.now)
    database.call("set_provider_cost", shop.operation("send"), "coin", 1, asset=asset, markup=1, valid_from=shop.now)
    later = shop.now + timedelta(hours=1)
    database.call("set_exchange_rate", asset, 5, valid_from=later)
    assert shop.consume("send", {"coin": 1})["cost"] == "200"
    shop.at(later)
    assert shop.consume("send", {"coin": 1})["cost"] == "500"


@pytest.mark.parametrize(
    "wrong", [{"asset": "usd"}, {"asset": "E"}, {"worth": 0}, {"worth": -1}, {"per": 0}, {"currency": "$"}], ids=str
)
def test_what_is_no_rate_is_refused(database: Database, wrong: dict[str, object]) -> None:
    with raises("invalid_argument", "PT422"):
        database.call("set_exchange_rate", **{"asset": "eth", "worth": 1} | wrong)
