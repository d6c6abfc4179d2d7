"""After an endpoint was deleted nothing is sent to it, also not what waited."""

from __future__ import annotations

from tests.messages.support import add_webhook, announce, claim, kinds
from tests.support.database import Database
from tests.support.errors import raises


def test_what_waits_is_dropped_and_a_worker_that_has_it_is_told(own_database: Database) -> None:
    user = own_database.new_user()
    made = add_webhook(own_database, user)
    announce(own_database, user)
    own_database.call("tend_messages")
    own_database.call("delete_credit_webhook", user, made["endpoint_id"])
    announce(own_database, user)
    assert kinds(claim(own_database)) == []
    with raises("endpoint_not_found"):
        own_database.call("delete_credit_webhook", user, made["endpoint_id"])
    assert own_database.value("select count(*) from credits.webhook_secrets") == 0
