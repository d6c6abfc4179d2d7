"""A workspace is shown to those who are in it."""

from __future__ import annotations

from tests.support.errors import raises
from tests.support.teams import Team, as_user


def test_members_see_each_other_and_overseers_the_open_invitations(team: Team) -> None:
    invited = team.call("invite_to_workspace", team.admin, email="new@example.com", role="viewer")
    for actor in (team.owner, team.admin, team.member, team.viewer):
        shown = as_user(team.database, actor, "get_workspace", workspace_id=team.workspace)
        assert {m["role"] for m in shown["members"]} == {"owner", "admin", "member", "viewer"}
        oversees = actor in (team.owner, team.admin)
        assert [i["invitation_id"] for i in shown["invitations"]] == ([invited["invitation_id"]] if oversees else [])
        assert "token" not in str(shown)


def test_an_outsider_and_who_was_removed_find_nothing(team: Team) -> None:
    team.call("remove_from_workspace", team.owner, member_id=team.member)
    for actor in (team.outsider, team.member):
        with raises("account_not_found", "PT404"):
            as_user(team.database, actor, "get_workspace", workspace_id=team.workspace)
