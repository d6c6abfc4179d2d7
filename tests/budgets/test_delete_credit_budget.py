"""What a deleted budget limited is limited by the others alone."""

from __future__ import annotations

from tests.support.database import Database
from tests.support.errors import raises
from tests.support.teams import new_team


def test_it_limits_no_more_and_a_new_one_counts_what_was_spent(database: Database) -> None:
    team = new_team(database)
    named = {"credit_type": "message", "limit": 5, "window": "day"}
    made = team.call("set_credit_budget", team.owner, **named)
    team.spend(team.member, 5)
    assert not team.spend(team.member)["success"]
    for actor in (team.member, team.viewer):
        with raises("forbidden", "PT403"):
            team.call("delete_credit_budget", actor, budget_id=made["budget_id"])
    team.call("delete_credit_budget", team.admin, budget_id=made["budget_id"])
    flag = "select has_budgets from credits.balances where account_id = %s and credit_type = 'message'"
    assert database.value(flag, team.workspace) is False
    assert team.spend(team.member)["success"]
    with raises("budget_not_found", "PT404"):
        team.call("delete_credit_budget", team.owner, budget_id=made["budget_id"])
    assert team.call("set_credit_budget", team.owner, **named)["used"] == 6


def test_not_another_accounts(database: Database) -> None:
    team = new_team(database)
    made = team.call("set_credit_budget", team.owner, credit_type="message", limit=5, window="day")
    with raises("budget_not_found", "PT404"):
        database.call("delete_credit_budget", team.owner, budget_id=made["budget_id"])
    with raises("account_not_found", "PT404"):
        team.call("delete_credit_budget", team.outsider, budget_id=made["budget_id"])
