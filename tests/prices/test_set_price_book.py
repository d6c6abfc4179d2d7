"""A price book is in one credit type, and stays in it once it has prices."""

from __future__ import annotations

from tests.prices.shop import Shop
from tests.support.database import Database
from tests.support.errors import raises


def test_a_book_says_which_credits_its_prices_are_in(database: Database) -> None:
    book = database.call("set_price_book", "models", "message", "Models", credits_per_unit=100)
    assert (book["credit_type"], book["currency"], book["credits_per_unit"]) == ("message", "usd", "100")
    shop = Shop(database, book="models")
    shop.price("chat", "call", 1_500_000_000)
    answer = shop.consume("chat", book="models")
    assert (answer["credit_type"], answer["amount"], answer["cost"]) == ("message", 2, "1.5")
    with raises("unknown_operation", "PT404"):
        shop.consume("chat")
    with raises("invalid_argument", "PT422"):
        database.call("set_price_book", "models", "integration")
    renamed = database.call("set_price_book", "models", name="All models")
    assert (renamed["name"], renamed["credit_type"], renamed["credits_per_unit"]) == ("All models", "message", "100")
    shop.verify()


def test_a_limit_has_no_prices(database: Database) -> None:
    with raises("invalid_argument", "PT422"):
        database.call("set_price_book", "places", "project")
    with raises("unknown_credit_type", "PT404"):
        database.call("set_price_book", "golden", "gold")
    with raises("invalid_argument", "PT422"):
        database.call("set_price_book", "Big", "message")
