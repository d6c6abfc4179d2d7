"""Time and status from outside: whatever is heard of late ends as if it had been heard of at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from tests.support.database import Database
from tests.support.errors import raises
from tests.support.timed import MICROSECOND, Timed


def utc(month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2055, month, day, hour, minute, tzinfo=UTC)


MARCH, APRIL, MAY, JUNE = (utc(month, 1) for month in (3, 4, 5, 6))


@pytest.fixture
def user(database: Database) -> Timed:
    return Timed(database, start=utc(2, 20))


def subscribed(user: Timed, plan: str = "starter", **named: Any) -> Timed:
    user.at(MARCH).call("change_plan", plan, **named)
    return user


def cover(user: Timed, until: datetime | None, start: datetime | None = None) -> None:
    user.database.run("select credits.cover_period(%s, %s, %s)", user.id, until, start)


def state(user: Timed) -> tuple[str, str]:
    [row] = user.database.query("select plan_id, status from public.subscriptions where account_id = %s", user.id)
    return row


class TestLate:
    def test_a_plan_that_began_two_days_ago_ends_as_if_it_had_been_booked_then(self, user: Timed) -> None:
        user.call("consume_credits", "message", 4)
        user.at(utc(3, 3)).call("change_plan", "starter", at=MARCH)
        assert (user.remaining, user.balance()["used"], user.period_end) == (100, 0, APRIL)
        assert [(g["amount"], g["period_start"]) for g in user.grants("plan")][-1] == (100, MARCH.isoformat())
        user.verify()

    def test_what_was_spent_meanwhile_was_spent_in_the_new_period(self, user: Timed) -> None:
        user.at(utc(3, 2)).call("consume_credits", "message", 4)
        user.at(utc(3, 3)).call("change_plan", "starter", at=MARCH)
        assert (user.remaining, user.balance()["used"]) == (96, 4)
        user.verify()

    def test_a_change_of_two_periods_ago_grants_what_runs_now(self, user: Timed) -> None:
        subscribed(user)
        user.at(utc(4, 20)).call("consume_credits", "message", 30)
        user.at(utc(5, 10)).call("consume_credits", "message", 10)
        user.call("change_plan", "pro", at=utc(3, 16, 12))
        assert (user.remaining, user.period_end) == (490, JUNE)
        user.verify()

    @pytest.mark.parametrize("late", [timedelta(0), timedelta(days=1), timedelta(days=9)])
    def test_an_upgrade_is_shared_from_the_instant_of_the_proration(self, user: Timed, late: timedelta) -> None:
        subscribed(user).call("consume_credits", "message", 40)
        user.at(utc(3, 16, 12) + late).call("change_plan", "pro", at=utc(3, 16, 12))
        assert (user.remaining, user.period_end) == (260, APRIL)
        user.verify()

    @pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (2, 0, 1)])
    def test_in_whatever_order_the_news_comes_it_ends_the_same(self, user: Timed, order: tuple[int, ...]) -> None:
        subscribed(user).call("consume_credits", "message", 40)
        news = [("pro", utc(3, 5)), ("starter", utc(3, 9)), ("builder", utc(3, 12))]
        user.at(utc(3, 20))
        for nth in order:
            plan, at = news[nth]
            user.call("change_plan", plan, at=at)
        assert state(user) == ("builder", "active")
        assert user.remaining == 60 + 349  # ceil(400 * 27 / 31)
        user.verify()

    def test_a_failed_payment_counts_from_when_it_failed(self, user: Timed) -> None:
        subscribed(user).at(APRIL).call("consume_credits", "message", 10)
        user.at(utc(4, 6)).call("set_subscription_status", "past_due", at=utc(4, 1, 1))
        assert user.remaining == 0
        user.verify()

    def test_a_cancellation_of_a_month_ago_leaves_the_free_plan(self, user: Timed) -> None:
        subscribed(user).at(utc(4, 10)).call("consume_credits", "message", 3)
        user.call("set_subscription_status", "canceled", at=utc(3, 10))
        assert (state(user), user.remaining) == (("free", "active"), 7)
        user.verify()

    @pytest.mark.parametrize("at", ["infinity", "-infinity", "2055-03-01 00:00:00.000001+00"])
    def test_a_time_that_cannot_be_is_refused(self, user: Timed, at: str) -> None:
        user.at(MARCH)
        for function, argument in (("change_plan", "starter"), ("set_subscription_status", "past_due")):
            with raises("invalid_argument", "PT422") as seen:
                user.call(function, argument, at=at)
            assert seen.details["argument"] == "p_at"

    def test_what_is_said_twice_counts_twice_when_news_of_the_time_between_comes(self, user: Timed) -> None:
        subscribed(user).at(utc(3, 5)).call("set_subscription_status", "past_due")
        user.at(utc(3, 7)).call("set_subscription_status", "past_due")
        user.at(utc(3, 9)).call("set_subscription_status", "active", at=utc(3, 6))
        assert (state(user), user.remaining) == (("starter", "past_due"), 100)
        assert user.at(utc(3, 10)).remaining == 0
        user.verify()

    def test_what_was_spent_beyond_what_is_due_is_not_due_again(self, user: Timed) -> None:
        subscribed(user, "pro").at(utc(3, 5)).call("consume_credits", "message", 400)
        user.at(utc(3, 6)).call("change_plan", "free", at=utc(3, 2))
        user.call("change_plan", "starter", at=utc(3, 3))
        assert (user.remaining, user.balance()["used"]) == (0, 400)
        user.call("change_plan", "builder")
        assert user.remaining == 0
        user.at(utc(4, 3))
        assert user.remaining == 250
        user.verify()

    def test_a_restart_counts_in_whatever_period_it_turns_out_to_have_been_made(self, user: Timed) -> None:
        user.at(utc(3, 2)).call("consume_credits", "message", 4)
        user.at(utc(3, 3)).call("reset_monthly_credits")
        user.at(utc(3, 4)).call("consume_credits", "message", 1)
        user.at(utc(3, 5)).call("change_plan", "starter", at=MARCH)
        assert (user.remaining, user.balance()["used"]) == (99, 1)
        user.verify()

    def test_it_counts_there_also_when_another_period_has_begun_since(self, user: Timed) -> None:
        user.at(utc(3, 2)).call("consume_credits", "message", 4)
        user.at(utc(3, 3)).call("reset_monthly_credits")
        user.at(utc(3, 4)).call("consume_credits", "message", 1)
        user.at(utc(3, 5)).call("change_plan", "starter")
        user.call("change_plan", "starter", at=MARCH)
        assert (user.remaining, user.balance()["used"]) == (99, 1)
        user.verify()

    def test_a_restart_in_the_free_plan_is_none_of_the_paid_one_that_ended_before(self, user: Timed) -> None:
        subscribed(user, "pro").at(utc(3, 5)).call("reset_monthly_credits")
        user.at(utc(3, 9)).call("change_plan", "starter", at=utc(3, 4))
        assert user.remaining == 100
        user.verify()


class TestPastDue:
    @pytest.fixture
    def owing(self, user: Timed) -> Timed:
        """Starter from 1 March; the payment of 1 April failed."""
        subscribed(user).at(APRIL).call("set_subscription_status", "past_due")
        user.call("consume_credits", "message", 10)
        user.call("grant_credits", "message", 50, "top_up")
        return user

    @pytest.mark.parametrize("grace_is_over", [False, True])
    @pytest.mark.parametrize("way_out", ["free", "canceled"])
    def test_who_leaves_without_paying_keeps_nothing_of_the_period(
        self, owing: Timed, way_out: str, grace_is_over: bool
    ) -> None:
        owing.at(utc(4, 6) if grace_is_over else utc(4, 2))
        if way_out == "free":
            owing.call("change_plan", "free")
        else:
            owing.call("set_subscription_status", "canceled")
        # The free plan's 10 of April less the 10 that were spent; what was bought stays.
        assert (owing.remaining, state(owing)) == (50, ("free", "active"))
        assert owing.call("consume_credits", "message", 51)["code"] == "insufficient_credits"
        for month in (5, 6, 7):
            assert owing.at(utc(month, 1)).remaining == 60
        owing.verify()

    def test_what_is_refunded_afterwards_is_not_spendable_beyond_the_free_plan(self, owing: Timed) -> None:
        spent = owing.call("consume_credits", "message", 60)["operation_id"]
        owing.at(utc(4, 6)).call("change_plan", "free")
        owing.call("refund_credits", spent)
        assert owing.remaining == 50
        owing.verify()

    def test_another_plan_thaws_nothing(self, owing: Timed) -> None:
        owing.at(utc(4, 6)).call("change_plan", "pro")
        assert (owing.remaining, state(owing)) == (50, ("pro", "past_due"))
        owing.call("reset_monthly_credits")
        assert owing.remaining == 50
        owing.verify()

    @pytest.mark.parametrize("paid", [utc(4, 2), utc(4, 16), utc(4, 28)])
    def test_an_upgrade_made_meanwhile_is_granted_on_recovery(self, owing: Timed, paid: datetime) -> None:
        owing.at(utc(4, 2)).call("change_plan", "pro")
        assert owing.remaining == 90 + 50
        owing.at(paid).call("set_subscription_status", "active")
        assert owing.remaining == 90 + 50 + 387  # ceil(400 * 29 / 30)
        owing.verify()

    def test_an_unpaid_period_is_made_up_for_with_the_shares_of_its_upgrades(self, owing: Timed) -> None:
        owing.at(utc(5, 11)).call("change_plan", "pro")
        assert owing.remaining == 50
        owing.at(utc(5, 20)).call("set_subscription_status", "active")
        assert owing.remaining == 100 + 271 + 50  # ceil(400 * 21 / 31)
        owing.verify()

    def test_unpaid_is_owed_like_past_due_and_since_then(self, owing: Timed) -> None:
        owing.at(utc(4, 3)).call("set_subscription_status", "unpaid")
        assert owing.remaining == 140
        assert owing.at(utc(4, 4)).remaining == 50
        owing.call("set_subscription_status", "active")
        assert owing.remaining == 140
        owing.verify()


class TestFreeAndPaidAgain:
    def test_each_way_back_is_a_purchase(self, user: Timed) -> None:
        subscribed(user).call("consume_credits", "message", 100)
        user.call("change_plan", "free")
        assert user.remaining == 0
        user.at(utc(3, 25)).call("change_plan", "starter")
        assert (user.remaining, user.period_end) == (100, utc(4, 25))
        user.verify()


class TestPaused:
    def test_plan_credits_freeze_at_once_and_thaw_with_the_resumption(self, user: Timed) -> None:
        subscribed(user).call("consume_credits", "message", 40)
        user.call("grant_credits", "message", 7, "top_up")
        for _ in range(4):
            user.call("consume_credits", "project")
        user.at(utc(3, 10)).call("set_subscription_status", "paused")
        assert (user.remaining, user.balance("project")["remaining"]) == (7, 0)
        assert user.call("reset_monthly_credits")["restarted"] == []
        user.verify()
        user.at(utc(3, 20)).call("set_subscription_status", "active")
        assert (user.remaining, user.balance("project")["remaining"]) == (67, None)
        assert user.at(APRIL).remaining == 107
        user.verify()

    def test_nothing_renews_meanwhile(self, user: Timed) -> None:
        subscribed(user).at(utc(3, 10)).call("set_subscription_status", "paused")
        assert user.at(utc(4, 20)).remaining == 0
        user.verify()


class TestCanceled:
    def test_what_was_paid_for_stays_to_its_end_and_then_it_is_free(self, user: Timed) -> None:
        subscribed(user).call("consume_credits", "message", 40)
        for _ in range(4):
            user.call("consume_credits", "project")
        user.at(utc(3, 10)).call("set_subscription_status", "canceled")
        assert (user.remaining, user.balance("project")["remaining"], state(user)) == (60, 0, ("starter", "canceled"))
        assert user.at(APRIL - MICROSECOND).remaining == 60
        assert (user.at(APRIL).remaining, state(user)) == (10, ("free", "active"))
        user.verify()

    def test_or_goes_at_once_where_the_setting_says_so(self, own_database: Database) -> None:
        own_database.run("update credits.settings set on_cancel = 'void'")
        user = subscribed(Timed(own_database, start=utc(2, 20)))
        user.call("grant_credits", "message", 7, "top_up")
        user.at(utc(3, 10)).call("set_subscription_status", "canceled")
        # No free credits on top within March.
        assert (user.remaining, state(user)) == (7, ("free", "active"))
        assert user.at(APRIL).remaining == 17
        user.verify()

    def test_a_cancellation_to_come_of_what_is_not_paid_takes_nothing_before_it_comes(self, user: Timed) -> None:
        cover(subscribed(user), None)
        user.call("consume_credits", "message", 40)
        user.at(utc(3, 10)).call("set_subscription_status", "canceled", at=utc(3, 20))
        assert (user.remaining, state(user)) == (60, ("starter", "active"))
        assert user.at(utc(3, 20) - MICROSECOND).remaining == 60
        # Who leaves without having paid has the free plan's 10, less what was spent.
        assert (user.at(utc(3, 20)).remaining, state(user)) == (0, ("free", "active"))
        user.verify()

    def test_a_cancellation_to_come_changes_nothing_until_then_and_can_be_taken_back(self, user: Timed) -> None:
        subscribed(user).at(utc(3, 10)).call("set_subscription_status", "canceled", at=APRIL)
        assert (user.remaining, state(user)) == (100, ("starter", "active"))
        user.at(utc(3, 12)).call("set_subscription_status", "active")
        assert (user.at(APRIL).remaining, state(user)) == (100, ("starter", "active"))
        user.call("set_subscription_status", "canceled", at=MAY)
        assert (user.at(MAY).remaining, state(user)) == (10, ("free", "active"))
        user.verify()


class TestTrial:
    @pytest.fixture
    def trying(self, user: Timed) -> Timed:
        subscribed(user).call("set_subscription_status", "trialing", ends_at=utc(3, 15))
        user.call("consume_credits", "message", 20)
        return user

    def test_the_plans_figures_come_as_a_grant_that_ends_with_the_trial(self, trying: Timed) -> None:
        assert (trying.remaining, state(trying), trying.period_end) == (80, ("starter", "trialing"), utc(3, 15))
        [grant] = trying.grants("trial")
        assert (grant["amount"], datetime.fromisoformat(grant["expires_at"])) == (100, utc(3, 15))
        trying.verify()

    @pytest.mark.parametrize("at", [utc(3, 10), utc(3, 15)])
    def test_then_the_paid_allowance_if_it_was_said_to_be_paid_by_then(self, trying: Timed, at: datetime) -> None:
        trying.at(utc(3, 16)).call("set_subscription_status", "active", at=at)
        assert (trying.remaining, state(trying), trying.period_end) == (100, ("starter", "active"), utc(4, 15))
        trying.verify()

    def test_it_is_one_period_however_long_and_a_longer_one_is_the_same_trial(self, trying: Timed) -> None:
        for _ in range(2):
            trying.at(trying.now + timedelta(hours=1)).call("set_subscription_status", "trialing", ends_at=utc(4, 20))
            assert (trying.remaining, trying.period_end) == (80, utc(4, 20))
        assert trying.at(utc(4, 10)).remaining == 80
        trying.call("consume_credits", "message", 1)
        assert sum(grant["spent"] for grant in trying.grants("trial")) == 21
        assert (trying.at(utc(4, 20)).remaining, state(trying)) == (10, ("free", "active"))
        trying.verify()

    def test_else_the_free_one(self, trying: Timed) -> None:
        assert (trying.at(utc(3, 15)).remaining, state(trying)) == (10, ("free", "active"))
        trying.verify()

    @pytest.mark.parametrize(("status", "ends_at"), [("trialing", None), ("active", JUNE), ("trialing", "infinity")])
    def test_a_trial_ends_and_nothing_else_does(self, user: Timed, status: str, ends_at: Any) -> None:
        with raises("invalid_argument", "PT422") as seen:
            user.call("set_subscription_status", status, ends_at=ends_at)
        assert seen.details["argument"] == "p_ends_at"


class TestSeats:
    def test_more_count_at_once_and_fewer_from_the_next_period(self, user: Timed) -> None:
        subscribed(user, quantity=3)
        assert user.remaining == 300
        user.at(utc(3, 16, 12)).call("change_plan", "starter", quantity=5)
        assert user.remaining == 400
        user.at(utc(3, 20)).call("change_plan", "starter", quantity=2)
        assert (user.remaining, user.balance()["allowance"]) == (400, 500)
        assert (user.at(APRIL).remaining, user.balance()["allowance"]) == (200, 200)
        user.verify()

    def test_fewer_count_from_a_new_period_that_a_provider_begins_too(self, user: Timed) -> None:
        subscribed(user, quantity=5).at(utc(3, 10)).call("change_plan", "starter", quantity=2)
        user.at(utc(3, 15))
        cover(user, utc(4, 15), utc(3, 15))
        assert (user.remaining, user.balance()["allowance"], user.period_end) == (200, 200, utc(4, 15))
        user.verify()

    def test_switching_to_and_fro_brings_nothing(self, user: Timed) -> None:
        subscribed(user, quantity=5)
        for _ in range(20):
            user.wait(hours=1).call("change_plan", "starter", quantity=1)
            user.wait(hours=1).call("change_plan", "starter", quantity=5)
        assert user.remaining == 500
        user.verify()

    @pytest.mark.parametrize("quantity", [0, -1, 1000001])
    def test_there_is_at_least_one(self, user: Timed, quantity: int) -> None:
        with raises("invalid_argument", "PT422") as seen:
            user.call("change_plan", "starter", quantity=quantity)
        assert seen.details["argument"] == "p_quantity"


class TestCoverage:
    """A payment says what is paid of a subscription that a provider manages; one period beyond it is provisional."""

    @pytest.fixture
    def managed(self, user: Timed) -> Timed:
        subscribed(user)
        cover(user, APRIL)
        return user

    def test_one_period_beyond_it_is_granted_and_no_second_one(self, managed: Timed) -> None:
        assert managed.at(APRIL).remaining == 100
        managed.call("consume_credits", "message", 1)
        assert managed.at(MAY).remaining == 0
        assert managed.at(JUNE).remaining == 0
        managed.verify()
        cover(managed, utc(7, 1))
        assert managed.remaining == 100
        managed.verify()

    def test_a_renewal_before_its_payment_is_the_same_as_after_it(self, managed: Timed) -> None:
        managed.call("consume_credits", "message", 60)
        managed.at(utc(4, 1, 0, 30)).call("consume_credits", "message", 30)
        managed.at(utc(4, 1, 1, 2))
        cover(managed, MAY)
        cover(managed, MAY)
        assert managed.remaining == 70
        managed.verify()

    def test_only_a_payment_thaws_the_same_grant(self, managed: Timed) -> None:
        managed.at(utc(4, 1, 1, 2)).call("set_subscription_status", "past_due")
        managed.call("grant_credits", "message", 50, "top_up")
        managed.at(utc(4, 2)).call("consume_credits", "message", 10)
        managed.at(utc(4, 4, 1, 2))
        assert managed.remaining == 50
        managed.call("set_subscription_status", "active")
        assert managed.remaining == 50
        managed.at(utc(4, 6))
        cover(managed, MAY)
        assert managed.remaining == 140
        managed.verify()

    def test_a_failed_payment_of_a_covered_period_changes_nothing(self, managed: Timed) -> None:
        managed.at(utc(3, 5)).call("set_subscription_status", "past_due")
        assert managed.at(utc(3, 20)).remaining == 100

    def test_a_year_is_twelve_months_and_one_provisional(self, user: Timed) -> None:
        subscribed(user, "pro")
        cover(user, datetime(2056, 3, 1, tzinfo=UTC))
        for month in range(13):
            user.at(datetime(2055 + (month + 2) // 12, (month + 2) % 12 + 1, 1, tzinfo=UTC))
            assert user.remaining == 500
            user.call("consume_credits", "message", 500)
        assert user.at(datetime(2056, 4, 1, tzinfo=UTC)).remaining == 0
        user.verify()

    def test_news_of_a_period_before_that_of_its_plan_has_the_plans_newest_figures(
        self, own_database: Database
    ) -> None:
        own_database.run("update plan_limits set allowance = 600 where plan_id = 'pro' and credit_type = 'message'")
        user = Timed(own_database, start=utc(4, 2))
        cover(user, utc(5, 1, 2), utc(4, 1, 2))
        user.call("change_plan", "pro", at=MARCH)
        assert (user.remaining, user.period_end) == (600, utc(5, 1, 2))
        user.verify()

    def test_a_trial_is_no_second_unpaid_period(self, user: Timed) -> None:
        """Nor is the free one before it, of which news says later that another plan applied."""
        user.at(utc(2, 28)).call("set_subscription_status", "canceled", at=utc(3, 3))
        cover(user, utc(2, 22), utc(2, 28))
        user.call("change_plan", "starter", at=utc(2, 21))
        user.at(utc(4, 24)).call("consume_credits", "message", 1)
        user.call("change_plan", "builder", at=utc(3, 4))
        user.call("set_subscription_status", "trialing", at=utc(4, 4), ends_at=utc(5, 4))
        user.call("consume_credits", "message", 1)
        assert user.remaining == 248
        user.verify()

    def test_a_second_unpaid_period_is_named(self, own_database: Database) -> None:
        """Damage: what was paid for is less than was granted."""
        user = subscribed(Timed(own_database, start=utc(2, 20)))
        cover(user, JUNE)
        for month in (3, 4, 5):
            user.at(utc(month, 2)).call("consume_credits", "message", 1)
        user.verify()
        with psycopg.connect(own_database.superuser_url, autocommit=True) as connection:
            connection.execute("set session_replication_role = replica")
            connection.execute(
                "update credits.subscriptions set covered_until = %s where account_id = %s", [APRIL, user.id]
            )
        [rule] = [check for check in own_database.call("verify_books", rule=10)["checks"] if not check["ok"]]
        assert {found["period_start"] for found in rule["violations"]} == {MAY.isoformat()}

    def test_a_new_period_of_the_provider_is_one_of_ours(self, managed: Timed) -> None:
        managed.at(utc(3, 10)).call("set_subscription_status", "paused")
        managed.at(utc(4, 20))
        cover(managed, None, utc(4, 20))
        managed.call("set_subscription_status", "active")
        assert (managed.remaining, managed.period_end) == (100, utc(5, 20))
        managed.verify()
