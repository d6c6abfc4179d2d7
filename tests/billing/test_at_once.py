"""Two pieces of news about one payment at once: each sees the other, whichever is first."""

from __future__ import annotations

from threading import Barrier, Thread

import pytest

from tests.billing.shop import APRIL, MARCH, Buyer, Told, open_shop
from tests.support.database import Database


@pytest.fixture(scope="module", autouse=True)
def _shop(database: Database) -> None:
    open_shop(database)


def tell_at_once(a: Buyer, *told: Told) -> list[str]:
    """Each on a connection of its own, begun at the same moment."""
    outcomes, barrier = [""] * len(told), Barrier(len(told))

    def tell(n: int) -> None:
        with a.database.connect() as connection:
            barrier.wait()
            [outcomes[n]] = a.tell(told[n], connection=connection)

    threads = [Thread(target=tell, args=(n,)) for n in range(len(told))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def test_a_payment_and_its_refunds(database: Database) -> None:
    for _ in range(8):
        a = Buyer(database).at(MARCH)
        a.order()
        told = [a.session(MARCH), a.refund(MARCH, "re_1", 300), a.refund(MARCH, "re_2", 300), a.dispute(MARCH, "won")]
        assert "" not in tell_at_once(a, *told)
        assert (a.left, a.debt) == (10, 0)
        assert database.value("select count(*) from credits.billing_inbox where outcome = 'waiting'") == 0
        a.verify()


def test_a_first_purchase(database: Database) -> None:
    for _ in range(6):
        a = Buyer(database).at(MARCH)
        told = [
            *(a.subscribed(MARCH), a.seen(MARCH, "incomplete"), a.seen(MARCH)),
            a.invoice(MARCH, "in_1", ("price_st", 2000, MARCH, APRIL)),
        ]
        assert tell_at_once(a, *told) == ["applied"] * 4
        assert (a.plan, a.left, a.covered) == (("starter", "active"), 100, APRIL)
        a.verify()


def test_a_purchase_beside_spends_and_a_top_up(database: Database) -> None:
    a = Buyer(database).at(MARCH)
    a.call("set_auto_top_up", "message", 10, "P500", 3)
    a.order()

    def spend() -> None:
        with database.connect() as connection:
            for _ in range(10):
                database.call("consume_credits", a.id, "message", connection=connection)

    threads = [Thread(target=spend) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert tell_at_once(a, *[a.session(MARCH) for _ in range(3)]) == ["applied"] * 3
    for thread in threads:
        thread.join()
    assert a.left is not None
    assert a.left >= 480
    assert database.value("select count(*) from credits.billing_orders where account_id = %s", a.id) == 2
    a.verify()
