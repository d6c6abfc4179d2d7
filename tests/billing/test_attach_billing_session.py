"""A session belongs to one order."""

from __future__ import annotations

from uuid import UUID

from tests.support.database import Database
from tests.support.errors import raises


def test_a_session_of_another_order_is_refused(database: Database, user: UUID) -> None:
    first, second = (database.call("create_billing_order", user, "message_100")["order_id"] for _ in range(2))
    for _ in range(2):
        assert database.call("attach_billing_session", first, "cs_1")["session_id"] == "cs_1"
    with raises("invalid_argument", "PT422"):
        database.call("attach_billing_session", second, "cs_1")
    assert database.call("attach_billing_session", first, "cs_2")["session_id"] == "cs_2"
