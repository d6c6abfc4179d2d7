"""A priced hold sets the whole credits of the maximum aside, by the prices of its moment."""

from __future__ import annotations

from decimal import Decimal

from tests.prices.shop import Shop
from tests.support.database import Database
from tests.support.errors import raises
from tests.support.races import calling, race


def test_it_holds_the_maximum_without_regard_to_the_remainder(shop: Shop) -> None:
    shop.price("chat", "output", 1_000_000)
    shop.consume("chat", {"output": 100})
    assert shop.remainder == Decimal("0.9")
    hold = shop.reserve("chat", {"output": 2100}, description="a long answer", ttl_seconds=60)
    assert (hold["amount"], hold["cost"], hold["reserved"]) == (3, "2.1", 3)
    assert shop.remainder == Decimal("0.9")
    assert shop.reserve("chat", {"output": 0})["amount"] == 1
    assert shop.call("release_credits", hold["reservation_id"])["released"] == 3
    shop.verify()


def test_the_same_key_is_one_hold(shop: Shop) -> None:
    shop.price("chat", "output", 1_000_000)
    first = shop.reserve("chat", {"output": 10}, idempotency_key="k")
    assert shop.reserve("chat", {"output": 10}, idempotency_key="k") == first | {"replayed": True}
    with raises("idempotency_conflict", "PT409"):
        shop.reserve("chat", {"output": 11}, idempotency_key="k")


def test_holds_at_once_never_set_more_aside_than_there_is(database: Database) -> None:
    shop = Shop(database)
    shop.price("chat", "output", 1_000_000)
    contender = calling("reserve_operation", shop.id, shop.operation("chat"), {"output": 299_500})
    answers = race(database, [contender] * 8)
    assert sorted(answer["code"] for answer in answers) == ["insufficient_credits"] * 2 + ["ok"] * 6
    assert shop.balance("integration")["reserved"] == 1800
    shop.verify()
