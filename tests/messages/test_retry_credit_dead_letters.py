"""A dead letter is sent again under the id that it had."""

from __future__ import annotations

from uuid import uuid4

from tests.messages.support import add_webhook, announce, claim, settle
from tests.support.database import Database


def test_one_or_all_are_sent_again_also_to_an_endpoint_that_was_gone(own_database: Database) -> None:
    user = own_database.new_user()
    add_webhook(own_database, user)
    first, second, third = (str(announce(own_database, user, "credits.renewed")) for _ in range(3))
    lease = uuid4()
    [claimed] = claim(own_database, lease=lease)
    settle(own_database, lease, claimed, "dead", "gone")
    assert own_database.call("retry_credit_dead_letters", user, first)["retried"] == 1
    lease = uuid4()
    [again] = claim(own_database, lease=lease)
    assert [(m["id"], m["attempts"]) for m in again["messages"]] == [(first, 0)]
    settle(own_database, lease, again, "delivered")
    assert own_database.call("retry_credit_dead_letters", user, first)["retried"] == 0
    assert own_database.call("retry_credit_dead_letters", user)["retried"] == 2
    [rest] = claim(own_database)
    assert [m["id"] for m in rest["messages"]] == [second, third]
