"""A priced spend takes whole credits for what the remainder lacks, and leaves the rest there."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.prices.shop import NANO, Shop
from tests.support.database import Database
from tests.support.errors import raises


def test_parts_of_a_credit_are_paid_once_and_used_up(shop: Shop) -> None:
    shop.price("look", "call", 370_000_000)
    left = shop.left
    amounts = []
    for _ in range(6):
        answer = shop.consume("look")
        assert (answer["code"], answer["cost"], answer["replayed"]) == ("ok", "0.37", False)
        amounts.append(answer["amount"])
    assert amounts == [1, 0, 1, 0, 0, 1]
    assert (shop.left, shop.remainder) == (left - 3, Decimal("0.78"))
    assert shop.balance("integration")["used"] == 3
    shop.verify()


def test_usage_keeps_every_attempt_with_what_was_used_and_what_it_cost(shop: Shop, database: Database) -> None:
    version = shop.price("look", "call", 400_000_000)["version"]
    shop.consume("look", {"call": 1}, metadata={"project": "p1"}, description="first")
    answer = shop.consume("look", {"call": "1.5"})
    rows = database.query(
        "select credits_used, status, metadata from usage where account_id = %s order by credits_used desc", shop.id
    )
    assert [(used, status) for used, status, _ in rows] == [(1, "allowed"), (0, "allowed")]
    assert rows[0][2] == {
        "project": "p1",
        "operation": shop.operation("look"),
        "quantities": {"call": 1},
        "cost_nano": 400_000_000,
        "price_version": version,
    }
    assert rows[1][2]["quantities"] == {"call": 1.5}
    assert (answer["amount"], answer["cost"], answer["price_version"]) == (0, "0.6", version)


def test_a_remainder_pays_although_the_balance_is_empty_and_no_call_is_paid_for_later(shop: Shop) -> None:
    shop.price("look", "call", 400_000_000)
    shop.consume("look", {"call": shop.left * 5 // 2 - 1})
    assert (shop.left, shop.remainder) == (0, Decimal("0.4"))
    assert shop.consume("look")["code"] == "ok"
    denied = shop.consume("look")
    assert (denied["success"], denied["code"], denied["cost"]) == (False, "insufficient_credits", "0.4")
    assert (denied["details"]["required"], denied["details"]["available"]) == (1, 0)
    assert shop.remainder == 0
    with raises("insufficient_credits", "PT402"):
        shop.consume("look", strict=True)
    shop.verify()


def test_the_same_key_is_one_spend_however_the_quantities_are_written(shop: Shop) -> None:
    shop.price("look", "call", 250_000_000)
    first = shop.consume("look", {"call": 1}, idempotency_key="k")
    again = shop.consume("look", {"call": "1.0"}, idempotency_key="k")
    assert again == first | {"replayed": True}
    free = shop.consume("look", {"call": 2}, idempotency_key="free")
    assert (free["amount"], shop.consume("look", {"call": 2}, idempotency_key="free")["replayed"]) == (0, True)
    with raises("idempotency_conflict", "PT409") as seen:
        shop.consume("look", {"call": 2}, idempotency_key="k")
    assert seen.details["differs_in"] == ["quantities"]
    assert shop.remainder == Decimal("0.25")


def test_what_has_no_price_is_refused_and_never_free(shop: Shop) -> None:
    with raises("unknown_operation", "PT404"):
        shop.consume("nothing")
    shop.price("chat", "input", 1000)
    with raises("invalid_argument", "PT422") as seen:
        shop.consume("chat", {"input": 1, "outputs": 0})
    assert (seen.details["dimensions"], seen.details["priced"]) == (["outputs"], ["input"])
    with raises("invalid_argument", "PT422"):
        shop.consume("chat", {"input": 1}, book="nowhere")
    assert shop.left == 2000


@pytest.mark.parametrize(
    "quantities",
    [
        *([], {}, {"input": -1}, {"input": "1e3"}, {"input": None}, {"input": True}, {"input": {}}, {"input": ""}),
        *({"input": "NaN"}, {"input": 10**31}, {"x" * 5000: 1}, {"input": "0." + "0" * 18 + "1"}),
    ],
)
def test_what_is_no_quantity_is_refused(shop: Shop, quantities: Any) -> None:
    shop.price("chat", "input", 1000)
    with raises("invalid_argument", "PT422") as seen:
        shop.consume("chat", quantities)
    assert seen.details["argument"] == "p_quantities"


def test_an_operation_costs_less_than_a_bigint_of_billionths(shop: Shop) -> None:
    shop.price("chat", "input", 2**63 - 1)
    assert shop.quote("chat", input=1)["cost"] == "9223372036.854775807"
    with raises("invalid_argument", "PT422"):
        shop.quote("chat", input="1.000000000000000001")


def test_a_frozen_account_spends_no_remainder(shop: Shop) -> None:
    shop.price("look", "call", NANO // 4)
    shop.consume("look")
    shop.call("freeze_account", "looked at")
    with raises("account_frozen", "PT403"):
        shop.consume("look")


def test_an_unlimited_type_is_charged_and_counted_alike(database: Database) -> None:
    shop = Shop(database)
    database.run("insert into public.plans (id, name, rank, price_cents) values ('boundless', 'Boundless', 91, 1)")
    database.run(
        "insert into public.plan_limits (plan_id, credit_type, allowance) values ('boundless', 'integration', null)"
    )
    shop.call("change_plan", "boundless")
    shop.price("look", "call", 300_000_000)
    answers = [shop.consume("look") for _ in range(4)]
    assert [(a["amount"], a["unlimited"], a["remaining"]) for a in answers] == [
        (1, True, None), (0, True, None), (0, True, None), (1, True, None)
    ]  # fmt: skip
    assert shop.call("refund_credits", answers[3]["operation_id"])["amount"] == 1
    assert shop.remainder == Decimal("0.1")
    shop.verify()
