"""How an account pays."""

from __future__ import annotations

from tests.billing.shop import APRIL, MARCH, Buyer, open_shop, utc
from tests.support.database import Database


def test_an_account_shows_customer_subscription_and_what_it_owes(own_database: Database) -> None:
    open_shop(own_database)
    a = Buyer(own_database).at(MARCH)
    assert a.call("get_billing_account")["is_subscribed"] is False
    a.tell(a.seen(MARCH, cancel_at_period_end=True), a.invoice(MARCH, "in_1", ("price_st", 2000, MARCH, APRIL)))
    a.bought()
    a.call("consume_credits", "message", 600)
    a.tell(a.refund(MARCH, "re_1", 600))
    told = a.call("get_billing_account")
    assert (told["customer_id"], told["may_buy"], told["is_subscribed"]) == (a.customer, True, True)
    assert told["debts"] == [{"credit_type": "message", "amount": 500}]
    [subscription] = told["subscriptions"]
    assert (subscription["plan_id"], subscription["status"]) == ("starter", "active")
    assert subscription["cancel_at"].startswith("2027-04-01")
    assert a.call("get_billing_account", livemode=True)["customer_id"] is None


def test_a_subscription_that_has_ended_is_not_listed(own_database: Database) -> None:
    open_shop(own_database)
    a = Buyer(own_database).at(MARCH)
    a.tell(a.seen(MARCH), a.seen(utc(3, 1, 1), "canceled", ended_at=MARCH))
    assert a.call("get_billing_account")["subscriptions"] == []
