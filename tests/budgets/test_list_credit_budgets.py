"""Budgets are listed with what is used of them: to a member what they used, to an overseer what each did."""

from __future__ import annotations

from tests.support.database import Database
from tests.support.errors import raises
from tests.support.teams import as_user, new_team


def test_a_member_sees_twelve_of_fifty_and_an_admin_everybodys(database: Database) -> None:
    team = new_team(database)
    team.call("set_credit_budget", team.owner, credit_type="message", limit=50, window="day", scope="member")
    team.spend(team.member, 12)
    team.spend(team.admin, 3)
    named = {"workspace_id": team.workspace}
    [mine] = as_user(database, team.member, "list_credit_budgets", **named)["budgets"]
    assert (mine["used"], mine["limit"], mine["remaining"], mine["members"]) == (12, 50, 38, [])
    assert mine["resets_at"] is not None
    [all_of_them] = as_user(database, team.admin, "list_credit_budgets", **named)["budgets"]
    assert all_of_them["used"] == 3
    uses = {use["user_id"]: use["used"] for use in all_of_them["members"]}
    assert uses == {str(team.member): 12, str(team.admin): 3, str(team.owner): 0, str(team.viewer): 0}
    assert as_user(database, team.member, "get_credit_summary", **named)["budgets"] == [mine]
    with raises("account_not_found", "PT404"):
        as_user(database, team.outsider, "list_credit_budgets", **named)
