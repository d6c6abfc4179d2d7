"""What the status of a subscription does: past due, its grace, and words that are no status."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import pytest

from tests.support.database import Database
from tests.support.errors import raises
from tests.support.timed import Timed


def due_at(user: Timed, credit_type: str = "message") -> datetime:
    due: datetime = user.database.value(
        "select due_at from credits.balances where account_id = %s and credit_type = %s", user.id, credit_type
    )
    return due


def test_saying_the_same_status_again_changes_nothing(database: Database, user: UUID) -> None:
    database.call("change_plan", user, "pro")
    database.call("set_subscription_status", user, "past_due")
    row = "select s.xmin::text, to_jsonb(s) from credits.subscriptions s where s.account_id = %s"
    [before] = database.query(row, user)
    database.call("set_subscription_status", user, "past_due")
    assert database.query(row, user) == [before]


@pytest.mark.parametrize("status", ["paid", "", None])
def test_a_status_that_does_not_exist_is_refused(database: Database, user: UUID, status: str | None) -> None:
    with raises("invalid_argument", "PT422") as seen:
        database.call("set_subscription_status", user, status)
    assert seen.details["argument"] == "p_status"


def test_the_grace_ends_before_the_plan_that_is_to_come(database: Database) -> None:
    user = Timed(database, plan="pro")
    user.call("change_plan", "free", effective="period_end")
    user.call("set_subscription_status", "past_due")
    assert user.call("consume_credits", "message", 1)["success"] is True
    user.wait(days=3)
    assert user.call("consume_credits", "message", 1)["code"] == "insufficient_credits"


class TestPastDue:
    def test_what_is_frozen_stays_frozen_since_then(self, database: Database) -> None:
        user = Timed(database, plan="pro")
        user.call("set_subscription_status", "past_due")
        for _ in range(2):
            user.wait(days=3).call("reserve_credits", "message", 1)
            database.run("update credits.balances set due_at = '-infinity' where account_id = %s", user.id)
            user.call("consume_credits", "message", 1)
        [frozen] = {grant["frozen_at"] for grant in user.grants("plan") if grant["frozen_at"]}
        assert datetime.fromisoformat(frozen) == user.now - timedelta(days=3)

    def test_what_ended_with_the_grace_is_not_frozen_any_more(self, database: Database) -> None:
        user = Timed(database, plan="pro")
        user.call("consume_credits", "message", user.remaining)
        user.at(user.period_end - timedelta(days=3)).call("set_subscription_status", "past_due")
        user.wait(days=3).call("consume_credits", "message", 1)
        assert [grant["frozen_at"] for grant in user.grants("plan") if grant["plan_id"] == "pro"] == [None]

    def test_what_was_frozen_of_another_type_thaws_when_that_is_settled(self, database: Database) -> None:
        user = Timed(database, plan="pro")
        user.at(user.period_end - timedelta(days=4)).call("set_subscription_status", "past_due")
        user.call("change_plan", "free", effective="period_end")
        user.wait(days=3).call("consume_credits", "message", 1)
        user.call("consume_credits", "integration", 1)
        frozen = [grant["id"] for grant in user.grants("plan", "integration") if grant["frozen_at"]]
        user.wait(days=1).call("consume_credits", "message", 1)
        assert [g["id"] for g in user.grants("plan", "integration") if g["frozen_at"]] == frozen != []
        user.call("consume_credits", "integration", 1)
        assert [g["id"] for g in user.grants("plan", "integration") if g["frozen_at"]] == []
        user.verify()

    def test_the_default_plans_limits_are_open_however_many_there_were(self, database: Database) -> None:
        database.run("insert into plans (id, name, rank, price_cents) values ('workshop', 'Workshop', 82, 900)")
        database.run(
            "insert into plan_limits (plan_id, credit_type, allowance) values ('workshop', 'project', 20), "
            "('workshop', 'message', 0)"
        )
        user = Timed(database, plan="workshop")
        user.call("set_subscription_status", "past_due")
        user.wait(days=4)
        for left in (2, 1, 0):
            assert user.call("consume_credits", "project", 1)["remaining"] == left
            database.run("update credits.balances set due_at = '-infinity' where account_id = %s", user.id)
        assert user.call("consume_credits", "project", 1)["code"] == "limit_reached"
        user.verify()

    def test_what_is_held_is_not_taken_off_twice(self, database: Database) -> None:
        user = Timed(database, plan="pro")
        user.call("set_subscription_status", "past_due")
        user.wait(days=2, hours=23).call("reserve_credits", "message", 5, ttl_seconds=86400)
        user.call("grant_credits", "message", 7, source="top_up")
        user.wait(hours=1)
        assert user.call("consume_credits", "message", 1)["remaining"] == 6
        assert user.remaining == 6

    def test_a_plan_that_costs_nothing_ends_it(self, database: Database) -> None:
        user = Timed(database, plan="pro")
        user.call("set_subscription_status", "past_due")
        user.call("change_plan", "free", effective="period_end")
        user.at(user.period_end).call("change_plan", "free")
        assert database.query("select plan_id, status from public.subscriptions where account_id = %s", user.id) == [
            ("free", "active")
        ]
