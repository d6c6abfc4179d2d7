"""Changes of the plan: up at once, down at the period's end, and nothing to be had by switching to and fro."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import cycle, islice

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.database import Database
from tests.support.errors import raises
from tests.support.timed import MICROSECOND, Timed

MESSAGES = {"free": 10, "starter": 100, "builder": 250, "pro": 500, "elite": 1200}
START = datetime(2055, 3, 1, tzinfo=UTC)
PERIOD = timedelta(days=31)


@pytest.fixture
def user(database: Database) -> Timed:
    return Timed(database, start=START)


def plan(user: Timed) -> tuple[str, str, str | None]:
    summary = user.call("get_credit_summary")
    return summary["plan"], summary["status"], summary["pending_plan"]


@pytest.mark.parametrize("paid", ["starter", "builder", "pro", "elite"])
def test_free_to_paid_gets_the_full_allowance_and_a_new_period_from_then_on(user: Timed, paid: str) -> None:
    user.wait(days=9, hours=7).call("consume_credits", "message", 4)
    answer = user.call("change_plan", paid)
    assert (answer["plan"], answer["status"], answer["pending_plan"]) == (paid, "active", None)
    balance = user.balance()
    assert (balance["remaining"], balance["used"], balance["allowance"]) == (MESSAGES[paid], 0, MESSAGES[paid])
    assert datetime.fromisoformat(balance["period_start"]) == user.now
    assert user.period_end == datetime(2055, 4, 10, 7, tzinfo=UTC)
    assert user.balance("project")["remaining"] is None
    user.verify()


def test_paid_to_a_larger_plan_gets_the_difference_for_what_is_left_and_keeps_its_anchor(user: Timed) -> None:
    user.call("change_plan", "starter")
    user.at(START + PERIOD / 2).call("consume_credits", "message", 30)
    user.call("change_plan", "pro")
    # Half of the 400 more, on top of what was left.
    assert user.remaining == 70 + 200
    assert user.period_end == START + PERIOD
    assert user.at(user.period_end).remaining == 500
    user.verify()


def test_two_thirds_of_150_are_100(database: Database) -> None:
    user = Timed(database, start=datetime(2055, 4, 1, tzinfo=UTC), plan="starter")
    user.wait(days=10).call("change_plan", "builder")
    assert user.remaining == 100 + 100


@settings(max_examples=40, deadline=None)
@given(
    switch=st.tuples(
        st.sampled_from(["starter", "builder", "pro"]), st.sampled_from(["builder", "pro", "elite"])
    ).filter(lambda s: MESSAGES[s[0]] < MESSAGES[s[1]]),
    passed=st.integers(0, PERIOD // MICROSECOND - 1),
)
def test_the_difference_is_rounded_up_to_whole_credits(
    database: Database, switch: tuple[str, str], passed: int
) -> None:
    user = Timed(database, start=START, plan=switch[0])
    user.at(START + passed * MICROSECOND).call("change_plan", switch[1])
    old, new = (MESSAGES[name] for name in switch)
    left = 1 - Fraction(passed, PERIOD // MICROSECOND)
    assert user.remaining == old + math.ceil((new - old) * left)
    user.verify()


@pytest.mark.parametrize(
    ("first", "switches"),
    [
        ("starter", ["elite", "starter"]),
        ("pro", ["elite", "builder", "pro"]),
        ("pro", ["builder", "starter", "pro", "elite"]),
    ],
)
def test_fifty_switches_farm_nothing(user: Timed, first: str, switches: list[str]) -> None:
    user.call("change_plan", first)
    spent = 0
    for name in islice(cycle(switches), 50):
        user.wait(seconds=1).call("change_plan", name)
        if left := user.remaining:
            user.call("consume_credits", "message", left)
            spent += left
    assert spent <= max(MESSAGES[name] for name in (first, *switches))
    integrations = sum(g["amount"] for g in user.grants("plan", "integration"))
    assert integrations <= 50000 + 100 + 100
    user.verify()


def test_a_smaller_plan_takes_nothing_back_and_counts_from_the_next_period(user: Timed) -> None:
    user.call("change_plan", "pro")
    user.call("consume_credits", "message", 100)
    user.wait(days=3).call("change_plan", "starter")
    assert user.remaining == 400
    assert user.at(START + PERIOD - MICROSECOND).remaining == 400
    assert user.at(START + PERIOD).remaining == 100
    user.verify()


def test_a_downgrade_at_the_end_of_the_period_changes_the_plan_then(user: Timed) -> None:
    user.call("change_plan", "pro")
    answer = user.call("change_plan", "starter", "period_end")
    assert (answer["plan"], answer["pending_plan"]) == ("pro", "starter")
    assert datetime.fromisoformat(answer["pending_at"]) == START + PERIOD
    user.at(START + PERIOD - MICROSECOND)
    assert plan(user) == ("pro", "active", "starter")
    assert user.remaining == 500
    user.at(START + PERIOD)
    assert plan(user) == ("starter", "active", None)
    assert user.remaining == 100
    assert user.call("consume_credits", "message", 1)["limit"] == 100
    user.verify()


def test_a_pending_plan_counts_also_when_nobody_came_by_for_months(user: Timed) -> None:
    user.call("change_plan", "pro")
    user.call("change_plan", "free", "period_end")
    user.wait(days=200)
    assert (plan(user)[0], user.remaining) == ("free", 10)
    assert user.call("consume_credits", "message", 10)["remaining"] == 0
    assert user.call("change_plan", "starter")["plan"] == "starter"
    assert user.remaining == 100
    user.verify()


def test_cancelled_at_the_end_of_the_period_nothing_changes_until_then(user: Timed) -> None:
    user.call("change_plan", "pro")
    user.call("grant_credits", "message", 70, "top_up", expires_at=START + timedelta(days=300))
    user.call("change_plan", "free", "period_end")
    for _ in range(5):
        user.call("consume_credits", "project")
    user.at(START + PERIOD - MICROSECOND)
    assert (user.remaining, user.balance("project")["remaining"]) == (570, None)
    user.at(START + PERIOD)
    # Free from now on; what was bought stays until its own expiry.
    assert (user.remaining, user.balance("project")["remaining"]) == (80, 0)
    assert user.at(START + timedelta(days=300)).remaining == 10
    user.verify()


def test_taking_a_cancellation_back_changes_nothing(user: Timed) -> None:
    user.call("change_plan", "pro")
    user.call("consume_credits", "message", 20)
    before, ledger = user.balance(), user.entries()
    user.call("change_plan", "free", "period_end")
    answer = user.call("change_plan", "pro")
    assert (answer["plan"], answer["pending_plan"]) == ("pro", None)
    assert user.balance() == before
    assert user.entries() == ledger
    assert user.at(START + PERIOD).remaining == 500


def test_over_the_new_limit_creation_is_denied_and_nothing_is_deleted(user: Timed) -> None:
    user.call("change_plan", "pro")
    operations = [user.call("consume_credits", "project")["operation_id"] for _ in range(5)]
    user.call("change_plan", "free")
    balance = user.balance("project")
    assert (balance["used"], balance["allowance"], balance["remaining"]) == (5, 3, 0)
    assert user.call("consume_credits", "project")["code"] == "limit_reached"
    for nth, left in enumerate((0, 0, 1)):
        assert user.call("refund_credits", operations[nth])["remaining"] == left
    assert user.call("consume_credits", "project")["remaining"] == 0
    assert user.call("consume_credits", "project")["code"] == "limit_reached"
    user.verify()


class TestPastDue:
    @pytest.fixture
    def user(self, database: Database) -> Timed:
        user = Timed(database, start=START, plan="pro")
        user.call("grant_credits", "message", 70, "top_up")
        for _ in range(5):
            user.call("consume_credits", "project")
        return user.wait(days=10)

    def test_nothing_changes_within_the_grace(self, user: Timed) -> None:
        user.call("set_subscription_status", "past_due")
        user.at(user.now + timedelta(days=3) - MICROSECOND)
        assert user.remaining == 570
        assert user.call("consume_credits", "message", 10)["remaining"] == 560

    def test_after_three_days_plan_credits_freeze_and_free_limits_apply(self, user: Timed) -> None:
        user.call("set_subscription_status", "past_due")
        user.wait(days=3)
        # What was bought can be spent.
        assert user.remaining == 70
        assert user.balance()["allowance"] == 10
        assert user.balance("project")["remaining"] == 0
        assert user.call("consume_credits", "project")["code"] == "limit_reached"
        assert user.call("consume_credits", "message", 71)["code"] == "insufficient_credits"
        assert user.call("consume_credits", "message", 60)["remaining"] == 10
        # Frozen is not void: the credits are still in their grant.
        [_, *_, allowance] = user.grants("plan")
        assert (allowance["remaining"], allowance["frozen_reason"], allowance["voided_at"]) == (500, "past_due", None)
        user.verify()

    def test_recovery_thaws_the_same_grants(self, user: Timed) -> None:
        user.call("set_subscription_status", "past_due")
        user.wait(days=5).call("consume_credits", "message", 20)
        before = {g["id"]: g["remaining"] for g in user.grants("plan")}
        user.wait(days=1).call("set_subscription_status", "active")
        assert user.remaining == 550
        assert {g["id"]: g["remaining"] for g in user.grants("plan")} == before
        assert user.balance("project")["remaining"] is None
        user.verify()

    def test_no_new_allowance_while_past_due(self, user: Timed) -> None:
        user.at(START + PERIOD - timedelta(days=1)).call("set_subscription_status", "past_due")
        # Renewal falls into the grace: the old allowance ends, no new one comes.
        user.at(START + PERIOD)
        assert user.remaining == 70
        assert user.call("consume_credits", "message", 5)["remaining"] == 65
        user.verify()
        # Paid again, the allowance of the running period comes after all, once.
        user.wait(days=10).call("set_subscription_status", "active")
        assert user.remaining == 565
        assert user.call("consume_credits", "message", 5)["remaining"] == 560
        assert [g["amount"] for g in user.grants("plan") if g["plan_id"] == "pro"] == [500, 500]
        user.verify()

    def test_past_due_and_paid_again_fifty_times_grants_nothing(self, user: Timed) -> None:
        for _ in range(25):
            user.wait(minutes=1).call("set_subscription_status", "past_due")
            user.call("set_subscription_status", "active")
        assert user.remaining == 570
        user.verify()

    def test_what_is_refunded_meanwhile_is_frozen_too(self, user: Timed) -> None:
        operation = user.call("consume_credits", "message", 500)["operation_id"]
        user.call("set_subscription_status", "past_due")
        user.wait(days=4)
        assert user.call("refund_credits", operation, 200)["remaining"] == 70
        assert user.remaining == 70
        user.verify()
        user.call("set_subscription_status", "active")
        assert user.remaining == 270

    def test_a_rollover_granted_meanwhile_is_frozen_too(self, user: Timed) -> None:
        user.call("set_subscription_status", "past_due")
        user.wait(days=4)
        assert user.call("grant_credits", "message", 5, "rollover")["remaining"] == 70
        assert user.remaining == 70
        user.call("set_subscription_status", "active")
        assert user.remaining == 575
        user.verify()

    def test_saying_past_due_again_does_not_start_the_grace_anew(self, user: Timed) -> None:
        user.call("set_subscription_status", "past_due")
        user.wait(days=2).call("set_subscription_status", "past_due")
        assert user.wait(days=1).remaining == 70

    def test_a_reset_by_hand_gives_no_allowance_that_is_not_paid_for(self, user: Timed) -> None:
        user.call("set_subscription_status", "past_due")
        user.call("consume_credits", "message", 500)
        user.call("reset_monthly_credits")
        assert user.remaining == 70
        user.wait(days=4).call("reset_monthly_credits")
        assert user.remaining == 70
        user.verify()

    def test_the_grace_is_a_row_of_the_plan(self, own_database: Database) -> None:
        own_database.run("update plans set past_due_grace = interval '1 hour' where id = 'pro'")
        user = Timed(own_database, start=START, plan="pro")
        user.call("set_subscription_status", "past_due")
        assert user.wait(minutes=59).remaining == 500
        assert user.wait(minutes=1).remaining == 0

    def test_moving_to_the_free_plan_ends_it(self, user: Timed) -> None:
        user.call("set_subscription_status", "past_due")
        user.wait(days=4).call("change_plan", "free")
        assert plan(user)[:2] == ("free", "active")
        assert user.at(START + PERIOD).remaining == 80
        user.verify()


def test_figures_and_limits_are_rows_and_not_literals(own_database: Database) -> None:
    own_database.run("insert into plans (id, name, rank, price_cents) values ('team', 'Team', 45, 14900)")
    own_database.run("insert into plan_limits (plan_id, credit_type, allowance) values ('team', 'message', 777)")
    user = Timed(own_database, start=START, plan="team")
    assert user.remaining == 777
    # What a plan says nothing about, it does not include.
    assert user.balance("integration")["remaining"] == 0
    assert user.balance("project")["allowance"] == 0
    own_database.run("update plan_limits set allowance = 800 where plan_id = 'team'")
    assert user.call("consume_credits", "message", 7)["remaining"] == 770
    assert user.at(START + PERIOD).remaining == 800
    user.verify()


def test_a_plan_with_subscribers_cannot_be_dropped(own_database: Database) -> None:
    Timed(own_database, plan="pro")
    for statement in ("delete from plans where id = 'pro'", "update plans set id = 'pro2' where id = 'pro'"):
        with pytest.raises(psycopg.errors.ForeignKeyViolation, match="has subscribers"):
            own_database.run(statement)
    own_database.run("delete from plans where id = 'elite'")
    with pytest.raises(psycopg.errors.ForeignKeyViolation, match="one by one"):
        own_database.run("truncate plans cascade")


def test_what_was_on_a_plan_that_is_gone_was_paid_for(own_database: Database) -> None:
    own_database.run("insert into plans (id, name, rank, price_cents) values ('team', 'Team', 45, 14900)")
    own_database.run("insert into plan_limits (plan_id, credit_type, allowance) values ('team', 'message', 80)")
    user = Timed(own_database, start=START, plan="team")
    anchor = user.period_end
    user.call("consume_credits", "message", 80)
    user.wait(days=9).call("change_plan", "starter")
    own_database.run("delete from plans where id = 'team'")
    # News of later reads all of it again: the period goes on, with what was spent in it.
    user.wait(days=1).call("set_subscription_status", "past_due")
    assert (user.period_end, user.remaining, user.balance()["used"]) == (anchor, 15, 80)
    user.verify()


def test_what_is_left_rolls_over_up_to_the_cap_and_expires_a_period_later(own_database: Database) -> None:
    own_database.run("update plan_limits set rollover_cap = 30 where plan_id = 'starter' and credit_type = 'message'")
    user = Timed(own_database, start=START, plan="starter")
    user.call("consume_credits", "message", 40)
    user.at(START + PERIOD)
    assert user.remaining == 130
    user.call("consume_credits", "message", 10)
    [rollover] = user.grants("rollover")
    assert (rollover["amount"], rollover["priority"], rollover["remaining"]) == (30, 10, 20)
    user.verify()
    # Next time: 100 left of the allowance, 20 of the rollover. The 20 expire, 30 of the 100 roll over.
    second_end = user.period_end
    user.at(second_end)
    assert user.remaining == 130
    user.call("consume_credits", "message", 1)
    assert user.grants("rollover")[0]["lapsed"] == 20
    user.verify()
    # With less left than the cap, all of it.
    user.call("consume_credits", "message", 114)
    assert user.at(user.period_end).remaining == 115
    user.verify()


def test_an_upgrade_twice_with_one_key_is_one_upgrade(user: Timed) -> None:
    first = user.call("change_plan", "pro", idempotency_key="invoice 1")
    user.call("consume_credits", "message", 5)
    assert user.call("change_plan", "pro", idempotency_key="invoice 1") == first | {"replayed": True}
    with raises("idempotency_conflict", "PT409"):
        user.call("change_plan", "elite", idempotency_key="invoice 1")
    assert user.remaining == 495


def test_an_upgrade_at_the_very_start_of_a_period_gets_the_full_allowance(user: Timed) -> None:
    user.at(user.period_end).call("consume_credits", "message", 3)
    user.call("change_plan", "pro")
    assert (user.remaining, user.balance()["used"]) == (500, 0)
    assert datetime.fromisoformat(user.balance()["period_start"]) == user.now
    assert user.call("consume_credits", "message", 1)["remaining"] == 499
    user.verify()


def test_an_upgrade_at_the_very_start_of_a_period_leaves_holds_in_place(user: Timed) -> None:
    user.at(user.period_end)
    hold = user.call("reserve_credits", "message", 4)["reservation_id"]
    user.call("change_plan", "pro")
    assert (user.remaining, user.balance()["reserved"]) == (500, 4)
    assert user.call("capture_credits", hold, 3)["remaining"] == 500
    user.verify()


def test_nothing_is_past_due_about_a_plan_that_was_free(database: Database) -> None:
    user = Timed(database)
    user.call("set_subscription_status", "past_due")
    assert user.call("change_plan", "pro")["status"] == "active"
    user.wait(days=40)
    assert user.remaining == 500
