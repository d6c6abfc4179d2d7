"""The prices of a book, a page at a time, with costs only where they are asked for."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from tests.prices.shop import Shop
from tests.support.database import Database
from tests.support.errors import raises


def test_all_of_a_book_comes_in_pages_and_an_operation_with_its_patterns(database: Database) -> None:
    database.call("set_price_book", "paged", "integration", credits_per_unit=100)
    shop = Shop(database, book="paged")
    for nth in range(5):
        shop.price(f"op-{nth}", "call", nth)
    database.call("set_price", f"{shop.name}:op*", "bytes", 1, book="paged")
    shop.price("op-4", "call", 9, at=shop.now + timedelta(days=1))
    seen, after = [], 0
    while True:
        page = database.call("list_prices", book="paged", after_version=after, limit=2)
        seen += [(p["operation"].partition(":")[2], p["nano_per_unit"]) for p in page["prices"]]
        if not page["more"]:
            break
        after = page["prices"][-1]["version"]
    assert seen == [
        ("op-0", "0"),
        ("op-1", "1"),
        ("op-2", "2"),
        ("op-3", "3"),
        ("op-4", "4"),
        ("op*", "1"),
        ("op-4", "9"),
    ]
    one = database.call("list_prices", book="paged", operation=shop.operation("op-4"))["prices"]
    assert [(p["dimension"], p["nano_per_unit"], p["valid_to"] is None) for p in one] == [
        ("call", "4", False), ("bytes", "1", True), ("call", "9", True)
    ]  # fmt: skip


def test_what_a_provider_charges_is_told_only_where_it_is_asked_for(database: Database) -> None:
    database.call("set_price_book", "costly", "integration", credits_per_unit=100)
    database.call("set_provider_cost", "gpt", "input", Decimal("1.25"), 10**6, markup=Decimal("1.3"), book="costly")
    [plain] = database.call("list_prices", book="costly")["prices"]
    [told] = database.call("list_prices", book="costly", costs=True)["prices"]
    assert {"markup", "cost_per_unit"}.isdisjoint(plain)
    assert (told["markup"], told["cost_per_unit"], told["cost_per"]) == ("1.3", "1.25", 10**6)
    for wrong in ({"book": "nowhere"}, {"limit": 0}):
        with raises("invalid_argument", "PT422"):
            database.call("list_prices", **wrong)
