"""Who waits while an account is closed finds it closed: nothing is booked on it any more, and no word is written."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.support.database import Database, call
from tests.support.races import wait_until_blocked

Ids = dict[str, Any]
Operation = Callable[[psycopg.Connection[Any], UUID, Ids], Any]

ITEMS = [{"credit_type": "message", "description": "Bob's page"}]

OPERATIONS: dict[str, Operation] = {
    "consume": lambda c, u, ids: call(c, "consume_credits", u, "message", 1, "Bob's page"),
    "consume with a key": lambda c, u, ids: call(c, "consume_credits", u, "message", 1, "Bob's page", "bob"),
    "a denial": lambda c, u, ids: call(c, "consume_credits", u, "message", 1000, "Bob's page"),
    "a batch": lambda c, u, ids: call(c, "consume_credits_batch", u, ITEMS),
    "reserve": lambda c, u, ids: call(c, "reserve_credits", u, "message", 1, "Bob's page"),
    "capture": lambda c, u, ids: call(c, "capture_credits", u, ids["hold"], 1, "Bob's page"),
    "release": lambda c, u, ids: call(c, "release_credits", u, ids["hold"], "told by Bob"),
    "refund": lambda c, u, ids: call(c, "refund_credits", u, ids["spent"], 1, "told by Bob", "bob"),
    "grant": lambda c, u, ids: call(c, "grant_credits", u, "message", 1, "goodwill", "for Bob", idempotency_key="bob"),
    "revoke": lambda c, u, ids: call(c, "revoke_grant", u, ids["grant"], "told by Bob"),
    "change_plan": lambda c, u, ids: call(c, "change_plan", u, "pro", idempotency_key="bob"),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_nothing_is_booked_on_an_account_that_was_closed_meanwhile(database: Database, name: str) -> None:
    user = database.new_user()
    ids = {
        "spent": database.call("consume_credits", user, "message", 2)["operation_id"],
        "hold": database.call("reserve_credits", user, "message", 2)["reservation_id"],
        "grant": database.call("grant_credits", user, "message", 5)["grant_id"],
    }
    outcome: list[Any] = []

    with database.connect(autocommit=False) as leaving, database.connect() as waiting:
        call(leaving, "forget_account", user)

        def operate() -> None:
            try:
                outcome.append(OPERATIONS[name](waiting, user, ids))
            except psycopg.Error as error:
                outcome.append(error)

        thread = threading.Thread(target=operate, daemon=True)
        thread.start()
        wait_until_blocked(database, waiting)
        leaving.commit()
        thread.join(30)

    assert isinstance(outcome[0], psycopg.Error), outcome
    assert outcome[0].diag.message_primary == "account_not_found"
    told = str(database.call("export_account", user)["tables"])
    assert "Bob" not in told
    assert "bob" not in told
    database.verify(user)
