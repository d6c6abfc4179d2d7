"""What no other test noticed when a small fault was put into periods, plans and limits (docs/mutation.md)."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from tests.support.database import Database
from tests.support.errors import raises
from tests.support.tables import metered_projects
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

    def test_it_alone_outlives_a_change_between_paid_plans(self, database: Database) -> None:
        user = Timed(database, plan="starter")
        database.run("update public.subscriptions set status = 'trialing' where account_id = %s", user.id)
        assert user.call("change_plan", "pro")["status"] == "active"


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

    def test_a_period_that_began_as_a_paid_one_is_not_started_twice(self, database: Database) -> None:
        user = Timed(database, plan="pro")
        allowance = user.balance()["allowance"]
        user.at(user.period_end).call("consume_credits", "message", 1)
        end = user.period_end
        user.call("change_plan", "free")
        user.wait(hours=1).call("change_plan", "pro")
        assert (user.remaining, user.period_end) == (allowance - 1, end)
        anchor = database.value("select anchor_at from public.subscriptions where account_id = %s", user.id)
        assert anchor < user.now - timedelta(days=20)

    def test_a_restart_on_a_smaller_plan_does_not_make_the_way_back_pay(self, database: Database) -> None:
        user = Timed(database, plan="pro")
        user.call("change_plan", "free")
        user.call("reset_monthly_credits")
        user.call("change_plan", "pro")
        assert [entry["description"] for entry in user.entries("grant")].count("upgrade") == 0


class TestLimit:
    def test_what_is_spent_and_held_stays_so_when_something_falls_due(self, database: Database) -> None:
        user = Timed(database)
        user.call("grant_credits", "project", 5, source="top_up")
        user.call("consume_credits", "project", 1)
        user.call("reserve_credits", "project", 3, ttl_seconds=3600)
        user.call("reserve_credits", "project", 1, ttl_seconds=60)
        user.call("consume_credits", "project", 2)
        shown = user.wait(minutes=2).balance("project")
        assert (shown["reserved"], shown["remaining"]) == (3, 2)
        database.run("update credits.balances set due_at = '-infinity' where account_id = %s", user.id)
        assert user.balance("project") == shown
        user.call("consume_credits", "project", 1)
        assert user.balance("project") == shown | {"used": shown["used"] + 1, "remaining": 1}
        assert user.entries("expire", credit_type="project") == []
        user.verify()


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


def test_a_plan_that_begins_now_is_not_pending_any_more(database: Database) -> None:
    user = Timed(database, plan="pro")
    user.call("change_plan", "free", effective="period_end")
    summary = user.at(user.period_end).call("get_credit_summary")
    assert (summary["plan"], summary["pending_plan"], summary["pending_at"]) == ("free", None, None)


def test_what_a_live_hold_pins_does_not_roll_over(database: Database, rolling: str) -> None:
    user = Timed(database, plan=rolling)
    end = user.period_end
    user.at(end - timedelta(minutes=1)).call("reserve_credits", "message", 30, ttl_seconds=3600)
    assert user.at(end).remaining == 370 + 400
    user.call("consume_credits", "message", 1)
    assert [grant["amount"] for grant in user.grants("rollover")] == [370]
    assert user.remaining == 370 + 399
    user.verify()


def test_what_is_granted_on_top_of_a_limit_takes_nothing_of_it(database: Database) -> None:
    user = Timed(database)
    user.call("grant_credits", "project", 5, source="top_up")
    allowance = user.balance("project")["allowance"]
    first = user.call("consume_credits", "project", allowance - 1)["operation_id"]
    user.call("consume_credits", "project", 2)
    user.call("refund_credits", first)
    user.call("reserve_credits", "project", 1, ttl_seconds=60)
    shown = user.wait(minutes=2).balance("project")
    assert shown["remaining"] == 4 + allowance - 1
    assert user.call("consume_credits", "project", 1)["remaining"] == shown["remaining"] - 1
    user.verify()


def test_what_was_held_of_a_restarted_allowance_does_not_come_back(database: Database) -> None:
    user = Timed(database)
    user.call("reserve_credits", "message", 4, ttl_seconds=60)
    user.call("reset_monthly_credits")
    allowance = user.balance()["allowance"]
    assert user.wait(minutes=2).remaining == allowance
    assert user.call("consume_credits", "message", 1)["remaining"] == allowance - 1


def test_an_allowance_of_nothing_leaves_no_row(database: Database) -> None:
    database.run("insert into plans (id, name, rank, price_cents) values ('empty', 'Empty', 81, 900)")
    database.run("insert into plan_limits (plan_id, credit_type, allowance) values ('empty', 'message', 0)")
    user = Timed(database)
    user.call("change_plan", "empty")
    before = user.entries()
    user.wait(hours=1).call("reset_monthly_credits")
    assert user.entries() == before
    assert [entry for entry in user.entries() if entry["amount"] == 0] == []


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


def test_an_update_that_keeps_the_key_writes_nothing(database: Database, user: UUID) -> None:
    table = metered_projects(database)
    database.run(f"insert into {table} (owner_id) values (%s)", user)
    row = "select m.xmin::text, to_jsonb(m) from credits.metered_rows m where m.account_id = %s"
    before = database.query(row, user)
    database.run(f"update {table} set owner_id = owner_id, id = id where owner_id = %s", user)
    assert database.query(row, user) == before


def test_the_job_goes_on_when_all_accounts_of_a_batch_are_busy(own_database: Database) -> None:
    own_database.run("insert into auth.users (id) select gen_random_uuid() from generate_series(1, 501)")
    own_database.run("update credits.balances set due_at = '-infinity'")
    last = own_database.value("select account_id from credits.accounts order by account_id desc limit 1")
    with own_database.connect(autocommit=False) as busy:
        busy.execute("select from credits.balances where account_id <> %s for update", [last])
        own_database.call("reset_monthly_credits")
    due = "select distinct account_id = %s from credits.balances where due_at = '-infinity'"
    assert own_database.query(due, last) == [(False,)]


def test_the_job_leaves_closed_accounts_alone(own_database: Database) -> None:
    user = Timed(own_database)
    user.at(user.period_end)
    own_database.run("delete from auth.users where id = %s", user.id)
    before = user.entries()
    assert own_database.call("reset_monthly_credits")["accounts"] == 0
    assert user.entries() == before


def test_a_test_clock_does_not_go_back_either_where_nothing_was_booked(database: Database) -> None:
    user = Timed(database)
    user.wait(days=1)
    with raises("invalid_argument", "PT422") as seen:
        user.wait(hours=-1)
    assert seen.details["argument"] == "p_now"


def test_a_grant_that_expires_now_is_refused(database: Database) -> None:
    user = Timed(database)
    with raises("invalid_argument", "PT422") as seen:
        user.call("grant_credits", "message", 1, expires_at=user.now)
    assert seen.details["argument"] == "p_expires_at"


def test_a_denial_says_what_is_neither_held_nor_withheld(database: Database) -> None:
    user = Timed(database)
    user.call("grant_credits", "message", 4, source="promotion")
    database.run(
        "update public.credit_grants set starts_at = starts_at + interval '1 day' "
        "where account_id = %s and source = 'promotion'",
        user.id,
    )
    database.run("update credits.balances set due_at = '-infinity' where account_id = %s", user.id)
    user.call("reserve_credits", "message", 3)
    denied = user.call("consume_credits", "message", 100)
    assert (denied["details"]["required"], denied["details"]["available"]) == (100, user.remaining)
    assert user.remaining == user.balance()["allowance"] - 3


def test_the_job_passes_by_an_account_that_somebody_keeps_busy(own_database: Database) -> None:
    user = Timed(own_database, plan="pro")
    user.call("change_plan", "free", effective="period_end")
    user.at(user.period_end)
    with own_database.connect(autocommit=False) as busy:
        busy.execute("select from credits.balances where account_id = %s for update", [user.id])
        began = time.monotonic()
        assert own_database.call("reset_monthly_credits")["accounts"] == 0
        assert time.monotonic() - began < 4
    assert own_database.call("reset_monthly_credits")["accounts"] == 1


@pytest.mark.parametrize("function", ["get_credit_summary", "get_credit_history"])
def test_the_service_role_says_for_whom_it_reads(database: Database, function: str) -> None:
    with raises("invalid_argument", "PT422") as seen:
        database.call(function, None)
    assert seen.details["argument"] == "p_user_id"


@pytest.mark.parametrize(("rest", "joined"), [(timedelta(days=15), False), (timedelta(days=15, seconds=-1), True)])
def test_the_rest_of_a_period_is_joined_to_the_next_one_when_it_is_short(
    database: Database, rest: timedelta, joined: bool
) -> None:
    anchor = datetime(2026, 1, 1, tzinfo=UTC)
    end, following = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
    [period] = database.query(
        "select period_start, period_end from credits.next_period(%s, 'UTC', %s, %s)", anchor, end - rest, end - rest
    )
    assert period == (end - rest, following if joined else end)
