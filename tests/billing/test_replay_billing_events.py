"""The inbox again: nothing that took effect does so twice."""

from __future__ import annotations

from tests.billing.shop import APRIL, MARCH, Buyer, open_shop, utc
from tests.support.database import Database


def test_the_inbox_again_changes_nothing(own_database: Database) -> None:
    open_shop(own_database)
    a = Buyer(own_database).at(MARCH)
    a.tell(a.seen(MARCH), a.invoice(MARCH, "in_1", ("price_st", 2000, MARCH, APRIL)), a.refund(MARCH, "re_0", 5))
    a.bought(utc(3, 1, 1))
    before = a.state()
    for _ in range(2):
        assert own_database.call("replay_billing_events", MARCH)["outcomes"] == {"replayed": 4}
    assert a.state() == before
    a.verify()


def test_bodies_are_erased_when_their_retention_is_over(own_database: Database) -> None:
    open_shop(own_database)
    a = Buyer(own_database).at(MARCH)
    a.tell(a.seen(MARCH), body={"id": "evt", "data": "somebody's words"})
    own_database.call("replay_billing_events")
    assert own_database.value("select count(*) from credits.billing_inbox where body is not null") == 1
    own_database.run("update credits.settings set billing_body_retention = '0'")
    own_database.call("replay_billing_events")
    assert own_database.value("select count(*) from credits.billing_inbox where body is not null") == 0
