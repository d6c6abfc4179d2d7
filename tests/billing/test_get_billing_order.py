"""An order is shown to its account alone."""

from __future__ import annotations

from uuid import UUID

from tests.support.database import Database
from tests.support.errors import raises


def test_an_order_of_another_account_is_none(database: Database, user: UUID) -> None:
    order = database.call("create_billing_order", user, "message_100")["order_id"]
    assert database.call("get_billing_order", user, order)["state"] == "open"
    with raises("invalid_argument", "PT422"):
        database.call("get_billing_order", database.new_user(), order)
