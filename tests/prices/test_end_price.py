"""A price that ends leaves the next less specific one, and nothing that was never set can end."""

from __future__ import annotations

from tests.prices.shop import Shop
from tests.support.database import Database
from tests.support.errors import raises


def test_a_pattern_counts_again_where_a_more_specific_price_ends(shop: Shop, database: Database) -> None:
    database.call("set_price", f"{shop.name}:*", "call", 7)
    shop.price("look", "call", 3)
    ended = database.call("end_price", shop.operation("look"), "call", valid_to=shop.now)
    assert ended["nano_per_unit"] is None
    assert database.call("end_price", shop.operation("look"), "call", valid_to=shop.now)["version"] == ended["version"]
    assert shop.consume("look")["cost"] == "0.000000007"
    shop.wait(seconds=1)
    shop.price("look", "call", 5, at=shop.now)
    assert shop.consume("look")["cost"] == "0.000000005"
    with raises("invalid_argument", "PT422"):
        database.call("end_price", shop.operation("look"), "bytes")
