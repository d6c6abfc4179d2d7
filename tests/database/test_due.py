"""A balance that is due too early is posted for nothing, at every call."""

from __future__ import annotations

from datetime import datetime, timedelta

from tests.support.database import Database
from tests.support.timed import Timed


def due_at(user: Timed, credit_type: str = "message") -> datetime:
    due: datetime = user.database.value(
        "select due_at from credits.balances where account_id = %s and credit_type = %s", user.id, credit_type
    )
    return due


class TestDue:
    """A balance that is due too early is settled for nothing, at every call."""

    def test_when_the_period_ends(self, database: Database) -> None:
        user = Timed(database, plan="pro")
        assert due_at(user) == user.period_end

    def test_when_the_grace_ends(self, database: Database) -> None:
        user = Timed(database, plan="pro")
        user.call("set_subscription_status", "past_due")
        user.wait(days=1).call("consume_credits", "message", 1, idempotency_key="settles")
        assert due_at(user) == user.now + timedelta(days=2)
        assert user.wait(days=2).call("consume_credits", "message", 1)["code"] == "insufficient_credits"
        assert due_at(user) == user.period_end

    def test_when_a_hold_of_this_type_that_is_still_open_expires(self, database: Database) -> None:
        user = Timed(database)
        user.call("reserve_credits", "integration", 1, ttl_seconds=60)
        released = user.call("reserve_credits", "message", 1, ttl_seconds=120)["reservation_id"]
        user.call("reserve_credits", "message", 1, ttl_seconds=180)
        user.call("release_credits", released)
        assert due_at(user) == user.now + timedelta(seconds=180)

    def test_not_for_a_grant_that_has_expired_but_for_the_hold_on_it(self, database: Database) -> None:
        user = Timed(database)
        user.call("grant_credits", "message", 5, source="promotion", expires_at=user.now + timedelta(hours=1))
        user.call("reserve_credits", "message", 5, ttl_seconds=7200)
        user.wait(hours=1).call("consume_credits", "message", 1)
        assert due_at(user) == user.now + timedelta(hours=1)

    def test_the_job_renews_what_falls_due_at_this_very_instant(self, own_database: Database) -> None:
        user = Timed(own_database)
        user.at(user.period_end)
        assert own_database.call("reset_monthly_credits")["accounts"] == 1
        assert own_database.call("reset_monthly_credits")["accounts"] == 0
        assert due_at(user) == user.period_end
