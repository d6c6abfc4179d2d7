"""An invitation takes the person with the e-mail in, once."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from tests.support.errors import raises
from tests.support.races import calling, race, slugs
from tests.support.teams import Team, as_user


def invited(team: Team, email: str, **named: Any) -> str:
    return str(team.call("invite_to_workspace", team.owner, email=email, **named)["token"])


def test_the_same_person_twice_is_one(team: Team) -> None:
    token = invited(team, "new@example.com", role="viewer")
    user = team.database.new_user(email="New@example.com")
    first, second = (team.database.call("accept_workspace_invitation", user, token) for _ in range(2))
    assert (first["role"], first["replayed"], second["replayed"]) == ("viewer", False, True)
    assert team.roles()[user] == "viewer"


def test_a_signed_in_user_accepts_for_themselves(team: Team) -> None:
    token = invited(team, "signed.in@example.com")
    user = team.database.new_user(email="signed.in@example.com")
    assert as_user(team.database, user, "accept_workspace_invitation", token=token)["role"] == "member"
    with raises("account_not_found", "PT404"):
        as_user(team.database, team.outsider, "accept_workspace_invitation", user_id=user, token=token)


def test_another_e_mail_is_refused_and_uses_nothing_up(team: Team) -> None:
    token = invited(team, "bound@example.com")
    with raises("forbidden", "PT403"):
        team.database.call("accept_workspace_invitation", team.outsider, token)
    user = team.database.new_user(email="bound@example.com")
    assert team.database.call("accept_workspace_invitation", user, token)["success"]
    again = team.database.new_user(email="BOUND@example.com")
    with raises("invitation_used", "PT409"):
        team.database.call("accept_workspace_invitation", again, token)


def test_an_e_mail_that_waits_for_its_confirmation_is_nobodys(team: Team) -> None:
    token = invited(team, "squatter@example.com")
    user = team.database.new_user(email="squatter@example.com")
    change = "update auth.users set raw_user_meta_data = %s, email_confirmed_at = %s where id = %s"
    team.database.run(change, '{"email_verified": false}', None, user)
    with raises("forbidden", "PT403"):
        team.database.call("accept_workspace_invitation", user, token)
    team.database.run(change, "{}", "2026-01-01T00:00:00Z", user)
    assert team.database.call("accept_workspace_invitation", user, token)["success"]


def test_it_ends_with_its_time(team: Team) -> None:
    token = invited(team, "late@example.com")
    team.database.run(
        "update credit_invitations set created_at = now() - interval '2 hours', expires_at = now() - interval '1 hour' "
        "where account_id = %s and email = 'late@example.com'",
        team.workspace,
    )
    with raises("invitation_expired", "PT410"):
        team.database.call("accept_workspace_invitation", team.database.new_user(email="late@example.com"), token)


def test_who_was_removed_gets_back_in_by_no_invitation_of_before(team: Team) -> None:
    user = team.database.new_user(email="removed@example.com")
    token = invited(team, "removed@example.com", role="admin")
    team.database.call("accept_workspace_invitation", user, token)
    door = team.call("invite_to_workspace", user, email="second.self@example.com", role="admin")["token"]
    team.call("remove_from_workspace", team.owner, member_id=user)
    with raises("invitation_used", "PT409"):
        team.database.call("accept_workspace_invitation", user, token)
    with raises("invitation_expired", "PT410"):
        team.database.call("accept_workspace_invitation", team.database.new_user(email="second.self@example.com"), door)


@pytest.mark.parametrize("token", ["", "inv_", "nonsense", "inv_" + "0" * 96, "' or true --"])
def test_what_is_no_token_is_not_found(team: Team, token: str) -> None:
    with raises("invitation_not_found", "PT404"):
        team.database.call("accept_workspace_invitation", team.outsider, token)


def test_ten_at_once_use_it_once(team: Team) -> None:
    token = invited(team, "crowd@example.com")
    users = [team.database.new_user(email="crowd@example.com") for _ in range(5)]
    outcomes = race(
        team.database, [calling("accept_workspace_invitation", user, token) for user in users for _ in range(2)]
    )
    assert slugs(outcomes) == ["invitation_used"] * 8 + ["ok", "replayed"]
    assert len(set(team.roles()) & set(users)) == 1
    assert all(isinstance(user, UUID) for user in users)
