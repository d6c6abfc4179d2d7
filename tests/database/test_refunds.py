"""Refunds of usage: into the very grants it came from, never more than the operation."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import uuid4

import pytest

from tests.support.database import Database
from tests.support.errors import raises
from tests.support.races import weaken
from tests.support.timed import MICROSECOND, Timed

HOURS_24 = timedelta(hours=24)


@pytest.fixture
def user(database: Database) -> Timed:
    return Timed(database)


def spend(user: Timed, amount: int) -> str:
    return str(user.call("consume_credits", "message", amount)["operation_id"])


def spend_of_a_grant_that_expires_in_an_hour(user: Timed) -> tuple[str, datetime]:
    expires_at = user.now + timedelta(hours=1)
    user.call("grant_credits", "message", 6, expires_at=expires_at)
    return spend(user, 6), expires_at


def test_a_refund_goes_back_into_the_same_grants_the_last_one_first(user: Timed) -> None:
    user.call("grant_credits", "message", 3)
    user.call("grant_credits", "message", 50, "top_up")
    operation = spend(user, 20)

    def left() -> dict[str, int]:
        return {s: user.grants(s)[0]["remaining"] for s in ("promotion", "plan", "top_up")}

    assert left() == {"promotion": 0, "plan": 0, "top_up": 43}
    assert user.call("refund_credits", operation, 9)["remaining"] == 52
    assert left() == {"promotion": 0, "plan": 2, "top_up": 50}
    assert user.call("refund_credits", operation)["amount"] == 11
    assert left() == {"promotion": 3, "plan": 10, "top_up": 50}
    assert [e["amount"] for e in user.entries("refund")] == [7, 2, 8, 3]
    assert user.balance()["used"] == 0
    user.verify()


def test_the_sum_of_refunds_never_exceeds_the_operation(user: Timed) -> None:
    operation = spend(user, 7)
    with raises("invalid_amount", "PT422") as seen:
        user.call("refund_credits", operation, 8)
    assert seen.details["refundable"] == 7
    user.call("refund_credits", operation, 5)
    with raises("invalid_amount", "PT422") as seen:
        user.call("refund_credits", operation, 3)
    assert seen.details["refundable"] == 2
    assert user.call("refund_credits", operation)["amount"] == 2
    for amount in (None, 1):
        with raises("invalid_amount", "PT422") as seen:
            user.call("refund_credits", operation, amount)
        assert seen.details["refundable"] == 0
    assert user.remaining == 10
    user.verify()


def test_a_refund_says_what_it_refunds(user: Timed) -> None:
    operation = spend(user, 7)
    refund = user.call("refund_credits", operation, 2, "model was down")
    assert refund["refunds_operation_id"] == operation
    explained = user.call("explain_operation", operation)
    assert (explained["refunded"], explained["refunds"][0]["operation_id"]) == (2, refund["operation_id"])
    [entry] = user.entries("refund")
    assert (entry["related_operation_id"], entry["description"]) == (operation, "model was down")


def test_a_captured_hold_can_be_refunded_up_to_what_was_captured(user: Timed) -> None:
    hold = user.call("reserve_credits", "message", 6)
    with raises("operation_not_found", "PT404"):
        user.call("refund_credits", hold["operation_id"])
    user.call("capture_credits", hold["reservation_id"], 4)
    assert user.call("refund_credits", hold["operation_id"])["amount"] == 4
    assert user.remaining == 10
    user.verify()


@pytest.mark.parametrize("what", ["a grant", "a refund", "a denial", "a released hold"])
def test_only_what_was_spent_can_be_refunded(user: Timed, what: str) -> None:
    operations = {
        "a grant": lambda: user.call("grant_credits", "message", 5),
        "a refund": lambda: user.call("refund_credits", spend(user, 2)),
        "a denial": lambda: user.call("consume_credits", "message", 11),
        "a released hold": lambda: user.call(
            "release_credits", user.call("reserve_credits", "message", 2)["reservation_id"]
        ),
    }
    operation = operations[what]()["operation_id"]
    with raises("operation_not_found", "PT404"):
        user.call("refund_credits", operation)


def test_within_24_hours_of_the_expiry_it_comes_back_as_compensation(user: Timed) -> None:
    operation, expires_at = spend_of_a_grant_that_expires_in_an_hour(user)
    user.at(expires_at + HOURS_24 - MICROSECOND)
    assert user.call("refund_credits", operation)["remaining"] == 10 + 6
    [compensation] = user.grants("compensation")
    assert (compensation["amount"], compensation["priority"]) == (6, 20)
    assert datetime.fromisoformat(compensation["expires_at"]) >= user.now + HOURS_24
    assert [(e["kind"], e["amount"]) for e in user.entries()[-3:]] == [("refund", 6), ("expire", -6), ("grant", 6)]
    user.verify()
    assert user.wait(hours=24).remaining == 10


def test_later_it_is_booked_as_refund_and_expiry_and_stays_visible(user: Timed) -> None:
    operation, expires_at = spend_of_a_grant_that_expires_in_an_hour(user)
    user.at(expires_at + HOURS_24)
    refund = user.call("refund_credits", operation)
    assert (refund["amount"], refund["remaining"]) == (6, 10)
    assert user.grants("compensation") == []
    assert [(e["kind"], e["amount"]) for e in user.entries()[-2:]] == [("refund", 6), ("expire", -6)]
    assert user.call("explain_operation", operation)["refunded"] == 6
    with raises("invalid_amount"):
        user.call("refund_credits", operation)
    user.verify()


def test_before_the_expiry_it_goes_back_into_the_grant(user: Timed) -> None:
    operation, expires_at = spend_of_a_grant_that_expires_in_an_hour(user)
    user.at(expires_at - MICROSECOND)
    assert user.call("refund_credits", operation)["remaining"] == 16
    assert user.grants("compensation") == []
    assert user.at(expires_at).remaining == 10


def test_a_refund_right_after_the_renewal_does_not_lose_the_old_allowance(user: Timed) -> None:
    operation = spend(user, 4)
    user.at(user.period_end + timedelta(hours=2))
    refund = user.call("refund_credits", operation)
    assert (refund["remaining"], refund["used"]) == (14, 0)
    user.verify()


def test_a_refund_into_an_expired_and_a_living_grant_splits(user: Timed) -> None:
    user.call("grant_credits", "message", 6, expires_at=user.now + timedelta(hours=1))
    operation = spend(user, 9)
    user.wait(days=3)
    assert user.call("refund_credits", operation)["remaining"] == 10
    assert [(e["kind"], e["amount"]) for e in user.entries()[-3:]] == [("refund", 3), ("refund", 6), ("expire", -6)]
    user.verify()


def test_a_refund_into_a_revoked_grant_is_net_zero(user: Timed) -> None:
    grant = user.call("grant_credits", "message", 6)["grant_id"]
    operation = spend(user, 4)
    user.call("revoke_grant", grant)
    assert user.call("refund_credits", operation)["remaining"] == 10
    assert [(e["kind"], e["amount"]) for e in user.entries()[-2:]] == [("refund", 4), ("void", -4)]
    user.verify()


def test_a_refund_never_makes_used_negative(user: Timed) -> None:
    operation = spend(user, 8)
    user.call("reset_monthly_credits")
    assert user.call("refund_credits", operation)["used"] == 0
    spend(user, 3)
    assert user.balance()["used"] == 3
    user.verify()


def test_a_deleted_project_gives_its_place_back(user: Timed) -> None:
    operations = [user.call("consume_credits", "project")["operation_id"] for _ in range(3)]
    assert user.call("consume_credits", "project")["code"] == "limit_reached"
    assert user.call("refund_credits", operations[1])["remaining"] == 1
    assert user.call("consume_credits", "project")["success"] is True
    # A limit has no periods, so a year later it is still given back.
    user.wait(days=400)
    assert user.call("refund_credits", operations[0])["remaining"] == 1
    user.verify()


def test_a_frozen_account_gets_its_refund(user: Timed) -> None:
    operation = spend(user, 8)
    user.call("freeze_account")
    assert user.call("refund_credits", operation)["remaining"] == 10
    user.verify()


def test_the_refund_of_another_account_is_not_found(user: Timed, database: Database) -> None:
    operation = spend(user, 8)
    with raises("operation_not_found", "PT404"):
        database.call("refund_credits", database.new_user(), operation)
    with raises("operation_not_found", "PT404"):
        user.call("refund_credits", uuid4())


def test_without_the_comparison_verify_finds_the_refund_that_is_too_much(own_database: Database) -> None:
    """The guard removed: a reused operation is refunded twice as far as the constraints of the grant allow."""
    weaken(
        own_database,
        "credits.refund(uuid, uuid, uuid, bigint, text, text)",
        "v_amount > v_refundable or v_amount = 0",
        "false",
    )
    weaken(
        own_database,
        "credits.return_spent(uuid, credits.balances, uuid, uuid, bigint, uuid, text)",
        "least(v_left, v_row.refundable)",
        "v_left",
    )
    user = Timed(own_database)
    operation = spend(user, 4)
    spend(user, 4)
    user.call("refund_credits", operation, 6)
    with pytest.raises(AssertionError, match="refunds never exceed their operation"):
        user.verify()


def test_a_refund_at_the_instant_of_expiry_is_compensated(database: Database) -> None:
    user = Timed(database)
    user.call("grant_credits", "message", 6, source="promotion", expires_at=user.now + timedelta(hours=1))
    spent = user.call("consume_credits", "message", 6)["operation_id"]
    user.wait(hours=1).call("refund_credits", spent)
    assert [grant["amount"] for grant in user.grants("compensation")] == [6]
    user.verify()


def test_a_refund_of_a_capture_goes_back_to_each_grant_as_far_as_it_was_spent(database: Database) -> None:
    user = Timed(database)
    user.call("grant_credits", "message", 3, source="promotion")
    user.call("grant_credits", "message", 5, source="top_up", expires_at=user.now + timedelta(minutes=1))
    user.call("consume_credits", "message", 10, idempotency_key="the allowance")
    spent = {grant["id"]: grant["spent"] for s in ("promotion", "top_up") for grant in user.grants(s)}
    hold = user.call("reserve_credits", "message", 6, ttl_seconds=3600)
    user.wait(minutes=2).call("capture_credits", hold["reservation_id"], 5)
    user.call("refund_credits", hold["operation_id"])
    assert {grant["id"]: grant["spent"] for s in ("promotion", "top_up") for grant in user.grants(s)} == spent
    user.verify()
