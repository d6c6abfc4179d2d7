"""Who may give whom which role, and that there is always an owner."""

from __future__ import annotations

from uuid import UUID

import pytest

from tests.support.errors import raises
from tests.support.races import calling, race, slugs
from tests.support.teams import Team, join


def test_a_viewer_reads_and_a_member_spends(team: Team) -> None:
    assert team.spend(team.member)["success"]
    with raises("forbidden", "PT403"):
        team.spend(team.viewer)
    with raises("forbidden", "PT403"):
        team.call("reserve_credits", team.viewer, credit_type="message")
    with raises("forbidden", "PT403"):
        team.call("consume_credits_batch", team.viewer, items=[{"credit_type": "message"}])
    with raises("forbidden", "PT403"):
        team.call("check_credits", team.viewer, credit_type="message")
    team.call("set_workspace_role", team.admin, member_id=team.viewer, role="member")
    assert team.spend(team.viewer)["success"]
    team.call("set_workspace_role", team.owner, member_id=team.viewer, role="viewer")
    with raises("forbidden", "PT403"):
        team.spend(team.viewer)


def test_an_admin_sets_roles_up_to_admin_and_never_an_owners(team: Team) -> None:
    changed = team.call("set_workspace_role", team.admin, member_id=team.member, role="admin")
    assert {m["user_id"]: m["role"] for m in changed["members"]}[str(team.member)] == "admin"
    for member, role in ((team.owner, "admin"), (team.owner, "owner"), (team.viewer, "owner"), (team.admin, "owner")):
        with raises("forbidden", "PT403"):
            team.call("set_workspace_role", team.admin, member_id=member, role=role)
    for actor in (team.member, team.viewer):
        team.call("set_workspace_role", team.owner, member_id=team.member, role="member")
        with raises("forbidden", "PT403"):
            team.call("set_workspace_role", actor, member_id=actor, role="admin")
    with raises("account_not_found", "PT404"):
        team.call("set_workspace_role", team.outsider, member_id=team.member, role="viewer")
    with raises("member_not_found", "PT404"):
        team.call("set_workspace_role", team.owner, member_id=team.outsider, role="viewer")


def test_the_last_owner_stays_one(team: Team) -> None:
    for role in ("admin", "member", "viewer"):
        with raises("last_owner", "PT409"):
            team.call("set_workspace_role", team.owner, member_id=team.owner, role=role)
    team.call("set_workspace_role", team.owner, member_id=team.admin, role="owner")
    team.call("set_workspace_role", team.owner, member_id=team.owner, role="member")
    assert team.roles()[team.owner] == "member"


def two_owners(team: Team) -> list[UUID]:
    team.call("set_workspace_role", team.owner, member_id=team.admin, role="owner")
    return [team.owner, team.admin]


@pytest.mark.parametrize("nth", range(3))
@pytest.mark.parametrize("how", ["demote each other", "demote oneself", "remove each other", "leave", "hand over"])
def test_whatever_two_owners_do_at_once_one_stays(team: Team, how: str, nth: int) -> None:
    first, second = two_owners(team)
    workspace = team.workspace
    contenders = {
        "demote each other": [
            calling("set_workspace_role", first, workspace, second, "member"),
            calling("set_workspace_role", second, workspace, first, "member"),
        ],
        "demote oneself": [
            calling("set_workspace_role", owner, workspace, owner, "viewer") for owner in (first, second)
        ],
        "remove each other": [
            calling("remove_from_workspace", first, workspace, second),
            calling("remove_from_workspace", second, workspace, first),
        ],
        "leave": [calling("leave_workspace", owner, workspace) for owner in (first, second)],
        "hand over": [
            calling("transfer_workspace", first, workspace, second),
            calling("leave_workspace", second, workspace),
        ],
    }[how]
    outcomes = race(team.database, contenders)
    assert "owner" in team.roles().values(), slugs(outcomes)
    assert "ok" in slugs(outcomes)


def test_when_the_users_of_both_owners_are_deleted_at_once_somebody_follows(team: Team) -> None:
    owners = two_owners(team)
    helper = join(team.database, team.workspace, team.owner, "admin")
    race(
        team.database,
        [lambda c, user=user: c.execute("delete from auth.users where id = %s", [user]) for user in owners],  # type: ignore[misc]
    )
    team.database.run("select credits.tend_accounts()")
    assert team.roles()[helper] == "owner"
    assert not {*owners} & {*team.roles()}
