"""Dead letters are the account's own."""

from __future__ import annotations

from uuid import uuid4

from tests.messages.support import add_webhook, announce, claim, settle
from tests.support.database import Database
from tests.support.errors import raises
from tests.support.people import new_workspace


def test_an_account_sees_its_own_and_admins_their_workspaces(own_database: Database) -> None:
    owner, member = own_database.new_user(), own_database.new_user()
    team = new_workspace(own_database, owner, member)
    made = add_webhook(own_database, owner, workspace_id=team)
    message = announce(own_database, team, "credits.renewed")
    lease = uuid4()
    [claimed] = claim(own_database, lease=lease)
    settle(own_database, lease, claimed, "dead", error="it answered 503")
    [row] = own_database.call("list_credit_dead_letters", owner, workspace_id=team)["rows"]
    assert (row["message_id"], row["endpoint_id"], row["channel"]) == (str(message), made["endpoint_id"], "webhook")
    assert own_database.call("list_credit_dead_letters", owner)["rows"] == []
    with raises("forbidden"):
        own_database.call("list_credit_dead_letters", member, workspace_id=team)
