"""Levels are the account's: shares used and amounts left; what was told stays told."""

from __future__ import annotations

from tests.messages.test_levels import levels
from tests.support.database import Database
from tests.support.errors import raises
from tests.support.people import acting_as, new_workspace


def test_levels_of_ones_own(database: Database) -> None:
    user = database.new_user()
    answer = database.call("set_credit_alerts", user, "message", "{90,20,20}", "{3}")
    [shown] = [a for a in answer["alerts"] if a["credit_type"] == "message"]
    assert (shown["percents"], shown["amounts"], shown["is_default"]) == ([20, 90], [3], False)
    seen = []
    for _ in range(10):
        database.call("consume_credits", user, "message")
        seen.append(levels(database, user))
    assert seen[0] == []
    assert seen[1] == seen[5] == [20]
    assert seen[6] == [20, 3]  # three are left
    assert seen[9] == [20, 3, 90]
    units = database.query("select data ->> 'unit' from credits.outbox where account_id = %s order by n", user)
    assert units == [("percent",), ("credits",), ("percent",)]


def test_what_was_told_stays_told_and_what_is_beyond_it_is_told(database: Database) -> None:
    user = database.new_user()
    database.call("consume_credits", user, "message", 6)
    database.call("set_credit_alerts", user, "message", "{40,50,60,90}")
    database.call("consume_credits", user, "message")
    assert levels(database, user) == [50, 60]
    database.call("set_credit_alerts", user, "message", None)
    database.call("consume_credits", user, "message")
    assert levels(database, user) == [50, 60, 80]


def test_empty_lists_warn_of_nothing(database: Database) -> None:
    user = database.new_user()
    database.call("set_credit_alerts", user, "message", "{}")
    database.call("consume_credits", user, "message", 10)
    assert levels(database, user) == []


def test_people_set_their_own_and_admins_the_workspaces(database: Database) -> None:
    owner, member, other = (database.new_user() for _ in range(3))
    team = new_workspace(database, owner, member)
    with acting_as(database, "authenticated", owner) as connection:
        for account in (None, team):
            database.call("set_credit_alerts", owner, "message", "{10}", workspace_id=account, connection=connection)
    with acting_as(database, "authenticated", member) as connection, raises("forbidden"):
        database.call("set_credit_alerts", member, "message", "{10}", workspace_id=team, connection=connection)
    for workspace in (None, team):
        with acting_as(database, "authenticated", other) as connection, raises("account_not_found"):
            database.call(
                "set_credit_alerts", owner if workspace is None else other, "message", "{10}",
                workspace_id=workspace, connection=connection,
            )  # fmt: skip
