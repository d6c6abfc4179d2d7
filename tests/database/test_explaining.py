"""An operation is explained by what is its own."""

from __future__ import annotations

from uuid import UUID, uuid4

from tests.support.database import Database
from tests.support.errors import raises
from tests.support.timed import Timed


def test_an_operation_is_explained_by_what_is_its_own(database: Database, user: UUID) -> None:
    operations = [database.call("consume_credits", user, "message", 2)["operation_id"] for _ in range(2)]
    for operation in operations:
        database.call("refund_credits", user, operation, 1)
    hold = database.call("reserve_credits", user, "message", 1)
    explained = database.call("explain_operation", user, operations[0])
    assert (explained["refunded"], [r["amount"] for r in explained["refunds"]]) == (1, [1])
    assert explained["reservation"] is None
    reservation = database.call("explain_operation", user, hold["operation_id"])["reservation"]
    assert (reservation["reservation_id"], reservation["status"]) == (hold["reservation_id"], "open")


def test_an_operation_of_nobody_is_not_found_where_there_are_others(database: Database) -> None:
    user = Timed(database)
    user.call("reserve_credits", "message", 1)
    user.call("consume_credits", "message", 100)
    with raises("operation_not_found", "PT404"):
        user.call("explain_operation", uuid4())
