"""What does not agree is found."""

from __future__ import annotations

from tests.billing.shop import APRIL, MARCH, Buyer, open_shop, utc
from tests.support.database import Database


def findings(a: Buyer) -> set[str]:
    return {row["finding"] for row in a.database.call("reconcile_billing")["findings"]}


def test_a_subscription_that_no_payment_covers_is_found_after_a_day(own_database: Database) -> None:
    open_shop(own_database)
    a = Buyer(own_database).at(MARCH)
    a.tell(a.seen(MARCH), a.invoice(MARCH, "in_1", ("price_st", 2000, MARCH, APRIL)))
    assert findings(a.at(APRIL)) == set()
    assert findings(a.at(utc(4, 2, 1))) == {"uncovered"}
    found = {row["code"]: row for row in own_database.call("diagnose")["findings"]}
    assert found["subscriptions_uncovered"]["severity"] == "medium"
    a.tell(a.invoice(APRIL, "in_2", ("price_st", 2000, APRIL, utc(5, 1))))
    assert findings(a) == set()


def test_paid_without_a_grant_and_a_grant_without_a_payment_are_found(own_database: Database) -> None:
    open_shop(own_database)
    a = Buyer(own_database).at(MARCH).bought()
    assert findings(a) == set()
    own_database.run("update credits.billing_orders set grant_id = null")
    assert findings(a) == {"paid_without_grant", "grant_without_payment"}


def test_events_and_orders_that_need_a_person_are_found(own_database: Database) -> None:
    open_shop(own_database)
    a = Buyer(own_database).at(MARCH)
    a.order()
    a.tell(a.session(MARCH, currency="eur"), a.session(MARCH, "cs_9"))
    assert findings(a) == {"order_mismatch", "event_needs_attention", "event_waiting"}
