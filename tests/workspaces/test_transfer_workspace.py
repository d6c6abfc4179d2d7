"""An owner hands a workspace over."""

from __future__ import annotations

from tests.support.errors import raises
from tests.support.teams import Team


def test_the_other_owns_it_and_the_owner_is_an_admin(team: Team) -> None:
    team.call("transfer_workspace", team.owner, member_id=team.member)
    assert (team.roles()[team.member], team.roles()[team.owner]) == ("owner", "admin")


def test_not_by_others_and_not_to_others(team: Team) -> None:
    for actor in (team.admin, team.member, team.viewer):
        with raises("forbidden", "PT403"):
            team.call("transfer_workspace", actor, member_id=team.member)
    with raises("member_not_found", "PT404"):
        team.call("transfer_workspace", team.owner, member_id=team.outsider)
    with raises("invalid_argument", "PT422"):
        team.call("transfer_workspace", team.owner, member_id=team.owner)
    team.database.run("delete from auth.users where id = %s", team.viewer)
    with raises("member_not_found", "PT404"):
        team.call("transfer_workspace", team.owner, member_id=team.viewer)
