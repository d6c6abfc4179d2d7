"""What of an allowance rolls over into the next period."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.support.database import Database
from tests.support.timed import Timed


@pytest.fixture(scope="module")
def rolling(database: Database) -> str:
    """A plan with 400 messages, all of which roll over."""
    database.run("insert into plans (id, name, rank, price_cents) values ('roll', 'Roll', 80, 900)")
    database.run(
        "insert into plan_limits (plan_id, credit_type, allowance, rollover_cap) values ('roll', 'message', 400, 400)"
    )
    return "roll"


def test_what_is_in_dispute_does_not_roll_over(database: Database, rolling: str) -> None:
    user = Timed(database, plan=rolling)
    database.run(
        "update public.credit_grants set frozen_at = created_at, frozen_reason = 'dispute' "
        "where account_id = %s and plan_id = %s",
        user.id,
        rolling,
    )
    user.at(user.period_end).call("consume_credits", "message", 1)
    assert user.grants("rollover") == []


def test_how_much_rolls_over_is_up_to_the_plan_that_ends(database: Database, rolling: str) -> None:
    user = Timed(database, plan=rolling)
    user.call("change_plan", "free", effective="period_end")
    shown = user.at(user.period_end).remaining or 0
    user.call("consume_credits", "message", 1)
    assert [grant["amount"] for grant in user.grants("rollover")] == [400]
    assert user.remaining == shown - 1 == 400 + user.balance()["allowance"] - 1


def test_what_a_live_hold_pins_does_not_roll_over(database: Database, rolling: str) -> None:
    user = Timed(database, plan=rolling)
    end = user.period_end
    user.at(end - timedelta(minutes=1)).call("reserve_credits", "message", 30, ttl_seconds=3600)
    assert user.at(end).remaining == 370 + 400
    user.call("consume_credits", "message", 1)
    assert [grant["amount"] for grant in user.grants("rollover")] == [370]
    assert user.remaining == 370 + 399
    user.verify()


@pytest.mark.parametrize("way", ["free", "canceled", "active"])
def test_what_rolled_over_out_of_a_period_that_was_never_paid_for_is_thawed_by_a_payment_alone(
    database: Database, rolling: str, way: str
) -> None:
    user = Timed(database, plan=rolling)
    end = user.period_end
    user.at(end - timedelta(days=1)).call("set_subscription_status", "past_due")
    assert user.at(end).remaining == 400, "there is a grace"
    user.call("consume_credits", "message", 10)
    user.at(end + timedelta(days=4))
    assert user.remaining == 0
    if way == "active":
        user.call("set_subscription_status", "active")
        assert user.remaining == 390 + 400
    elif way == "canceled":
        user.call("set_subscription_status", "canceled")
        assert user.remaining == 10
    else:
        user.call("change_plan", "free")
        assert user.remaining == 10
        # News that it was paid for after all thaws the same credits.
        user.call("set_subscription_status", "active", at=end + timedelta(days=1))
        assert user.remaining == 390 + 400
    user.verify()
