"""An endpoint gets what is announced from then on, signed so that the receiver can check it."""

from __future__ import annotations

import base64

import pytest
from standardwebhooks import Webhook

from tests.messages.support import add_webhook, announce, claim, kinds
from tests.support.database import Database
from tests.support.errors import raises
from tests.support.people import acting_as, new_workspace


def test_the_signature_is_that_of_standard_webhooks(own_database: Database) -> None:
    user = own_database.new_user()
    made = add_webhook(own_database, user)
    assert len(base64.b64decode(made["secret"].removeprefix("whsec_"))) == 48
    message = announce(own_database, user, "credits.level", '{"level": 80, "name": "Größe"}')
    [claimed] = [c for c in claim(own_database) if c["kind"] == "webhook"]
    [sent] = claimed["messages"]
    headers = {
        "webhook-id": sent["id"],
        "webhook-timestamp": str(sent["timestamp"]),
        "webhook-signature": sent["signature"],
    }
    assert sent["id"] == str(message)
    body = Webhook(made["secret"]).verify(sent["body"], headers)
    assert (body["type"], body["data"]["level"], body["data"]["account_id"]) == ("credits.level", 80, str(user))
    with pytest.raises(Exception, match="No matching signature"):
        Webhook(made["secret"]).verify(sent["body"].replace("80", "81"), headers)


def test_an_endpoint_gets_the_kinds_that_it_asked_for_and_nothing_of_before(own_database: Database) -> None:
    user = own_database.new_user()
    announce(own_database, user, "credits.level")
    add_webhook(own_database, user, kinds="{plan.changed}")
    for kind in ("credits.level", "plan.changed", "credits.renewed"):
        announce(own_database, user, kind)
    assert kinds(claim(own_database)) == ["plan.changed"]


def test_the_secret_is_told_once_and_no_api_role_can_read_it(database: Database) -> None:
    user = database.new_user()
    made = add_webhook(database, user)
    row = database.value("select to_jsonb(w) from public.credit_webhooks w where w.account_id = %s", user)
    assert "secret" not in str(row)
    stored = database.value("select to_jsonb(s)::text from credits.webhook_secrets s where s.account_id = %s", user)
    assert base64.b64decode(made["secret"].removeprefix("whsec_")).hex() not in stored
    for role in ("authenticated", "service_role"):
        with acting_as(database, role, user) as connection, pytest.raises(Exception, match="permission denied"):
            connection.execute("select * from credits.webhook_secrets")


def test_members_of_a_workspace_may_neither_add_nor_read(database: Database) -> None:
    owner, member = database.new_user(), database.new_user()
    team = new_workspace(database, owner, member)
    add_webhook(database, owner, workspace_id=team)
    with raises("forbidden"):
        add_webhook(database, member, workspace_id=team)
    for person, rows in ((owner, 1), (member, 0)):
        with acting_as(database, "authenticated", person) as connection:
            assert len(connection.execute("select url from public.credit_webhooks").fetchall()) == rows


def test_an_account_has_twenty_endpoints_at_most(database: Database) -> None:
    user = database.new_user()
    for _ in range(20):
        add_webhook(database, user)
    with raises("invalid_argument"):
        add_webhook(database, user)
