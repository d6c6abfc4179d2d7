"""Unlimited: always allowed, and still written to usage and the ledger."""

from __future__ import annotations

import pytest

from tests.support.database import Database
from tests.support.timed import Timed


@pytest.fixture(scope="module")
def plan(database: Database) -> str:
    database.run("insert into plans (id, name, rank, price_cents) values ('boundless', 'Boundless', 60, 49900)")
    database.run(
        "insert into plan_limits (plan_id, credit_type) values ('boundless', 'message'), ('boundless', 'project')"
    )
    return "boundless"


@pytest.fixture
def user(database: Database, plan: str) -> Timed:  # type: ignore[override]
    return Timed(database, plan=plan)


def test_any_amount_is_allowed_and_on_record(user: Timed) -> None:
    answer = user.call("consume_credits", "message", 10**12)
    assert (answer["success"], answer["unlimited"], answer["remaining"], answer["limit"]) == (True, True, None, None)
    assert answer["used"] == 10**12
    assert [(e["kind"], e["amount"]) for e in user.entries()[-2:]] == [("grant", 10**12), ("consume", -(10**12))]
    assert user.database.query("select status, credits_used from usage where account_id = %s", user.id) == [
        ("allowed", 10**12)
    ]
    user.verify()


def test_a_hold_and_a_refund_leave_nothing_in_stock(user: Timed) -> None:
    hold = user.call("reserve_credits", "message", 100)["reservation_id"]
    assert user.balance()["reserved"] == 100
    spend = user.call("capture_credits", hold, 170)
    assert (spend["captured"], spend["shortfall"], spend["used"]) == (170, 0, 170)
    user.call("release_credits", user.call("reserve_credits", "message", 30)["reservation_id"])
    user.call("reserve_credits", "message", 40, ttl_seconds=60)
    user.wait(minutes=2).call("refund_credits", spend["operation_id"], 20)
    assert user.balance()["used"] == 150
    assert user.database.value("select balance from credits.balances where account_id = %s and credit_type = 'message'",
                               user.id) == 0  # fmt: skip
    user.verify()
    # So the next plan does not start with it.
    user.call("change_plan", "starter")
    assert user.remaining == 100
    user.verify()


def test_what_was_bought_is_not_spent_while_it_is_unlimited(user: Timed) -> None:
    user.call("grant_credits", "message", 50, "top_up")
    user.call("grant_credits", "message", 5, "promotion")
    user.call("consume_credits", "message", 1000)
    assert [g["remaining"] for s in ("top_up", "promotion") for g in user.grants(s)] == [50, 5]
    user.verify()


def test_the_used_of_a_period_starts_anew_with_the_next(user: Timed) -> None:
    user.call("consume_credits", "message", 1000)
    user.at(user.period_end)
    assert user.balance()["used"] == 0
    assert user.call("consume_credits", "message", 3)["used"] == 3
    user.verify()


def test_projects_of_a_paid_plan_are_counted_without_a_limit(user: Timed) -> None:
    operations = [user.call("consume_credits", "project")["operation_id"] for _ in range(20)]
    assert user.balance("project")["used"] == 20
    assert user.call("refund_credits", operations[3])["used"] == 19
    assert user.call("check_credits", "project", 10**9)["success"] is True
    user.verify()


def test_a_hold_whose_allowance_was_revoked_meanwhile_expires_in_peace(user: Timed) -> None:
    user.call("reserve_credits", "message", 91, ttl_seconds=60)
    [grant] = [g for g in user.grants("plan") if g["held"]]
    user.call("revoke_grant", grant["id"])
    user.wait(minutes=2)
    assert user.database.call("reset_monthly_credits")["success"] is True
    assert user.call("consume_credits", "message", 3)["success"] is True
    user.verify()


def test_a_hold_made_before_it_was_unlimited_expires_in_peace(database: Database, plan: str) -> None:
    user = Timed(database)
    user.call("grant_credits", "message", 100)
    user.call("reserve_credits", "message", 91, ttl_seconds=86400)
    user.call("change_plan", plan)
    user.wait(days=2)
    assert user.database.call("reset_monthly_credits")["success"] is True
    assert user.grants("promotion")[0]["remaining"] == 100
    user.verify()


class TestPastGrace:
    """Who may spend without end by the default plan may do so however late the payment is."""

    @pytest.mark.parametrize("plans", [["free"], ["free", "pro"]])
    def test_spending_goes_on(self, own_database: Database, plans: list[str]) -> None:
        own_database.run(
            "update plan_limits set allowance = null where plan_id = any(%s) and credit_type = 'message'", plans
        )
        user = Timed(own_database, plan="pro")
        user.call("consume_credits", "message", 3)
        user.call("set_subscription_status", "past_due")
        user.wait(days=4)
        assert user.call("consume_credits", "message", 1)["success"] is True
        hold = user.call("reserve_credits", "message", 4)["reservation_id"]
        assert user.call("capture_credits", hold, 6)["captured"] == 6
        user.verify()
        user.call("set_subscription_status", "active")
        assert user.call("consume_credits", "message", 1)["success"] is True
        user.verify()


class TestComingFromACountedPlan:
    """What a counted allowance has left is spent first, and only what is lacking is granted."""

    @pytest.fixture
    def left(self, own_database: Database) -> tuple[Timed, int]:
        own_database.run("insert into plans (id, name, rank, price_cents) values ('endless', 'Endless', 70, 59900)")
        own_database.run("insert into plan_limits (plan_id, credit_type) values ('endless', 'message')")
        user = Timed(own_database, plan="pro")
        left = user.remaining
        assert left is not None
        user.wait(days=1).call("change_plan", "endless")
        return user, left

    def test_a_spend(self, left: tuple[Timed, int]) -> None:
        user, amount = left
        user.call("consume_credits", "message", 5)
        assert [e["amount"] for e in user.entries("grant") if e["description"] == "unlimited allowance"] == []
        user.call("consume_credits", "message", amount)
        assert [e["amount"] for e in user.entries("grant") if e["description"] == "unlimited allowance"] == [5]
        user.verify()

    def test_only_what_a_hold_gave_back_is_taken_out(self, left: tuple[Timed, int]) -> None:
        user, _ = left
        hold = user.call("reserve_credits", "message", 5)["reservation_id"]
        user.call("capture_credits", hold, 3)
        assert [e["amount"] for e in user.entries("expire") if e["description"] == "above the allowance"] == [-2]
        hold = user.call("reserve_credits", "message", 5)["reservation_id"]
        user.call("capture_credits", hold, 8)
        assert [e["amount"] for e in user.entries("expire") if e["description"] == "above the allowance"] == [-2]
        user.verify()

    def test_credits_of_another_source_are_left_alone(self, left: tuple[Timed, int]) -> None:
        user, amount = left
        user.call("grant_credits", "message", 50, source="promotion")
        before = user.grants("promotion")
        user.call("consume_credits", "message", amount + 10)
        user.call("consume_credits", "message", 10)
        user.call("consume_credits", "message", 1, idempotency_key="one")
        assert user.grants("promotion") == before
        user.verify()


def test_what_a_hold_gave_back_after_a_restart_is_taken_out_too(user: Timed) -> None:
    user.call("consume_credits", "message", 5)
    user.call("reset_monthly_credits")
    hold = user.call("reserve_credits", "message", 4)["reservation_id"]
    user.call("release_credits", hold)
    assert [e["amount"] for e in user.entries("expire") if e["description"] == "above the allowance"] == [-4]
    assert [grant["remaining"] for grant in user.grants("plan") if grant["plan_id"] == "boundless"] == [0, 0]
    user.verify()
