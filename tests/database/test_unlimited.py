"""Unlimited has no stock: one spend is one row of the ledger and one of usage, and no credits move on its account."""

from __future__ import annotations

from datetime import timedelta

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
def user(database: Database, plan: str) -> Timed:
    return Timed(database, plan=plan)


@pytest.fixture
def starter(database: Database, plan: str) -> Timed:
    """On a counted plan, whose other plan has no limit."""
    return Timed(database, plan="starter").wait(days=1)


def unlimited(user: Timed, credit_type: str = "message") -> list[tuple[str, int]]:
    """The rows that are of no grant."""
    entries = [e for e in user.entries(credit_type=credit_type) if e["grant_id"] is None]
    assert all(e["balance_after"] is None for e in entries)
    return [(e["kind"], e["amount"]) for e in entries]


class TestASpend:
    def test_of_any_amount_is_one_row_of_the_ledger_and_one_of_usage(self, user: Timed) -> None:
        before = user.entries()
        answer = user.call("consume_credits", "message", 10**12)
        assert (answer["success"], answer["unlimited"]) == (True, True)
        assert (answer["remaining"], answer["limit"], answer["used"]) == (None, None, 10**12)
        [entry] = user.entries()[len(before) :]
        assert (entry["kind"], entry["amount"]) == ("consume", -(10**12))
        assert (entry["grant_id"], entry["balance_after"]) == (None, None)
        rows = user.database.query("select status, credits_used from usage where account_id = %s", user.id)
        assert rows == [("allowed", 10**12)]
        user.verify()

    def test_under_a_key_is_one_too(self, user: Timed) -> None:
        answers = [user.call("consume_credits", "message", 3, idempotency_key="one") for _ in range(2)]
        assert [a["replayed"] for a in answers] == [False, True]
        assert unlimited(user) == [("consume", -3)]
        user.verify()

    def test_one_project_generated_is_one_message_and_one_project(self, database: Database) -> None:
        user = Timed(database, plan="starter")
        before = len(user.entries()) + len(user.entries(credit_type="project"))
        answer = user.call(
            "consume_credits_batch", [{"credit_type": "message"}, {"credit_type": "project", "amount": 1}]
        )
        assert answer["success"] is True
        assert [i["remaining"] for i in answer["items"]] == [99, None]
        after = user.entries() + user.entries(credit_type="project")
        assert len(after) == before + 2
        assert unlimited(user, "project") == [("consume", -1)]
        user.verify()

    def test_leaves_what_was_bought_alone(self, user: Timed) -> None:
        user.call("grant_credits", "message", 50, "top_up")
        user.call("grant_credits", "message", 5, "promotion")
        user.call("consume_credits", "message", 1000)
        user.call("capture_credits", user.call("reserve_credits", "message", 7)["reservation_id"], 9)
        assert [g["remaining"] for s in ("top_up", "promotion") for g in user.grants(s)] == [50, 5]
        user.verify()

    def test_is_explained_without_a_grant(self, user: Timed) -> None:
        operation = user.call("consume_credits", "message", 4)["operation_id"]
        explained = user.call("explain_operation", operation)
        [entry] = explained["entries"]
        assert (explained["amount"], entry["grant_id"], entry["source"]) == (4, None, None)
        assert (entry["balance_before"], entry["balance_after"]) == (None, None)
        story = user.call("explain_balance", "message")
        assert (story["spent"], story["spent_unlimited"]) == (4, 4)
        assert story["opening"] + story["granted"] - story["expired"] == story["closing"] == 0

    def test_counts_as_used_anew_in_each_period(self, user: Timed) -> None:
        user.call("consume_credits", "message", 1000)
        user.at(user.period_end)
        assert user.balance()["used"] == 0
        assert user.call("consume_credits", "message", 3)["used"] == 3
        user.call("reset_monthly_credits")
        assert user.balance()["used"] == 0
        user.verify()


class TestAHold:
    def test_is_reserved_and_pins_nothing(self, user: Timed) -> None:
        user.call("grant_credits", "message", 50, "top_up")
        hold = user.call("reserve_credits", "message", 100)["reservation_id"]
        assert user.balance()["reserved"] == 100
        assert user.grants("top_up")[0]["held"] == 0
        answer = user.call("capture_credits", hold, 170)
        assert (answer["captured"], answer["shortfall"], answer["used"], answer["reserved"]) == (170, 0, 170, 0)
        assert unlimited(user) == [("capture", -170)]
        user.verify()

    def test_that_is_released_or_expires_leaves_nothing(self, user: Timed) -> None:
        user.call("release_credits", user.call("reserve_credits", "message", 30)["reservation_id"])
        user.call("reserve_credits", "message", 40, ttl_seconds=60)
        user.wait(minutes=2)
        assert (user.balance()["reserved"], user.balance()["used"]) == (0, 0)
        assert user.call("consume_credits", "message", 1)["reserved"] == 0
        assert unlimited(user) == [("consume", -1)]
        user.verify()

    def test_made_while_unlimited_is_captured_as_that_on_any_plan(self, user: Timed) -> None:
        hold = user.call("reserve_credits", "message", 500)["reservation_id"]
        user.call("change_plan", "starter")
        left = user.remaining
        assert user.balance()["reserved"] == 500
        answer = user.call("capture_credits", hold, 400)
        assert (answer["captured"], answer["released"], answer["remaining"]) == (400, 100, left)
        assert unlimited(user) == [("capture", -400)]
        user.verify()

    def test_made_while_unlimited_takes_what_is_above_it_from_the_plan_of_then(self, user: Timed) -> None:
        hold = user.call("reserve_credits", "message", 10)["reservation_id"]
        user.call("change_plan", "starter")
        left = user.remaining
        assert left
        answer = user.call("capture_credits", hold, 10 + left + 5)
        assert (answer["captured"], answer["shortfall"], answer["remaining"]) == (10 + left, 5, 0)
        assert unlimited(user) == [("capture", -10)]
        user.verify()

    def test_made_while_counted_takes_what_is_above_it_without_a_limit(self, starter: Timed) -> None:
        hold = starter.call("reserve_credits", "message", 10)["reservation_id"]
        starter.call("change_plan", "boundless")
        answer = starter.call("capture_credits", hold, 1000)
        assert (answer["captured"], answer["shortfall"]) == (1000, 0)
        assert unlimited(starter) == [("capture", -990)]
        assert starter.grants("plan")[-1]["spent"] == 10
        starter.call("refund_credits", answer["operation_id"], 995)
        assert starter.grants("plan")[-1]["spent"] == 5
        starter.verify()

    def test_of_before_it_was_unlimited_expires_in_peace(self, database: Database, plan: str) -> None:
        user = Timed(database)
        user.call("grant_credits", "message", 100)
        user.call("reserve_credits", "message", 91, ttl_seconds=86400)
        user.call("change_plan", plan)
        user.wait(days=2)
        assert user.database.call("reset_monthly_credits")["success"] is True
        assert user.grants("promotion")[0]["remaining"] == 100
        user.verify()


