"""Everybody may leave but the last owner."""

from __future__ import annotations

from tests.support.errors import raises
from tests.support.teams import Team


def test_who_leaves_holds_nothing_any_more(team: Team) -> None:
    team.call("reserve_credits", team.member, credit_type="message", amount=40)
    left = team.call("leave_workspace", team.member)
    assert left["role"] is None
    assert {m["role"] for m in left["members"]} == {"owner", "admin", "viewer"}
    assert team.database.balance(team.workspace)["reserved"] == 0
    with raises("account_not_found", "PT404"):
        team.call("leave_workspace", team.member)
    team.call("leave_workspace", team.viewer)
    team.database.verify(team.workspace)


def test_the_last_owner_may_not(team: Team) -> None:
    with raises("last_owner", "PT409"):
        team.call("leave_workspace", team.owner)
    team.call("set_workspace_role", team.owner, member_id=team.admin, role="owner")
    team.call("leave_workspace", team.owner)
    assert team.roles()[team.admin] == "owner"
