"""A person's workspaces are those that they are in."""

from __future__ import annotations

from tests.support.teams import Team, as_user


def test_each_of_them_with_the_role_and_the_number_of_members(team: Team) -> None:
    listed = as_user(team.database, team.viewer, "list_workspaces")
    assert [(w["workspace_id"], w["role"], w["members"]) for w in listed["workspaces"]] == [
        (str(team.workspace), "viewer", 4)
    ]
    assert (listed["success"], listed["workspace_id"]) == (True, None)
    assert as_user(team.database, team.outsider, "list_workspaces")["workspaces"] == []
