"""What a provider tells, in sequences, and where each ends."""

from __future__ import annotations

import os
from datetime import datetime
from itertools import permutations
from typing import Any

import pytest

from tests.billing.shop import APRIL, JUNE, MARCH, MAY, Buyer, open_shop, utc
from tests.support.database import Database

YEAR = utc(3, 1, year=2028)


@pytest.fixture(scope="module", autouse=True)
def _shop(database: Database) -> None:
    open_shop(database)


@pytest.fixture
def a(database: Database) -> Buyer:
    return Buyer(database)


def starter(a: Buyer) -> Buyer:
    """On starter from 1 March, paid to 1 April."""
    a.at(MARCH)
    a.tell(a.seen(MARCH), a.invoice(MARCH, "in_1", ("price_st", 2000, MARCH, APRIL), reason="subscription_create"))
    assert (a.plan, a.left, a.covered) == (("starter", "active"), 100, APRIL)
    return a


def spend(a: Buyer, amount: int, credit_type: str = "message") -> None:
    assert a.call("consume_credits", credit_type, amount)["success"]


class TestBeginning:
    def test_a_first_purchase_ends_the_same_in_every_order(self, database: Database) -> None:
        """At once and two days late in turn, which changes nothing either."""
        states = []
        for n, order in enumerate(permutations(range(4))):
            a = Buyer(database)
            spend(a.at(utc(2, 27)), 4)
            a.at([MARCH, utc(3, 3)][n % 2])
            told = [
                a.subscribed(MARCH),
                a.seen(MARCH, "incomplete"),
                a.seen(utc(3, 1, 0, 1)),
                a.invoice(MARCH, "in_1", ("price_st", 2000, MARCH, APRIL)),
            ]
            a.tell(*(told[i] for i in order), *(told[i] for i in order))
            assert (a.plan, a.left, a.anchor, a.period_end, a.covered) == (
                *(("starter", "active"), 100, MARCH, APRIL, APRIL),
            )
            assert [g["amount"] for g in a.grants("plan") if g["plan_id"] == "starter"] == [100]
            states.append([row for row in a.state() if "free" not in row])
        assert all(state == states[0] for state in states)
        a.verify()

    def test_a_first_payment_that_fails_leaves_the_free_plan(self, a: Buyer) -> None:
        a.at(MARCH)
        a.tell(a.seen(MARCH, "incomplete"), a.failed(MARCH, "in_1"))
        a.at(utc(3, 2)).tell(a.seen(utc(3, 1, 23), "incomplete_expired"))
        assert (a.plan, a.left) == (("free", "active"), 10)
        assert a.tell(a.seen(utc(3, 2))) == ["applied"], "what has ended never lives again"
        assert a.plan == ("free", "active")
        a.verify()

    def test_the_end_of_a_trial_is_told_once_whoever_says_so_first(self, a: Buyer) -> None:
        end = utc(3, 15)
        trial: dict[str, Any] = {"trial_start": MARCH, "trial_end": end, "end": end, "anchor": end}
        a.at(MARCH).tell(a.seen(MARCH, "trialing", **trial))
        a.at(utc(3, 12, 1))
        told = "select data ->> 'plan_id' from credits.outbox where account_id = %s and kind = 'trial.ending'"
        for _ in range(2):
            a.tell(a.seen(utc(3, 12), "trialing", **trial, alert="trial_ending"))
            assert a.database.query(told, a.id) == [("starter",)]
            a.database.call("tend_messages")

    def test_a_trial_ends_and_is_paid(self, a: Buyer) -> None:
        end = utc(3, 15)
        a.at(MARCH)
        a.tell(
            a.seen(MARCH, "trialing", trial_start=MARCH, trial_end=end, end=end, anchor=end),
            a.invoice(MARCH, "in_0", ("price_st", 0, MARCH, end)),
        )
        assert [g["amount"] for g in a.grants("trial")] == [100]
        spend(a, 20)
        a.at(end).tell(
            a.seen(end, start=end, end=utc(4, 15), trial_end=end),
            a.invoice(end, "in_1", ("price_st", 2000, end, utc(4, 15))),
        )
        assert (a.left, a.anchor, a.period_end) == (100, end, utc(4, 15))
        assert [g["lapsed"] for g in a.grants("trial")] == [80]
        a.verify()

    def test_a_year_that_was_paid_renews_monthly_and_once_provisionally(self, a: Buyer) -> None:
        a.at(MARCH).tell(a.invoice(MARCH, "in_1", ("price_proY", 100000, MARCH, YEAR)))
        for month in range(12):
            a.at(utc((month + 2) % 12 + 1, 1, year=2027 + (month + 2) // 12))
            assert a.left == 500
            spend(a, 100)
        assert a.covered == YEAR
        assert a.at(YEAR).left == 500
        assert a.at(utc(4, 1, year=2028)).left == 0
        a.verify()


class TestRenewing:
    def test_a_renewal_before_its_confirmation(self, a: Buyer) -> None:
        spend(starter(a), 60)
        a.at(utc(4, 1, 0, 30))
        assert a.left == 100
        spend(a, 30)
        a.at(utc(4, 1, 1, 2)).tell(a.invoice(a.now, "in_2", ("price_st", 2000, APRIL, MAY)))
        assert (a.left, a.covered) == (70, MAY)
        assert len([g for g in a.grants("plan") if g["period_start"] == APRIL.isoformat()]) == 1
        a.verify()

    def test_a_payment_that_is_early_grants_nothing_early(self, a: Buyer) -> None:
        spend(starter(a), 60)
        a.at(utc(3, 31, 23, 59)).tell(a.invoice(APRIL, "in_2", ("price_st", 2000, APRIL, MAY)))
        assert a.left == 40
        assert a.at(APRIL).left == 100
        assert [g["amount"] for g in a.grants("plan")][-1] == 100
        a.verify()

    def failing(self, a: Buyer) -> Buyer:
        starter(a)
        a.at(utc(4, 1, 1, 2)).tell(a.failed(a.now, "in_2"), a.seen(a.now, "past_due", start=APRIL, end=MAY))
        a.call("grant_credits", "message", 50, "top_up")
        spend(a.at(utc(4, 2)), 10)
        assert a.left == 90 + 50
        return a

    def test_a_renewal_that_fails_is_frozen_after_its_grace_and_recovers(self, a: Buyer) -> None:
        self.failing(a).at(utc(4, 4, 1, 1))
        assert a.left == 90 + 50
        assert a.at(utc(4, 4, 1, 2)).left == 50
        a.at(utc(4, 6)).tell(
            a.invoice(a.now, "in_2", ("price_st", 2000, APRIL, MAY)), a.seen(a.now, start=APRIL, end=MAY)
        )
        assert (a.left, a.plan) == (140, ("starter", "active"))
        assert len([g for g in a.grants("plan") if g["period_start"] == APRIL.isoformat()]) == 1
        a.verify()

    @pytest.mark.parametrize("day", [2, 3])
    def test_a_failed_renewal_that_is_heard_of_late_fails_when_it_failed(self, a: Buyer, day: int) -> None:
        failed_at = utc(4, 1, 1, 2)
        starter(a).at(utc(4, day)).tell(
            a.seen(failed_at, "past_due", start=APRIL, end=MAY), a.failed(failed_at, "in_2")
        )
        assert a.left == 100
        assert a.at(utc(4, 4, 1, 1)).left == 100
        assert a.at(utc(4, 4, 1, 2)).left == 0
        a.verify()

    def test_that_it_is_active_thaws_nothing(self, a: Buyer) -> None:
        self.failing(a).at(utc(4, 6)).tell(a.seen(a.now, start=APRIL, end=MAY))
        assert (a.left, a.plan[0]) == (50, "starter")
        a.verify()

    def test_a_renewal_that_is_never_paid_ends_free(self, a: Buyer) -> None:
        self.failing(a).at(utc(4, 22)).tell(a.seen(a.now, "canceled", start=APRIL, end=MAY, ended_at=a.now))
        assert (a.left, a.plan) == (50, ("free", "active"))
        assert a.at(MAY).left == 60
        a.verify()

    def test_a_pause_of_collection_has_one_provisional_period(self, a: Buyer) -> None:
        starter(a).at(utc(3, 10)).tell(a.seen(a.now, collection_paused={"behavior": "void", "resumes_at": None}))
        assert a.left == 100
        assert a.at(APRIL).left == 100
        assert a.at(MAY).left == 0
        a.at(utc(5, 10)).tell(a.seen(a.now, start=MAY, end=JUNE))
        assert a.left == 0
        a.at(JUNE).tell(a.invoice(JUNE, "in_9", ("price_st", 2000, JUNE, utc(7, 1))))
        assert a.left == 100
        a.verify()

    def test_a_pause_may_give_nothing(self, own_database: Database) -> None:
        open_shop(own_database)
        own_database.run("update credits.settings set pause = 'none'")
        a = starter(Buyer(own_database))
        a.at(utc(3, 10)).tell(a.seen(a.now, collection_paused={"behavior": "void", "resumes_at": None}))
        assert (a.left, a.at(APRIL).left) == (100, 0)
        a.verify()

    @pytest.mark.parametrize("resumed", [utc(3, 20), utc(4, 20)])
    def test_a_paused_subscription_is_frozen_and_resumes_with_a_period_of_its_own(
        self, a: Buyer, resumed: datetime
    ) -> None:
        spend(starter(a), 90)
        a.at(utc(3, 10)).tell(a.seen(a.now, "paused"))
        assert (a.left, a.plan[1]) == (0, "paused")
        end = resumed.replace(month=resumed.month + 1)
        a.at(resumed).tell(a.seen(a.now, start=a.now, end=end))
        assert (a.left, a.anchor, a.period_end) == (100, resumed, end)
        a.verify()


class TestChanging:
    @pytest.mark.parametrize("first", [0, 1])
    def test_an_upgrade_is_shared_from_the_proration(self, a: Buyer, first: int) -> None:
        spend(starter(a), 40)
        middle = utc(3, 16, 12)
        told = [
            a.seen(middle, price="price_pro"),
            a.invoice(
                middle,
                "in_3",
                ("price_st", -1000, middle, APRIL, True),
                ("price_pro", 5000, middle, APRIL, True),
                billing_reason="subscription_update",
                proration_at=middle,
            ),
        ]
        a.at(middle).tell(told[first], told[1 - first])
        assert (a.left, a.period_end, a.plan) == (260, APRIL, ("pro", "active"))
        a.verify()

    def upgraded_unpaid(self, a: Buyer) -> Buyer:
        spend(starter(a), 40)
        a.at(utc(3, 16, 12)).tell(
            a.seen(a.now, "past_due", "price_pro"), a.failed(a.now, "in_3", billing_reason="subscription_update")
        )
        return a

    def test_an_upgrade_that_is_not_paid_brings_nothing(self, a: Buyer) -> None:
        self.upgraded_unpaid(a)
        assert (a.left, a.plan[0]) == (60, "starter")
        assert a.at(utc(3, 25)).left == 60, "what was paid for stays"
        assert a.at(APRIL).left == 0, "and nothing follows"
        a.verify()

    def test_an_upgrade_that_is_paid_later_counts_from_the_proration(self, a: Buyer) -> None:
        middle = utc(3, 16, 12)
        self.upgraded_unpaid(a).at(utc(3, 20)).tell(
            a.invoice(a.now, "in_3", ("price_pro", 5000, middle, APRIL, True), proration_at=middle),
            a.seen(a.now, price="price_pro"),
        )
        assert (a.left, a.plan) == (260, ("pro", "active"))
        a.verify()

    def test_rounds_of_upgrades_and_downgrades_mint_nothing(self, a: Buyer) -> None:
        a.at(MARCH).tell(a.seen(MARCH, price="price_pro"), a.invoice(MARCH, "in_1", ("price_pro", 10000, MARCH, APRIL)))
        spend(a, 120)
        for n in range(50 if os.environ.get("SONAS_PROFILE") == "long" else 12):
            a.wait(hours=6).tell(a.seen(a.now, price="price_st"))
            a.wait(hours=6).tell(
                a.seen(a.now, price="price_pro"),
                a.invoice(a.now, f"in_{n + 2}", ("price_pro", 99, a.now, APRIL, True), proration_at=a.now),
            )
        assert (a.left, a.period_end) == (380, APRIL)
        assert sum(g["amount"] for g in a.grants("plan") if g["period_start"] == MARCH.isoformat()) == 500
        a.verify()

    def test_a_new_anchor_begins_a_period(self, a: Buyer) -> None:
        spend(starter(a), 40)
        middle, end = utc(3, 16, 12), utc(4, 16, 12)
        a.at(middle).tell(
            a.seen(middle, price="price_pro", start=middle, end=end),
            a.invoice(middle, "in_3", ("price_pro", 10000, middle, end)),
        )
        assert (a.left, a.anchor, a.period_end, a.covered) == (500, middle, end, end)
        a.verify()

    def test_seats_grow_at_once_and_shrink_with_the_period(self, own_database: Database) -> None:
        open_shop(own_database)
        own_database.run("update public.plans set per_seat = true where id = 'starter'")
        a = Buyer(own_database).at(MARCH)
        a.tell(a.seen(MARCH, quantity=3), a.invoice(MARCH, "in_1", ("price_st", 6000, MARCH, APRIL), quantity=3))
        assert a.left == 300
        a.at(utc(3, 16, 12)).tell(a.seen(a.now, quantity=5))
        assert a.left == 400
        a.at(utc(3, 20)).tell(a.seen(a.now, quantity=2))
        assert a.left == 400
        assert a.at(APRIL).left == 200
        a.verify()

    def test_a_quantity_counts_for_plans_by_seat_alone(self, a: Buyer) -> None:
        a.at(MARCH).tell(a.seen(MARCH, quantity=3))
        assert a.left == 100
        a.verify()


class TestEnding:
    def test_a_cancellation_that_is_taken_back_changes_nothing(self, a: Buyer) -> None:
        starter(a).at(utc(3, 10)).tell(a.seen(a.now, cancel_at_period_end=True))
        assert (
            a.database.value("select pending_plan_id from public.subscriptions where account_id = %s", a.id) == "free"
        )
        a.at(utc(3, 12)).tell(a.seen(a.now))
        assert (a.left, a.at(APRIL).left, a.plan) == (100, 100, ("starter", "active"))
        a.verify()

    def test_a_cancellation_at_the_end_leaves_the_free_plan(self, a: Buyer) -> None:
        starter(a).at(utc(3, 10)).tell(a.seen(a.now, cancel_at_period_end=True))
        assert a.left == 100
        a.at(APRIL).tell(a.seen(APRIL, "canceled", ended_at=APRIL))
        assert (a.left, a.plan) == (10, ("free", "active"))
        a.verify()

    def test_a_cancellation_now_keeps_what_was_paid_for(self, a: Buyer) -> None:
        spend(starter(a), 40)
        a.call("grant_credits", "message", 5, "top_up")
        a.at(utc(3, 10)).tell(a.seen(a.now, "canceled", ended_at=a.now))
        assert a.left == 65
        assert (a.at(APRIL).left, a.plan) == (15, ("free", "active"))
        a.verify()

    def test_a_cancellation_now_may_void_at_once(self, own_database: Database) -> None:
        open_shop(own_database)
        own_database.run("update credits.settings set on_cancel = 'void'")
        a = Buyer(own_database)
        spend(starter(a), 40)
        a.at(utc(3, 10)).tell(a.seen(a.now, "canceled", ended_at=a.now))
        assert (a.left, a.at(APRIL).left) == (0, 10)
        a.verify()

    def test_a_customer_that_is_gone_keeps_what_was_bought(self, a: Buyer) -> None:
        starter(a).bought()
        gone = {"fact": "customer_gone", "customer_id": a.customer, "at": a.now.isoformat()}
        a.tell((a.now.isoformat(), [gone]), a.seen(a.now, "canceled", ended_at=utc(3, 10)))
        assert (a.at(utc(3, 11)).left, a.at(APRIL).left) == (600, 510)
        assert a.call("get_billing_account")["customer_id"] is None
        a.verify()

    def test_of_two_living_subscriptions_the_larger_counts(self, a: Buyer) -> None:
        starter(a)
        other = a.own("cus_B")
        a.database.call("link_billing_customer", a.id, other)
        middle = utc(3, 16)
        a.at(middle).tell(
            a.seen(middle, price="price_pro", sub="sub_2", customer=other, start=middle, end=utc(4, 16)),
            a.invoice(middle, "in_2", ("price_pro", 10000, middle, utc(4, 16)), sub="sub_2", customer_id=other),
        )
        assert (a.plan, a.left) == (("pro", "active"), 500)
        assert len(a.call("get_billing_account")["subscriptions"]) == 2
        a.tell(a.seen(a.now, "canceled", ended_at=a.now))
        assert (a.plan, a.left) == (("pro", "active"), 500)
        a.verify()

    def with_a_larger_one(self, a: Buyer) -> Buyer:
        starter(a).at(utc(3, 16)).tell(
            a.seen(a.now, price="price_pro", sub="sub_2", start=a.now, end=utc(4, 16)),
            a.invoice(a.now, "in_2", ("price_pro", 10000, a.now, utc(4, 16)), sub="sub_2"),
        )
        spend(a, 100)
        return a

    def renew_the_smaller(self, a: Buyer, start: datetime, end: datetime) -> None:
        name = f"in_{start:%m}"
        a.at(start).tell(a.seen(start, start=start, end=end), a.invoice(start, name, ("price_st", 2000, start, end)))

    def test_the_end_of_the_larger_leaves_the_smaller_and_what_was_paid_for(self, a: Buyer) -> None:
        self.with_a_larger_one(a).at(utc(3, 20)).tell(
            a.seen(a.now, "canceled", "price_pro", sub="sub_2", ended_at=a.now)
        )
        assert (a.plan, a.left) == (("starter", "active"), 400)
        self.renew_the_smaller(a, APRIL, MAY)
        assert (a.left, a.period_end) == (400, utc(4, 16)), "the larger one was paid for up to then"
        assert a.at(utc(4, 16)).left == 100
        self.renew_the_smaller(a, MAY, JUNE)
        assert (a.left, a.period_end) == (100, JUNE)
        a.verify()

    def test_the_end_of_the_larger_may_void_it_at_once(self, own_database: Database) -> None:
        open_shop(own_database)
        own_database.run("update credits.settings set on_cancel = 'void'")
        a = Buyer(own_database)
        self.with_a_larger_one(a).at(utc(3, 20)).tell(
            a.seen(a.now, "canceled", "price_pro", sub="sub_2", ended_at=a.now)
        )
        assert (a.plan, a.left) == (("starter", "active"), 0)
        a.verify()

    @pytest.mark.parametrize("is_paid", [True, False])
    def test_the_larger_one_that_fails_to_renew_leaves_what_the_smaller_has_paid_for(
        self, a: Buyer, is_paid: bool
    ) -> None:
        self.renew_the_smaller(self.with_a_larger_one(a), APRIL, MAY)
        renewal: dict[str, Any] = {"price": "price_pro", "sub": "sub_2", "start": utc(4, 16), "end": utc(5, 16)}
        a.at(utc(4, 16)).tell(a.seen(a.now, **renewal))
        assert a.left == 500
        spend(a, 50)
        a.at(utc(4, 16, 1)).tell(a.failed(a.now, "in_5", sub="sub_2"))
        a.at(utc(4, 16, 2)).tell(a.seen(a.now, "past_due", **renewal))
        assert (a.plan, a.left, a.at(utc(4, 25)).left) == (("starter", "active"), 50, 50)
        if is_paid:
            a.tell(
                a.invoice(a.now, "in_5", ("price_pro", 10000, utc(4, 16), utc(5, 16)), sub="sub_2"),
                a.seen(a.now, **renewal),
            )
            assert (a.plan, a.left) == (("pro", "active"), 450)
        else:
            a.tell(a.seen(a.now, "canceled", ended_at=a.now, **renewal))
            assert (a.plan, a.left) == (("starter", "active"), 50)
        a.verify()

    def test_larger_ones_that_are_never_paid_mint_nothing(self, a: Buyer) -> None:
        spend(starter(a), 60)
        for day in (4, 6):
            start, sub = utc(3, day), f"sub_{day}"
            a.at(start).tell(a.seen(start, price="price_pro", sub=sub, start=start, end=utc(4, day)))
            assert (a.plan, a.left) == (("starter", "active"), 40), "what is paid for goes before what is not"
            a.at(utc(3, day + 1)).tell(a.seen(a.now, "canceled", "price_pro", sub=sub, start=start, ended_at=a.now))
            assert (a.plan, a.left, a.period_end) == (("starter", "active"), 40, APRIL)
        a.verify()


class TestOneAfterAnother:
    def unpaid(self, a: Buyer, at: datetime, sub: str, **more: Any) -> None:
        """A subscription that is active before its payment has settled, as with a debit."""
        a.at(at).tell(a.seen(at, sub=sub, start=at, end=utc(at.month + 1, at.day), **more))

    def ended(self, a: Buyer, at: datetime, sub: str, **more: Any) -> None:
        a.at(at).tell(a.seen(at, "canceled", sub=sub, ended_at=at, **more))

    def test_who_had_paid_has_one_provisional_period_of_the_next_one(self, a: Buyer) -> None:
        spend(starter(a), 40)
        self.ended(a, utc(3, 10), "sub_1")
        self.unpaid(a, utc(3, 11), "sub_2")
        assert a.left == 100
        a.at(utc(3, 14)).tell(a.invoice(a.now, "in_2", ("price_st", 2000, utc(3, 11), utc(4, 11)), sub="sub_2"))
        assert (a.left, a.covered) == (100, utc(4, 11))
        a.verify()

    def test_who_left_without_paying_gets_nothing_before_a_payment(self, a: Buyer) -> None:
        self.unpaid(a, MARCH, "sub_1")
        spend(a, 100)
        self.ended(a, utc(3, 5), "sub_1")
        for day, sub in ((6, "sub_2"), (8, "sub_3")):
            self.unpaid(a, utc(3, day), sub)
            assert (a.plan, a.left) == (("starter", "active"), 0)
            self.ended(a, utc(3, day + 1), sub)
        self.unpaid(a, utc(3, 12), "sub_4")
        assert a.left == 0
        a.tell(a.invoice(a.now, "in_4", ("price_st", 2000, a.now, utc(4, 12)), sub="sub_4"))
        assert a.left == 100
        assert (a.at(utc(4, 12)).left, a.at(utc(5, 12)).left) == (100, 0)
        a.verify()

    def test_that_it_was_paid_may_be_heard_of_late(self, a: Buyer) -> None:
        self.unpaid(a, MARCH, "sub_1")
        self.ended(a, utc(3, 5), "sub_1")
        self.unpaid(a, utc(3, 6), "sub_2")
        assert a.left == 0
        a.tell(a.invoice(MARCH, "in_1", ("price_st", 2000, MARCH, APRIL)))
        assert a.left == 100
        a.verify()

    @pytest.mark.parametrize("is_plain", [True, False])
    def test_a_year_that_was_canceled_covers_no_other(self, a: Buyer, is_plain: bool) -> None:
        a.at(MARCH).tell(
            a.seen(MARCH, price="price_proY", end=YEAR),
            a.invoice(MARCH, "in_1", ("price_proY", 100000, MARCH, YEAR)),
        )
        assert (a.left, a.covered) == (500, YEAR)
        self.ended(a, utc(3, 10), "sub_1", price="price_proY", end=YEAR)
        if is_plain:
            a.at(utc(3, 11)).call("change_plan", "starter")
            a.call("set_subscription_status", "past_due")
        else:
            self.unpaid(a, utc(3, 11), "sub_2")
            assert a.left == 100
        assert a.covered is None
        assert [a.at(utc(month, 12)).left for month in (4, 5, 6)] == [0, 0, 0]
        a.verify()


class TestUnknown:
    def test_a_price_that_is_not_registered_keeps_what_was_paid_for(self, a: Buyer) -> None:
        starter(a).at(utc(3, 10))
        assert a.tell(a.seen(a.now, price="price_zzz")) == ["needs_attention"]
        assert a.left == 100
        assert (a.at(APRIL).left, a.plan) == (10, ("free", "active"))
        a.verify()

    def test_it_takes_effect_once_the_price_is_registered(self, own_database: Database) -> None:
        open_shop(own_database)
        a = Buyer(own_database).at(MARCH)
        assert a.tell(a.seen(MARCH, price="price_new")) == ["needs_attention"]
        own_database.call("register_billing_price", "price_new", "builder", unit_amount=5000)
        assert own_database.call("replay_billing_events")["outcomes"] == {"replayed": 0, "applied": 1}
        assert a.plan == ("builder", "active")
        a.verify()

    def test_events_that_come_before_their_customer_wait_for_it(self, database: Database) -> None:
        a = Buyer(database).at(MARCH)
        later = a.own("cus_late")
        told = (
            a.seen(MARCH, customer=later),
            a.invoice(MARCH, "in_1", ("price_st", 2000, MARCH, APRIL), customer_id=later),
        )
        assert a.tell(*told) == ["waiting", "waiting"]
        assert a.plan == ("free", "active")
        database.call("link_billing_customer", a.id, later)
        assert (a.plan, a.covered) == (("starter", "active"), APRIL)
        assert database.call("list_billing_events", "waiting")["events"] == []
        a.verify()

    @pytest.mark.parametrize("more", [{"livemode": True}, {"account": "acct_1"}, {"ignored": "a thin event"}])
    def test_events_of_the_other_mode_or_another_account_are_ignored(self, a: Buyer, more: dict[str, Any]) -> None:
        a.at(MARCH)
        assert a.tell(a.seen(MARCH), **more) == ["ignored"]
        assert a.plan == ("free", "active")
        a.verify()

    def test_an_event_without_facts_is_ignored(self, a: Buyer) -> None:
        assert a.tell((MARCH.isoformat(), [])) == ["ignored"]

    def test_an_event_a_second_time_is_replayed(self, a: Buyer) -> None:
        a.at(MARCH)
        name = a.own("evt_same")
        assert [a.answer(a.seen(MARCH), event=name)["outcome"] for _ in range(2)] == ["applied", "replayed"]
        before = a.state()
        a.database.call("replay_billing_events", MARCH)
        assert a.state() == before
