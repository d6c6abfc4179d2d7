"""For a day after a rotation both secrets sign."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from standardwebhooks import Webhook

from tests.messages.support import add_webhook, announce, claim
from tests.support.database import Database
from tests.support.errors import raises


def verify(secret: str, sent: dict[str, Any]) -> None:
    Webhook(secret).verify(
        sent["body"],
        {
            "webhook-id": sent["id"],
            "webhook-timestamp": str(sent["timestamp"]),
            "webhook-signature": sent["signature"],
        },
    )


def sent(database: Database, user: UUID) -> dict[str, Any]:
    announce(database, user)
    database.run("update credits.channels set lease_id = null, leased_until = null")
    [claimed] = [c for c in claim(database) if c["kind"] == "webhook"]
    message: dict[str, Any] = claimed["messages"][-1]
    return message


def test_both_secrets_sign_for_a_day_and_the_one_before_them_does_not(own_database: Database) -> None:
    user = own_database.new_user()
    first = add_webhook(own_database, user)
    second = own_database.call("rotate_credit_webhook_secret", user, first["endpoint_id"])
    message = sent(own_database, user)
    verify(first["secret"], message)
    verify(second["secret"], message)
    third = own_database.call("rotate_credit_webhook_secret", user, first["endpoint_id"])
    message = sent(own_database, user)
    verify(third["secret"], message)
    verify(second["secret"], message)
    with pytest.raises(Exception, match="No matching signature"):
        verify(first["secret"], message)
    own_database.run("update credits.webhook_secrets set expires_at = now() where expires_at is not null")
    message = sent(own_database, user)
    verify(third["secret"], message)
    with pytest.raises(Exception, match="No matching signature"):
        verify(second["secret"], message)


def test_nobody_rotates_for_others(database: Database) -> None:
    made = add_webhook(database, database.new_user())
    with raises("endpoint_not_found"):
        database.call("rotate_credit_webhook_secret", database.new_user(), made["endpoint_id"])
