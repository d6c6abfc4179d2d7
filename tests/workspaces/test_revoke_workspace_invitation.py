"""An invitation that was taken back lets nobody in."""

from __future__ import annotations

from uuid import uuid4

from tests.support.errors import raises
from tests.support.teams import Team


def test_it_is_closed_from_then_on(team: Team) -> None:
    invited = team.call("invite_to_workspace", team.owner, email="revoked@example.com")
    for _ in range(2):
        team.call("revoke_workspace_invitation", team.admin, invitation_id=invited["invitation_id"])
    user = team.database.new_user(email="revoked@example.com")
    with raises("invitation_expired", "PT410"):
        team.database.call("accept_workspace_invitation", user, invited["token"])


def test_not_by_members_not_another_workspaces_and_not_after_it_was_used(team: Team) -> None:
    invited = team.call("invite_to_workspace", team.owner, email="used@example.com", role="owner")
    for actor in (team.member, team.viewer, team.admin):
        with raises("forbidden", "PT403"):
            team.call("revoke_workspace_invitation", actor, invitation_id=invited["invitation_id"])
    other = team.database.call("create_workspace", team.outsider, "Theirs")["workspace_id"]
    for identity in (invited["invitation_id"], uuid4()):
        with raises("invitation_not_found", "PT404"):
            team.database.call("revoke_workspace_invitation", team.outsider, other, identity)
    user = team.database.new_user(email="used@example.com")
    team.database.call("accept_workspace_invitation", user, invited["token"])
    with raises("invitation_used", "PT409"):
        team.call("revoke_workspace_invitation", team.owner, invitation_id=invited["invitation_id"])
