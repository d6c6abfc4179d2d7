"""What an upgrade grants within a period, and when a plan begins."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.database import Database
from tests.support.timed import Timed


class TestUpgrade:
    def test_only_the_running_period_ends(self, database: Database) -> None:
        user = Timed(database)
        user.at(user.period_end).call("consume_credits", "message", 1)
        first, _ = user.grants("plan")
        user.wait(days=2).call("change_plan", "pro")
        assert user.grants("plan")[0] == first
        assert datetime.fromisoformat(user.grants("plan")[1]["expires_at"]) == user.now

    def test_at_the_first_instant_of_a_period_only_its_own_allowance_is_taken_back(self, database: Database) -> None:
        user = Timed(database)
        user.at(user.period_end).call("change_plan", "pro")
        free = [grant for grant in user.grants("plan") if grant["plan_id"] == "free"]
        assert [grant["void_reason"] for grant in free] == [None, "plan changed"]
        user.verify()

    def test_what_was_taken_back_before_keeps_its_date(self, database: Database) -> None:
        user = Timed(database)
        user.at(user.period_end).call("reset_monthly_credits")
        [before] = [grant for grant in user.grants("plan") if grant["voided_at"]]
        user.wait(hours=1).call("change_plan", "pro")
        assert before in user.grants("plan")

    def test_what_was_taken_back_at_this_instant_is_taken_back_once(self, database: Database) -> None:
        user = Timed(database)
        user.at(user.period_end).call("reset_monthly_credits")
        user.call("change_plan", "pro")
        assert sorted(grant["void_reason"] for grant in user.grants("plan") if grant["voided_at"]) == [
            "allowance restarted",
            "plan changed",
        ]

    def test_what_holds_pin_does_not_roll_over(self, own_database: Database) -> None:
        own_database.run("update plan_limits set rollover_cap = 100 where plan_id = 'free' and credit_type = 'message'")
        user = Timed(own_database)
        free = user.remaining
        assert free is not None
        user.call("consume_credits", "message", 1)
        user.call("grant_credits", "message", 7, source="top_up")
        user.call("reserve_credits", "message", 2)
        user.call("change_plan", "pro")
        assert [grant["amount"] for grant in user.grants("rollover")] == [free - 3]
        user.verify()

    def test_a_restart_on_a_smaller_plan_does_not_make_the_way_back_pay(self, database: Database) -> None:
        user = Timed(database, plan="pro")
        user.call("change_plan", "free")
        user.call("reset_monthly_credits")
        user.call("change_plan", "pro")
        assert [entry["description"] for entry in user.entries("grant")].count("upgrade") == 0


def test_a_plan_that_begins_now_is_not_pending_any_more(database: Database) -> None:
    user = Timed(database, plan="pro")
    user.call("change_plan", "free", effective="period_end")
    summary = user.at(user.period_end).call("get_credit_summary")
    assert (summary["plan"], summary["pending_plan"], summary["pending_at"]) == ("free", None, None)


@pytest.mark.parametrize(("rest", "joined"), [(timedelta(days=15), False), (timedelta(days=15, seconds=-1), True)])
def test_the_rest_of_a_period_is_joined_to_the_next_one_when_it_is_short(
    database: Database, rest: timedelta, joined: bool
) -> None:
    anchor = datetime(2026, 1, 1, tzinfo=UTC)
    end, following = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
    spell = {"anchor_at": anchor.isoformat(), "anchored_from": (end - rest).isoformat(), "time_zone": "UTC"}
    [period] = database.query(
        "select period_start, period_end from credits.spell_period("
        "jsonb_populate_record(null::credits.subscription_spells, %s::jsonb), %s)",
        json.dumps(spell),
        end - rest,
    )
    assert period == (end - rest, following if joined else end)
