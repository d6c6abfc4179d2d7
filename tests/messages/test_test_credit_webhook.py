"""A test delivery goes to one endpoint and to nobody else."""

from __future__ import annotations

from tests.messages.support import add_webhook, claim
from tests.support.database import Database


def test_one_endpoint_gets_it(own_database: Database) -> None:
    user = own_database.new_user()
    made = add_webhook(own_database, user)
    add_webhook(own_database, user, kinds="{plan.changed}")
    answer = own_database.call("test_credit_webhook", user, made["endpoint_id"])
    [claimed] = claim(own_database)
    assert claimed["channel"] == f"webhook:{made['endpoint_id']}"
    assert [(m["id"], m["kind"]) for m in claimed["messages"]] == [(answer["message_id"], "webhook.test")]
    assert own_database.call("list_notifications", user)["rows"] == []
