"""Of a person who is forgotten, what a provider said goes; what was paid stays."""

from __future__ import annotations

from tests.billing.shop import MARCH, Buyer, open_shop
from tests.support.database import Database


def test_words_and_links_go_and_figures_stay(database: Database) -> None:
    open_shop(database)
    a, other = Buyer(database).at(MARCH), Buyer(database).at(MARCH)
    for one in (a, other):
        one.bought()
        failed = one.failed(MARCH, "in_9", reason="card of Ann", url="https://invoice.example/ann")
        one.tell(failed, body={"customer_email": "ann@example.com"})
        database.run("update credits.billing_orders set note = 'Ann rang' where account_id = %s", one.id)
    database.run("delete from auth.users where id = %s", a.id)
    a.call("forget_account")

    def kept(one: Buyer) -> str:
        told = database.value(
            "select string_agg(concat(b.body, b.facts), ' ') from credits.billing_inbox b where b.facts::text like %s",
            f"%{one.mark}%",
        )
        reasons = database.value(
            "select string_agg(concat(reason), ' ') from credits.billing_failures where customer_id = %s", one.customer
        )
        notes = database.value(
            "select string_agg(concat(note), ' ') from credits.billing_orders where account_id = %s", one.id
        )
        return f"{told} {reasons} {notes}"

    for word in ("ann@example.com", "https://invoice.example/ann", "card of Ann", "Ann rang"):
        assert word not in kept(a)
        assert word in kept(other), "of nobody else"
    assert str(a.own("pi_1")) in kept(a)
    assert database.value("select sum(paid_amount)::int from credits.billing_orders where account_id = %s", a.id) == 600
