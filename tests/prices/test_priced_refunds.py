"""A refund of a priced operation gives its cost back: into the remainder, and whole credits into the grants."""

from __future__ import annotations

from decimal import Decimal

from tests.prices.shop import NANO, Shop
from tests.support.errors import raises


def test_the_cost_comes_back_once_and_whole_credits_return(shop: Shop) -> None:
    shop.price("look", "call", 370_000_000)
    operation = shop.consume("look", {"call": 5})
    assert (operation["amount"], operation["cost"], shop.remainder) == (2, "1.85", Decimal("0.15"))
    one = shop.call("refund_credits", operation["operation_id"], 1, "half of it", "k")
    assert (one["amount"], one["returned"], one["cost"]) == (1, 1, "1")
    assert shop.call("refund_credits", operation["operation_id"], 1, "half of it", "k")["replayed"] is True
    rest = shop.call("refund_credits", operation["operation_id"])
    assert (rest["amount"], rest["cost"], shop.remainder, shop.left) == (1, "0.85", 0, 2000)
    with raises("invalid_amount", "PT422") as seen:
        shop.call("refund_credits", operation["operation_id"])
    assert seen.details["refundable"] == 0
    assert shop.balance("integration")["used"] == 0
    shop.verify()


def test_parts_of_several_operations_add_up_to_a_credit_of_an_earlier_one(shop: Shop) -> None:
    shop.price("look", "call", 250_000_000)
    operations = [shop.consume("look")["operation_id"] for _ in range(4)]
    assert shop.left == 1999
    refunds = [shop.call("refund_credits", operation) for operation in reversed(operations)]
    assert [(r["amount"], r["cost"]) for r in refunds] == [(0, "0.25")] * 3 + [(1, "0.25")]
    assert (shop.left, shop.remainder) == (2000, 0)
    shop.verify()
    operations = [shop.consume("look")["operation_id"] for _ in range(4)]
    for operation in operations[:3]:
        shop.call("refund_credits", operation)
    last = shop.call("refund_credits", operations[3])
    assert (last["amount"], shop.left) == (1, 2000)
    [entry] = [
        e for e in shop.entries("refund", credit_type="integration") if e["operation_id"] == last["operation_id"]
    ]
    assert entry["related_operation_id"] == operations[0]
    explained = shop.call("explain_operation", last["operation_id"])
    assert (explained["kind"], explained["price"]["refunds_operation_id"]) == ("refund", operations[3])
    free = shop.call("explain_operation", refunds[0]["operation_id"])
    assert (free["kind"], free["amount"], free["price"]["cost"]) == ("refund", 0, "0.25")
    shop.verify()


def test_more_than_it_cost_cannot_be_given_back(shop: Shop) -> None:
    shop.price("look", "call", 1_200_000_000)
    shop.consume("look")
    operation = shop.consume("look")
    assert (operation["amount"], shop.remainder) == (1, Decimal("0.6"))
    with raises("invalid_amount", "PT422") as seen:
        shop.call("refund_credits", operation["operation_id"], 3)
    assert (seen.details["refundable"], seen.details["refundable_cost"]) == (2, "1.2")
    # Two credits are what it cost, rounded up: the cost comes back, and no more.
    refund = shop.call("refund_credits", operation["operation_id"], 2)
    assert (refund["cost"], refund["amount"], shop.remainder) == ("1.2", 1, Decimal("0.8"))
    shop.verify()


def test_a_refund_after_the_period_keeps_the_books(shop: Shop) -> None:
    shop.price("look", "call", 3 * NANO // 2)
    operations = [shop.consume("look")["operation_id"] for _ in range(3)]
    shop.at(shop.period_end).wait(hours=1)
    soon = shop.call("refund_credits", operations[0])
    assert (soon["amount"], soon["returned"], soon["expired"]) == (2, 2, 0)
    shop.wait(days=3)
    late = shop.call("refund_credits", operations[1])
    assert (late["amount"], late["returned"], late["expired"]) == (1, 0, 1)
    assert shop.balance("integration")["used"] == 0
    shop.verify()
