"""What waits or needs a person is listed until it is settled."""

from __future__ import annotations

from tests.billing.shop import MARCH, Buyer, open_shop
from tests.support.database import Database


def test_events_are_listed_with_what_they_wait_for(own_database: Database) -> None:
    open_shop(own_database)
    a = Buyer(own_database).at(MARCH)
    a.tell(a.session(MARCH, "cs_unknown"), a.seen(MARCH, price="price_zzz"), a.seen(MARCH, sub="sub_2"))
    events = own_database.call("list_billing_events")["events"]
    assert [(e["outcome"], e["waits_for"]) for e in events] == [
        *(("waiting", [f"session:{a.own('cs_unknown')}"]), ("needs_attention", [])),
    ]
    assert len(own_database.call("list_billing_events", "needs_attention", 1)["events"]) == 1


def test_a_fact_that_is_not_whole_waits_until_it_is(own_database: Database) -> None:
    open_shop(own_database)
    a = Buyer(own_database).at(MARCH)
    name = a.own("evt_part")
    assert a.answer(a.seen(MARCH, items_incomplete=True), event=name)["waits_for"] == [f"fetch:{a.own('sub_1')}"]
    assert a.plan[0] == "free"
    assert a.answer(a.seen(MARCH), event=name)["outcome"] == "applied"
    assert a.plan[0] == "starter"