class TestChangingBetweenCountedAndUnlimited:
    def test_what_was_spent_held_refunded_and_released_around_it_comes_back(self, starter: Timed) -> None:
        spent = starter.call("consume_credits", "message", 40)["operation_id"]
        hold = starter.call("reserve_credits", "message", 20)["reservation_id"]
        starter.call("change_plan", "boundless")
        starter.call("refund_credits", spent)
        starter.call("release_credits", hold)
        starter.call("change_plan", "starter")
        assert starter.remaining == 100
        starter.verify()

    def test_what_was_spent_in_between_is_no_credit_of_the_plan(self, starter: Timed) -> None:
        starter.call("change_plan", "boundless")
        spent = starter.call("consume_credits", "message", 1000)["operation_id"]
        hold = starter.call("reserve_credits", "message", 30)["reservation_id"]
        starter.call("change_plan", "starter")
        assert starter.remaining == 100
        answer = starter.call("refund_credits", spent, 600)
        starter.call("release_credits", hold)
        assert (answer["amount"], answer["used"], starter.remaining) == (600, 400, 100)
        assert unlimited(starter) == [("consume", -1000), ("refund", 600)]
        starter.verify()

    def test_a_restart_while_unlimited_takes_nothing_of_the_plan_before(self, starter: Timed) -> None:
        starter.call("consume_credits", "message", 40)
        starter.call("change_plan", "boundless")
        starter.call("reset_monthly_credits")
        starter.call("change_plan", "starter")
        assert starter.remaining == 60
        starter.verify()

    def test_what_expired_meanwhile_is_compensated_as_ever(self, starter: Timed) -> None:
        starter.call("grant_credits", "message", 6, expires_at=starter.now + timedelta(hours=1))
        spent = starter.call("consume_credits", "message", 6)["operation_id"]
        starter.wait(hours=2).call("change_plan", "boundless")
        starter.call("refund_credits", spent)
        assert [g["remaining"] for g in starter.grants("compensation")] == [6]
        starter.call("change_plan", "starter")
        assert starter.remaining == 106
        starter.verify()

    def test_a_limit_counts_what_was_made_while_there_was_none(self, database: Database) -> None:
        user = Timed(database)
        user.call("consume_credits", "project", 2)
        user.call("change_plan", "starter")
        made = [user.call("consume_credits", "project")["operation_id"] for _ in range(4)]
        hold = user.call("reserve_credits", "project", 2, ttl_seconds=86400)["reservation_id"]
        user.wait(hours=1).call("change_plan", "free")
        for left in (0, 0, 0, 0):
            assert user.balance("project")["remaining"] == left
            assert user.call("consume_credits", "project")["code"] == "limit_reached"
            user.call("refund_credits", made.pop())
        assert (user.balance("project")["used"], user.balance("project")["remaining"]) == (2, 0)
        user.call("release_credits", hold)
        assert user.balance("project")["remaining"] == 1
        assert user.call("consume_credits", "project", 1)["success"] is True
        assert user.call("consume_credits", "project", 1)["success"] is False
        user.verify()

    def test_a_limit_is_read_alike_before_and_after_it_is_booked(self, database: Database) -> None:
        user = Timed(database, plan="starter")
        user.call("consume_credits", "project", 1)
        user.call("reserve_credits", "project", 1, ttl_seconds=86400)
        user.call("change_plan", "free", "period_end")
        user.at(user.period_end - timedelta(hours=1)).call("reserve_credits", "project", 1, ttl_seconds=86400)
        user.at(user.period_end)
        read = user.balance("project")
        assert (read["remaining"], read["used"], read["reserved"]) == (1, 1, 1)
        user.database.call("reset_monthly_credits")
        assert user.balance("project") == read
        user.verify()


def test_projects_of_a_paid_plan_are_counted_without_a_limit(user: Timed) -> None:
    operations = [user.call("consume_credits", "project")["operation_id"] for _ in range(20)]
    assert user.balance("project")["used"] == 20
    assert user.call("refund_credits", operations[3])["used"] == 19
    assert user.call("check_credits", "project", 10**9)["success"] is True
    assert user.grants("plan", "project")[-1]["amount"] == 3
    user.verify()


class TestPastGrace:
    """An account that may spend without end by the default plan may do so however late the payment is."""

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
