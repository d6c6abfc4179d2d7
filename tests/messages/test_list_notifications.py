"""The newest first, over all accounts of a person, and how many are unread."""

from __future__ import annotations

from tests.messages.support import announce
from tests.support.database import Database
from tests.support.people import new_workspace


def test_ones_own_and_those_of_ones_workspaces(database: Database) -> None:
    user, member = database.new_user(), database.new_user()
    team = new_workspace(database, user, member)
    announce(database, user, "credits.renewed")
    announce(database, team, "credits.level")
    answer = database.call("list_notifications", user)
    assert [(r["kind"], r["workspace"], r["read_at"]) for r in answer["rows"]] == [
        ("credits.level", "Team", None),
        ("credits.renewed", None, None),
    ]
    assert answer["unread"] == 2
    assert len(database.call("list_notifications", user, 1)["rows"]) == 1
    assert database.call("list_notifications", member)["rows"] == []
