"""Packs, refunds and disputes: what is paid for is there once, and what is paid back goes."""

from __future__ import annotations

import os
from datetime import timedelta
from itertools import permutations
from math import ceil
from random import sample
from threading import Thread
from typing import Any

import pytest

from tests.billing.shop import APRIL, MARCH, Buyer, open_shop, utc
from tests.support.database import Database

LONG = os.environ.get("SONAS_PROFILE") == "long"


@pytest.fixture(scope="module", autouse=True)
def _shop(database: Database) -> None:
    open_shop(database)


@pytest.fixture
def a(database: Database) -> Buyer:
    """A free account that has spent its ten."""
    a = Buyer(database).at(MARCH)
    a.call("consume_credits", "message", 10)
    return a


@pytest.fixture
def spent(a: Buyer) -> Buyer:
    """Has bought 500 for 600, tax included, and spent 350 of them."""
    a.bought().call("consume_credits", "message", 350)
    assert a.left == 150
    return a


class TestBuying:
    def test_ten_deliveries_at_once_grant_once(self, a: Buyer) -> None:
        a.order()
        outcomes: list[str] = []

        def deliver(n: int) -> None:
            with a.database.connect() as connection:
                outcomes.extend(a.tell(a.session(MARCH + timedelta(seconds=n)), connection=connection))

        threads = [Thread(target=deliver, args=(n,)) for n in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert outcomes == ["applied"] * 10
        [grant] = a.grants("top_up")
        assert (grant["amount"], grant["priority"], grant["paid_amount"]) == (500, 50, 500)
        assert grant["expires_at"] == utc(3, 1, year=2028).isoformat(), "from the earliest payment that is known"
        a.verify()

    def test_a_payment_that_takes_days(self, a: Buyer) -> None:
        order = a.order()
        assert a.tell(a.session(MARCH, state="unpaid")) == ["applied"]
        assert (a.left, a.call("get_billing_order", order)["state"]) == (0, "pending")
        a.at(utc(3, 4)).tell(a.session(a.now))
        assert (a.left, a.call("get_billing_order", order)["state"]) == (500, "paid")
        a.verify()

    @pytest.mark.parametrize("state", ["failed", "expired"])
    def test_a_payment_that_fails_after_days(self, a: Buyer, state: str) -> None:
        order = a.order()
        failed = {"fact": "sale_failed", "session_id": a.own("cs_1"), "state": state, "at": MARCH.isoformat()}
        a.tell((MARCH.isoformat(), [failed]), a.session(MARCH, state="unpaid"))
        assert (a.left, a.call("get_billing_order", order)["state"]) == (0, state)
        a.verify()

    @pytest.mark.parametrize(
        "more",
        [
            *({"currency": "eur"}, {"amount_subtotal": 1}, {"amount_subtotal": 1500}, {"mode": "subscription"}),
            *({"currency": None}, {"amount_subtotal": None}, {"mode": "odd"}),
        ],
    )
    def test_what_was_not_ordered_is_a_mismatch(self, a: Buyer, more: dict[str, Any]) -> None:
        order = a.order()
        assert a.tell(a.session(MARCH, **more)) == ["needs_attention"]
        assert (a.left, a.call("get_billing_order", order)["state"]) == (0, "mismatch")
        a.verify()

    def test_a_payment_pays_one_order(self, a: Buyer) -> None:
        a.order()
        second = a.order(session="cs_2")
        assert a.tell(a.session(MARCH), a.session(MARCH, "cs_2")) == ["applied", "needs_attention"]
        assert (a.left, a.call("get_billing_order", second)["state"]) == (500, "mismatch")
        a.verify()

    def test_another_accounts_customer_is_a_mismatch(self, a: Buyer) -> None:
        order, other = a.order(), Buyer(a.database)
        assert a.tell(a.session(MARCH, customer_id=other.customer)) == ["needs_attention"]
        assert (a.left, a.call("get_billing_order", order)["state"]) == (0, "mismatch")

    def test_a_coupon_of_a_hundred_percent_buys_all(self, a: Buyer) -> None:
        a.order()
        free: dict[str, Any] = {
            "state": "no_payment_required",
            "payment_intent": None,
            "amount_total": 0,
            "amount_tax": 0,
        }
        a.tell(a.session(MARCH, **free), a.session(MARCH, **free))
        assert a.left == 500
        a.verify()

    def test_a_session_that_was_recovered_counts_for_the_same_order(self, a: Buyer) -> None:
        a.order()
        told = a.session(MARCH, "cs_2", recovered_from=a.own("cs_1"))
        assert a.tell(told, told) == ["applied", "applied"]
        assert a.tell(a.session(MARCH, "cs_3", recovered_from="cs_of_another")) == ["needs_attention"]
        assert a.tell(a.session(MARCH, payment_intent=a.own("pi_2"))) == ["needs_attention"], "paid twice"
        assert a.left == 500
        a.verify()

    def test_a_session_that_is_told_before_it_is_attached(self, a: Buyer) -> None:
        order = a.call("create_billing_order", "P500")["order_id"]
        assert a.tell(a.session(MARCH)) == ["waiting"]
        a.database.call("attach_billing_session", order, a.own("cs_1"))
        assert a.left == 500
        a.verify()

    def test_news_that_is_older_than_the_credits_live_leaves_nothing(self, a: Buyer) -> None:
        a.order()
        a.at(utc(6, 1, year=2028)).tell(a.session(MARCH))
        assert a.left == 10
        a.verify()

    def test_a_closed_account_is_for_a_person_to_look_at(self, own_database: Database) -> None:
        open_shop(own_database)
        a = Buyer(own_database).at(MARCH)
        a.order()
        own_database.run("delete from auth.users where id = %s", a.id)
        assert a.tell(a.session(MARCH)) == ["needs_attention"]

    def test_a_failed_effect_leaves_nothing_recorded(self, a: Buyer) -> None:
        a.order()
        a.database.run("alter table credits.debts rename to debts_gone")
        try:
            with pytest.raises(Exception, match="debts"):
                a.answer(a.session(MARCH), event=a.own("evt_once"))
        finally:
            a.database.run("alter table credits.debts_gone rename to debts")
        assert a.answer(a.session(MARCH), event=a.own("evt_once"))["outcome"] == "applied"
        assert a.left == 500
        a.verify()


class TestRefunds:
    def test_partial_refunds_void_and_leave_a_debt(self, spent: Buyer) -> None:
        a = spent
        a.tell(a.refund(MARCH, "re_1", 240))
        assert (a.left, a.debt) == (0, 50)
        a.tell(a.refund(MARCH, "re_2", 60), a.refund(utc(3, 2), "re_1", 240))
        assert (a.left, a.debt) == (0, 100)
        a.order(session="cs_2")
        a.tell(a.session(utc(3, 3), "cs_2", payment_intent=a.own("pi_2")))
        assert (a.left, a.debt) == (400, 0)
        a.verify()

    def test_a_refund_that_fails_lowers_the_debt(self, spent: Buyer) -> None:
        a = spent
        a.tell(a.refund(MARCH, "re_1", 240), a.refund(MARCH, "re_2", 60), a.refund(utc(3, 2), "re_2", 60, "failed"))
        assert (a.left, a.debt) == (0, 50)
        a.tell(a.refund(utc(3, 2), "re_1", 240, "failed"))
        assert (a.left, a.debt) == (150, 0)
        a.verify()

    def test_a_debt_that_was_paid_before_its_refund_failed_comes_back(self, spent: Buyer) -> None:
        a = spent
        a.tell(a.refund(MARCH, "re_1", 600))
        a.order(session="cs_2")
        a.tell(a.session(utc(3, 3), "cs_2", payment_intent=a.own("pi_2")))
        assert (a.left, a.debt) == (150, 0)
        a.tell(a.refund(utc(3, 4), "re_1", 600, "failed"))
        assert (a.left, a.debt) == (650, 0)
        a.verify()

    def test_what_was_revoked_by_hand_is_not_owed_as_well(self, spent: Buyer) -> None:
        a = spent
        [grant] = a.grants("top_up")
        a.call("revoke_grant", grant["id"], "support", amount=100)
        a.tell(a.refund(MARCH, "re_1", 240))
        assert (a.left, a.debt) == (0, 50)
        a.call("revoke_grant", grant["id"], "all of it")
        a.tell(a.refund(MARCH, "re_2", 360))
        assert (a.left, a.debt) == (0, 350)
        a.verify()

    def test_what_expired_unspent_is_owed_by_no_one(self, spent: Buyer) -> None:
        a = spent.at(utc(3, 2, year=2028))
        a.tell(a.refund(a.now, "re_1", 600))
        assert (a.left, a.debt) == (10, 350)
        a.verify()

    @pytest.mark.parametrize("order", list(permutations(range(3))))
    def test_a_refund_of_tax_alone_takes_nothing(self, a: Buyer, order: tuple[int, ...]) -> None:
        a.order()
        told = [a.session(MARCH), a.refund(MARCH, "re_1", 100), a.note(MARCH, "cn_1", 100, 0, "re_1")]
        a.tell(*(told[n] for n in order))
        assert (a.left, a.debt) == (500, 0)
        assert a.database.value("select count(*) from credits.billing_inbox where outcome = 'waiting'") == 0
        a.verify()

    def test_every_order_of_payment_and_refunds_ends_the_same(self, database: Database) -> None:
        states = set()
        for order in permutations(range(4)):
            a = Buyer(database).at(MARCH)
            a.order()
            told = [
                *(a.session(MARCH), a.refund(MARCH, "re_1", 240), a.refund(MARCH, "re_2", 60)),
                a.refund(utc(3, 2), "re_2", 60, "failed"),
            ]
            a.tell(*(told[n] for n in order), *(told[n] for n in order))
            states.add((a.left, a.debt, tuple(g["lapsed"] for g in a.grants("top_up"))))
            a.verify()
        assert states == {(10 + 300, 0, (200,))}

    def test_money_that_goes_back_in_every_way_ends_the_same_in_every_order(self, database: Database) -> None:
        """Refunds of more than was paid, in another currency, that fail; a credit note for nothing; a dispute."""
        states = set()
        for _ in range(100 if LONG else 6):
            a = Buyer(database).at(MARCH)
            a.order()
            told = [
                *(a.session(MARCH), a.refund(MARCH, "re_1", 240), a.refund(MARCH, "re_2", 500)),
                *(a.refund(MARCH, "re_3", 60, currency="eur"), a.refund(utc(3, 3), "re_2", 500, "failed")),
                *(a.note(utc(3, 2), "cn_1", 300, 250), a.dispute(utc(3, 4), "needs_response")),
                *(a.dispute(utc(3, 5), "lost"), a.dispute(utc(3, 6), "won")),
            ]
            a.tell(*sample(told, len(told)), *sample(told, len(told)))
            states.add((a.left, a.debt, tuple((g["lapsed"], g["frozen_reason"]) for g in a.grants("top_up"))))
            a.verify()
        assert states == {(10 + 300, 0, ((200, None),))}

    def test_a_refund_in_another_currency_takes_nothing_and_is_for_a_person(self, own_database: Database) -> None:
        open_shop(own_database)
        a = Buyer(own_database).at(MARCH)
        a.order()
        refund = a.refund(MARCH, "re_1", 600, currency="eur")
        assert a.tell(refund, a.session(MARCH)) == ["waiting", "applied"]
        assert (a.left, a.debt) == (510, 0)
        [found] = own_database.call("reconcile_billing")["findings"]
        assert found["finding"] == "event_needs_attention"
        assert "another currency" in found["note"]
        assert own_database.call("metrics_revenue", MARCH, utc(4, 1), include_test=True)["rows"][0]["refunded"] == 0
        a.tell(a.refund(MARCH, "re_2", 300))
        assert (a.left, a.debt) == (260, 0)
        a.verify()

    def test_what_a_plan_was_paid_with_takes_the_share_of_what_is_left(self, a: Buyer) -> None:
        a.tell(
            a.seen(MARCH),
            a.invoice(MARCH, "in_1", ("price_st", 2000, MARCH, APRIL), intent="pi_1", tax=400, total=2400),
        )
        a.call("consume_credits", "message", 40)
        a.tell(a.refund(MARCH, "re_1", 1200))
        assert (a.left, a.debt, a.plan, a.covered) == (30, 0, ("starter", "active"), APRIL)
        a.tell(a.refund(MARCH, "re_2", 1200), a.refund(MARCH, "re_1", 1200))
        assert (a.left, a.debt) == (0, 0)
        assert a.at(APRIL).left == 100
        a.verify()

    def refunded(self, a: Buyer) -> list[str]:
        found = a.database.call("reconcile_billing")["findings"]
        return [one["id"] for one in found if (one["finding"], one["account_id"]) == ("refunded", str(a.id))]

    @pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (1, 3, 0, 2)])
    def test_a_year_that_is_given_back_goes_on_until_it_is_canceled(self, a: Buyer, order: tuple[int, ...]) -> None:
        year, may = utc(3, 1, year=2028), utc(5, 10)
        told = [
            a.seen(MARCH, price="price_proY", end=year),
            a.invoice(MARCH, "in_1", ("price_proY", 100000, MARCH, year), intent="pi_1", tax=20000, total=120000),
            a.refund(utc(5, 2), "re_1", 20000),
            a.refund(may, "re_2", 100000),
        ]
        if order[0]:
            a.at(utc(5, 11)).tell(*(told[n] for n in order))
        else:
            a.tell(told[0], told[1])
            a.at(utc(5, 2)).tell(told[2])
            assert (a.left, a.covered) == (ceil(500 * 5 / 6) - 1, year), "a part takes the share of what is left"
            a.at(utc(5, 11)).tell(told[3])
        a.at(utc(5, 12)).tell(a.refund(a.now, "re_2", 100000))
        assert (a.left, a.debt, a.covered, a.plan) == (0, 0, year, ("pro", "active"))
        assert [a.at(utc(month, 1)).left for month in (6, 7)] == [500, 500]
        a.tell(a.refund(a.now, "re_1", 20000))
        assert a.left == 500, "what was given back in May takes nothing of July"
        assert self.refunded(a) == [a.own("sub_1")]
        a.at(utc(7, 2)).tell(a.refund(a.now, "re_2", 100000, "failed"))
        assert self.refunded(a) == [], "it was not given back after all"
        a.tell(a.refund(a.now, "re_3", 100000))
        assert self.refunded(a) == [a.own("sub_1")]
        a.at(utc(7, 3)).tell(a.seen(a.now, "canceled", "price_proY", start=MARCH, end=year, ended_at=a.now))
        assert self.refunded(a) == []
        a.verify()

    @pytest.mark.parametrize("how", ["refund", "dispute"])
    def test_an_upgrade_that_is_given_back_takes_its_part_of_the_period(self, a: Buyer, how: str) -> None:
        middle = utc(3, 16, 12)
        a.tell(a.seen(MARCH), a.invoice(MARCH, "in_1", ("price_st", 2000, MARCH, APRIL)))
        lines = [("price_st", -1000, middle, APRIL, True), ("price_pro", 5000, middle, APRIL, True)]
        a.at(middle).tell(
            a.seen(middle, price="price_pro"), a.invoice(middle, "in_3", *lines, proration_at=middle, intent="pi_1")
        )
        assert a.left == 300
        if how == "refund":
            a.tell(a.refund(middle, "re_1", 2000))
            assert a.left == 200, "half of it"
            a.tell(a.refund(middle, "re_2", 2000))
        else:
            a.tell(a.dispute(middle, "needs_response", 4000))
            assert a.left == 0
            a.tell(a.dispute(utc(3, 17), "lost", 4000))
        assert (a.left, a.debt, a.plan[0]) == (100, 0, "pro")
        a.verify()

    def test_a_refund_of_an_invoice_waits_for_what_it_paid(self, a: Buyer) -> None:
        assert a.tell(a.refund(MARCH, "re_1", 1000)) == ["waiting"]
        a.tell(a.seen(MARCH), a.invoice(MARCH, "in_1", ("price_st", 2000, MARCH, APRIL)))
        linked = {"fact": "payment_linked", "invoice_id": a.own("in_1"), "payment_intent": a.own("pi_1")}
        a.tell((MARCH.isoformat(), [linked]))
        assert a.left == 50
        assert a.database.call("list_billing_events", "waiting")["events"] == []
        a.verify()


