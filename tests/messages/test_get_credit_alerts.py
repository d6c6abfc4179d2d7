"""How a person is told about an account."""

from __future__ import annotations

from tests.support.database import Database
from tests.support.people import new_workspace


def test_the_usual_levels_every_channel_and_the_topic(database: Database) -> None:
    user = database.new_user()
    answer = database.call("get_credit_alerts", user)
    assert {a["credit_type"]: (a["percents"], a["is_default"]) for a in answer["alerts"]}["message"] == (
        [50, 80, 100],
        True,
    )
    assert (answer["by_mail"], answer["in_app"], answer["topic"]) == (True, True, f"account:{user}:0")


def test_each_person_of_a_workspace_has_channels_of_their_own(database: Database) -> None:
    owner, member = database.new_user(), database.new_user()
    team = new_workspace(database, owner, member)
    database.call("set_credit_channels", member, by_mail=False, workspace_id=team)
    assert database.call("get_credit_alerts", member, team)["by_mail"] is False
    assert database.call("get_credit_alerts", owner, team)["by_mail"] is True
    assert database.call("get_credit_alerts", member)["by_mail"] is True
