"""A priced hold is charged with what was used, by the prices that there were when it was made."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from tests.prices.shop import NANO, Shop
from tests.support.database import Database
from tests.support.errors import raises


def test_a_price_that_changes_at_midnight_does_not_change_a_hold_made_before(shop: Shop, database: Database) -> None:
    version = shop.price("chat", "output", NANO)["version"]
    hold = shop.reserve("chat", {"output": 5})
    midnight = shop.now + timedelta(minutes=5)
    shop.price("chat", "output", 7 * NANO, at=midnight)
    shop.price("chat", "output", 9 * NANO, at=shop.now - timedelta(days=1))
    # Even one that is set for a time before the hold was made, and a more specific one.
    database.call("set_price", shop.operation("chat"), "output", 11 * NANO, valid_from=shop.now)
    shop.at(midnight + timedelta(minutes=1))
    captured = shop.capture(hold, {"output": 2})
    assert (captured["amount"], captured["cost"], captured["price_version"]) == (2, "2", version)
    assert (captured["released"], captured["held"], captured["shortfall"]) == (3, 0, 0)
    assert shop.consume("chat", {"output": 1})["cost"] == "7"
    shop.verify()


def test_the_remainder_pays_first_and_a_hold_that_it_pays_for_goes_back(shop: Shop) -> None:
    shop.price("chat", "output", 1_000_000)
    shop.consume("chat", {"output": 100})
    left = shop.left
    hold = shop.reserve("chat", {"output": 5000})
    captured = shop.capture(hold, {"output": 850})
    assert (captured["amount"], captured["cost"], captured["released"]) == (0, "0.85", 5)
    assert captured["operation_id"] == hold["operation_id"]
    assert (shop.left, shop.remainder) == (left, Decimal("0.05"))
    assert shop.capture(hold, {"output": 850}) == captured | {"replayed": True}
    with raises("reservation_closed", "PT409"):
        shop.capture(hold, {"output": 851})
    explained = shop.call("explain_operation", captured["operation_id"])
    assert (explained["kind"], explained["price"]["cost"]) == ("reserve", "0.85")
    assert (explained["price"]["remainder_before"], explained["price"]["remainder"]) == ("0.9", "0.05")
    shop.verify()


def test_the_last_capture_again_is_replayed_and_another_is_not(shop: Shop) -> None:
    shop.price("chat", "output", NANO)
    hold = shop.reserve("chat", {"output": 5})
    captured = shop.capture(hold, {"output": 3})
    assert shop.capture(hold, {"output": "3.0"}) == captured | {"replayed": True}
    with raises("reservation_closed", "PT409"):
        shop.capture(hold)
    with raises("reservation_closed", "PT409"):
        shop.call("release_credits", hold["reservation_id"])
    assert shop.capture(shop.reserve("chat", {"output": 4}))["amount"] == 4
    shop.verify()


def test_parts_are_charged_one_by_one_and_the_last_gives_the_rest_back(shop: Shop) -> None:
    shop.price("chat", "output", NANO // 2)
    hold = shop.reserve("chat", {"output": 20})
    parts = [shop.capture(hold, {"output": n}, final=False, idempotency_key=f"part-{n}") for n in (3, 1)]
    assert [(p["amount"], p["cost"], p["held"]) for p in parts] == [(2, "1.5", 8), (0, "0.5", 8)]
    assert shop.capture(hold, {"output": 3}, final=False, idempotency_key="part-3")["replayed"] is True
    last = shop.capture(hold, {"output": 2})
    assert (last["amount"], last["released"], last["held"]) == (1, 7, 0)
    assert shop.capture(hold, {"output": 2})["replayed"] is True
    assert len({p["operation_id"] for p in (*parts, last)}) == 3
    assert shop.remainder == 0
    shop.verify()


def test_above_the_hold_it_takes_what_there_is_and_says_what_stays_unpaid(shop: Shop) -> None:
    shop.price("chat", "output", NANO)
    hold = shop.reserve("chat", {"output": 10})
    shop.consume("chat", {"output": shop.left - 5})
    captured = shop.capture(hold, {"output": "17.5"})
    assert (captured["amount"], captured["shortfall"]) == (15, 3)
    assert (captured["cost"], captured["unpaid"]) == ("15", "2.5")
    assert (shop.left, shop.remainder) == (0, 0)
    assert shop.capture(hold, {"output": "17.5"})["replayed"] is True
    shop.verify()


def test_a_hold_without_an_operation_and_one_that_is_over_are_refused(shop: Shop) -> None:
    shop.price("chat", "output", NANO)
    plain = shop.call("reserve_credits", "integration", 5)
    with raises("invalid_argument", "PT422"):
        shop.capture(plain, {"output": 1})
    shop.call("release_credits", plain["reservation_id"])
    hold = shop.reserve("chat", {"output": 5}, ttl_seconds=60)
    with raises("invalid_argument", "PT422"):
        shop.capture(hold, {"input": 1})
    shop.wait(seconds=60)
    with raises("reservation_closed", "PT409"):
        shop.capture(hold, {"output": 1})
    assert shop.balance("integration")["reserved"] == 0
    whole = shop.reserve("chat", {"output": 5})
    assert shop.call("capture_credits", whole["reservation_id"], 2)["amount"] == 2
    shop.verify()