class TestDisputes:
    @pytest.mark.parametrize("after", [0, 1])
    @pytest.mark.parametrize(("status", "left", "debt"), [("won", 150, 0), ("lost", 0, 350)])
    def test_a_dispute_freezes_until_it_is_decided(
        self, spent: Buyer, status: str, left: int, debt: int, after: int
    ) -> None:
        a = spent
        told = [a.dispute(MARCH, "needs_response"), a.dispute(utc(3, 9), status)]
        if not after:
            a.tell(told[0])
            assert (a.left, a.debt) == (0, 0)
        a.tell(told[1], told[0])
        assert (a.left, a.debt) == (left, debt)
        a.verify()

    def test_one_in_another_currency_that_is_lost_takes_all_of_the_payment(self, spent: Buyer) -> None:
        a = spent
        assert a.tell(a.dispute(MARCH, "needs_response", 540, currency="eur")) == ["applied"]
        assert (a.left, a.debt) == (0, 0)
        assert a.tell(a.dispute(utc(3, 9), "lost", 540, currency="eur")) == ["needs_attention"]
        assert (a.left, a.debt) == (0, 350)
        a.verify()

    @pytest.mark.parametrize("status", ["warning_needs_response", "warning_closed", "prevented"])
    def test_warnings_change_no_credits(self, spent: Buyer, status: str) -> None:
        assert spent.tell(spent.dispute(MARCH, status)) == ["applied"]
        assert (spent.left, spent.debt) == (150, 0)
        spent.verify()

    def test_a_refund_and_a_lost_dispute_take_no_more_than_was_bought(self, spent: Buyer) -> None:
        spent.tell(spent.refund(MARCH, "re_1", 600), spent.dispute(MARCH, "lost"))
        assert (spent.left, spent.debt) == (0, 350)
        spent.verify()

    def test_a_dispute_about_a_plan_freezes_its_period(self, a: Buyer) -> None:
        a.tell(a.seen(MARCH), a.invoice(MARCH, "in_1", ("price_st", 2000, MARCH, APRIL), intent="pi_1"))
        a.tell(a.dispute(MARCH, "needs_response", 2000))
        assert a.left == 0
        a.tell(a.dispute(utc(3, 9), "won", 2000))
        assert a.left == 100
        a.verify()
