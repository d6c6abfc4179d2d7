"""What a hold does to the grants that it pins, and what becomes of them at its end."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from tests.support.database import Database
from tests.support.errors import raises
from tests.support.timed import Timed


def test_a_grant_that_is_held_as_a_whole_has_no_row_in_a_spend_that_passes_it_by(
    database: Database, user: UUID
) -> None:
    held = database.call("grant_credits", user, "message", 5, source="promotion")["grant_id"]
    database.call("reserve_credits", user, "message", 5)
    database.call("grant_credits", user, "message", 3, source="promotion")
    spent = database.call("consume_credits", user, "message", 6)
    rows = database.query(
        "select grant_id, amount from public.credit_transactions where operation_id = %s", UUID(spent["operation_id"])
    )
    assert sorted(amount for _, amount in rows) == [-3, -3]
    assert UUID(held) not in {grant for grant, _ in rows}


def test_a_hold_is_found_among_others_by_its_id(database: Database, user: UUID) -> None:
    database.call("reserve_credits", user, "message", 2)
    hold = database.call("reserve_credits", user, "integration", 5)["reservation_id"]
    database.call("reserve_credits", user, "message", 3)
    answer = database.call("capture_credits", user, hold)
    assert (answer["credit_type"], answer["captured"]) == ("integration", 5)
    assert database.balance(user)["reserved"] == 5
    database.verify(user)
    with raises("reservation_not_found", "PT404"):
        database.call("capture_credits", user, uuid4())


@pytest.mark.parametrize("key", [None, "one"])
def test_a_grant_that_is_held_in_part_gives_what_is_free(database: Database, user: UUID, key: str | None) -> None:
    first = database.call(
        "grant_credits", user, "message", 5, source="promotion", expires_at="2100-01-01T00:00:00+00:00"
    )["grant_id"]
    database.call("reserve_credits", user, "message", 3)
    database.call("consume_credits", user, "message", 4, idempotency_key=key)
    [grant] = database.query(
        "select remaining, held, spent from public.credit_grants where account_id = %s and id = %s", user, UUID(first)
    )
    assert grant == (3, 3, 2)
    database.verify(user)


@pytest.mark.parametrize(
    "change", ["frozen_at = created_at, frozen_reason = 'dispute'", "starts_at = starts_at + interval '2 days'"]
)
def test_what_cannot_be_spent_yet_is_passed_by_though_it_comes_first(database: Database, change: str) -> None:
    user = Timed(database)
    user.call("grant_credits", "message", 5, source="promotion")
    database.run(f"update public.credit_grants set {change} where account_id = %s and source = 'promotion'", user.id)
    user.call("grant_credits", "message", 5, source="top_up")
    database.run("update credits.balances set due_at = '-infinity' where account_id = %s", user.id)
    before = user.grants("promotion")
    assert user.call("reserve_credits", "message", 16)["code"] == "insufficient_credits"
    for key in (None, "one"):
        user.call("consume_credits", "message", 1, idempotency_key=key)
    hold = user.call("reserve_credits", "message", 1)["reservation_id"]
    user.call("consume_credits", "message", 8)
    user.call("reserve_credits", "message", 4)
    assert user.call("capture_credits", hold)["captured"] == 1
    assert user.grants("promotion") == before
    user.verify()


def test_a_capture_above_a_hold_with_nothing_left_pins_nothing(database: Database, user: UUID) -> None:
    free = database.balance(user)["remaining"]
    hold = database.call("reserve_credits", user, "message", free)["reservation_id"]
    database.call("grant_credits", user, "message", 1, source="promotion")
    database.call("reserve_credits", user, "message", 1)
    answer = database.call("capture_credits", user, hold, free + 4)
    assert (answer["captured"], answer["shortfall"]) == (free, 4)
    assert 0 not in {
        amount
        for (amount,) in database.query("select amount from credits.reservation_slices where account_id = %s", user)
    }


def test_what_lapses_at_a_capture_is_related_to_it_and_no_refund(database: Database) -> None:
    user = Timed(database)
    user.call("grant_credits", "message", 5, expires_at=user.now + timedelta(hours=1))
    hold = user.call("reserve_credits", "message", 5, ttl_seconds=7200)
    user.wait(minutes=90).call("capture_credits", hold["reservation_id"], 2)
    other = user.call("consume_credits", "message", 1)["operation_id"]
    refund = user.call("refund_credits", other)["operation_id"]
    explained = user.call("explain_operation", hold["operation_id"])
    assert [(r["kind"], r["amount"]) for r in explained["related"]] == [("expire", -3)]
    assert (explained["refunded"], explained["refunds"]) == (0, [])
    explained = user.call("explain_operation", other)
    assert explained["related"] == []
    assert [(r["operation_id"], r["amount"]) for r in explained["refunds"]] == [(refund, 1)]
