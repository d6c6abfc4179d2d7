"""A customer belongs to one account, in one mode."""

from __future__ import annotations

from uuid import UUID

from tests.support.database import Database
from tests.support.errors import raises


def test_an_account_may_have_several_customers_and_the_last_one_is_used(database: Database, user: UUID) -> None:
    assert database.call("link_billing_customer", user, "cus_1")["replayed"] is False
    database.call("link_billing_customer", user, "cus_2")
    assert database.call("link_billing_customer", user, "cus_1")["replayed"] is True
    assert database.query(
        "select customer_id from credits.billing_customers where account_id = %s and is_default", user
    ) == [("cus_2",)]


def test_a_customer_of_another_account_or_mode_is_refused(database: Database, user: UUID) -> None:
    database.call("link_billing_customer", user, "cus_3")
    with raises("invalid_argument", "PT422"):
        database.call("link_billing_customer", database.new_user(), "cus_3")
    with raises("invalid_argument", "PT422"):
        database.call("link_billing_customer", user, "cus_3", livemode=True)
