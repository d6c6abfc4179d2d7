"""A budget that has no room left is told to the people who can raise it, once a window."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from sonas_cli.why import tell as why
from sonas_supabase import CreditsClient
from tests.support.database import Database
from tests.support.errors import raises
from tests.support.teams import Team, join, new_team


@pytest.fixture
def team(database: Database) -> Team:
    return new_team(database, 1000)


def budget(team: Team, limit: int, window: str = "day", **named: Any) -> dict[str, Any]:
    named = {"credit_type": "message", "limit": limit, "window": window, **named}
    return dict(team.call("set_credit_budget", team.owner, **named))


def told(team: Team) -> list[tuple[str, int, int]]:
    """By whom, of how much, and how much was used then."""
    return team.database.query(
        "select data ->> 'user_id', (data #>> '{budget,limit}')::bigint, (data #>> '{budget,used}')::bigint "
        "from credits.outbox where account_id = %s and kind = 'budget.reached' order by n",
        team.workspace,
    )


def test_the_spend_that_uses_it_up_tells_it_to_owners_and_admins_once(team: Team) -> None:
    budget(team, 10)
    team.spend(team.member, 9)
    assert told(team) == []
    team.spend(team.member)
    for _ in range(3):
        assert team.spend(team.member)["code"] == "member_cap_reached"
    assert told(team) == [(str(team.member), 10, 10)]
    notified = team.database.query(
        "select user_id, data #>> '{budget,window}', data ->> 'credit_type' from credit_notifications "
        "where account_id = %s and kind = 'budget.reached' order by user_id",
        team.workspace,
    )
    assert notified == [(user, "day", "message") for user in sorted((team.owner, team.admin))]
    # A limit that was raised, and is used up again, is told anew.
    budget(team, 12)
    team.spend(team.admin, 2)
    assert told(team)[1:] == [(str(team.admin), 12, 12)]


def test_the_first_denial_tells_it_where_something_smaller_would_fit(team: Team) -> None:
    budget(team, 10, "week")
    team.spend(team.member, 4)
    for _ in range(2):
        assert team.spend(team.member, 7)["code"] == "member_cap_reached"
        assert not team.call("reserve_credits", team.member, credit_type="message", amount=7)["success"]
    assert told(team) == [(str(team.member), 10, 4)]


def test_each_member_is_told_apart_and_holds_count(team: Team) -> None:
    budget(team, 5, scope="member")
    other = join(team.database, team.workspace, team.owner, "member")
    team.spend(team.member, 5)
    held = team.call("reserve_credits", other, credit_type="message", amount=5)
    team.call("capture_credits", other, reservation_id=held["reservation_id"])
    assert told(team) == [(str(team.member), 5, 5), (str(other), 5, 5)]


@pytest.mark.parametrize("window", ["rolling", "period", "in_flight"])
def test_other_windows_are_told_once_as_well(team: Team, window: str) -> None:
    budget(team, 2, window, **({"hours": 3} if window == "rolling" else {}))
    for _ in range(4):
        team.call("reserve_credits", team.member, credit_type="message", amount=1)
    assert told(team) == [(str(team.member), 2, 2)]


def test_what_is_too_much_at_a_time_uses_nothing_up(team: Team) -> None:
    budget(team, 2, "draw")
    assert team.spend(team.member, 3)["code"] == "member_cap_reached"
    assert told(team) == []


def test_nothing_is_told_of_what_was_rolled_back(team: Team) -> None:
    budget(team, 2)
    with raises("member_cap_reached", "PT402"):
        team.spend(team.member, 3, strict=True)
    with team.database.connect(autocommit=False) as connection:
        arguments = {"user_id": team.member, "workspace_id": team.workspace, "credit_type": "message", "amount": 2}
        team.database.call("consume_credits", connection=connection, **arguments)
        connection.rollback()
    assert told(team) == []


def test_a_person_is_told_of_a_budget_of_their_own(database: Database, user: UUID) -> None:
    database.call("set_credit_budget", user, credit_type="message", limit=2, window="day")
    database.call("consume_credits", user, "message", 2)
    kinds = database.query("select kind from credit_notifications where user_id = %s", user)
    assert kinds == [("budget.reached",)]


def test_why_and_the_doctor_name_the_budgets(own_database: Database) -> None:
    team = new_team(own_database, 1000)
    budget(team, 50, scope="member")
    budget(team, 5, "draw", scope="metadata", scope_value="actor=bob")
    budget(team, 7, "rolling", hours=6, scope="member", scope_value=str(team.member))
    team.spend(team.member, 7)
    team.spend(team.member)
    team.call("remove_from_workspace", team.owner, member_id=team.member)
    with CreditsClient.from_url(own_database.url) as client:
        story = client.explain_balance(team.owner, "message", workspace_id=team.workspace)
        found = {finding.code: finding for finding in client.diagnose().findings}
    words = list(why(story))
    assert (story.denied, story.denied_by_budget) == (1, 1)
    assert "1 attempt was denied by a budget." in words
    assert not any("for lack of credits" in line for line in words)
    assert "A budget allows 5 at a time, for actor=bob." in words
    assert any(line.startswith("A budget of 50 a day for each member: 0 used, 50 left until ") for line in words)
    assert f"A budget of 7 in any 6 hours for the member {team.member}: 7 used, 0 left." in words
    assert found["budgets_used_up"].meaning.startswith("1 budgets have no room now, the first one member")
    assert str(team.workspace) in found["budgets_of_nobody"].meaning
