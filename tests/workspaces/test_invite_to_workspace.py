"""An invitation is for one e-mail, once, for a while; only its hash is stored."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from tests.support.errors import raises
from tests.support.people import acting_as
from tests.support.teams import Team


def test_the_token_is_answered_once_and_its_hash_is_stored(team: Team) -> None:
    invited = team.call("invite_to_workspace", team.admin, email=" New@Example.com ")
    assert (invited["email"], invited["invited_as"], invited["workspace_id"]) == (
        "new@example.com",
        "member",
        str(team.workspace),
    )
    ends = datetime.fromisoformat(invited["expires_at"])
    assert timedelta(days=6, hours=23) < ends - datetime.now(ends.tzinfo) <= timedelta(days=7)
    stored = team.database.value(
        "select token_hash from credits.invitation_secrets where account_id = %s and invitation_id = %s",
        team.workspace,
        invited["invitation_id"],
    )
    assert stored == hashlib.sha256(invited["token"].encode()).hexdigest()
    everything = team.database.value("select string_agg(t::text, '') from credit_invitations t")
    assert invited["token"] not in everything
    assert stored not in everything


def test_overseers_read_the_invitations_of_their_workspace(team: Team) -> None:
    team.call("invite_to_workspace", team.owner, email="new@example.com")
    query = b"select count(*) from credit_invitations where account_id = %s and used_at is null"
    for actor, sees in (
        (team.owner, 1), (team.admin, 1), (team.member, 0), (team.viewer, 0), (team.outsider, 0),
    ):  # fmt: skip
        with acting_as(team.database, "authenticated", actor) as connection:
            assert connection.execute(query, [team.workspace]).fetchone() == (sees,)


def test_who_may_invite_whom(team: Team) -> None:
    for actor in (team.member, team.viewer):
        with raises("forbidden", "PT403"):
            team.call("invite_to_workspace", actor, email="new@example.com")
    with raises("account_not_found", "PT404"):
        team.call("invite_to_workspace", team.outsider, email="new@example.com")
    with raises("forbidden", "PT403"):
        team.call("invite_to_workspace", team.admin, email="new@example.com", role="owner")
    assert team.call("invite_to_workspace", team.owner, email="new@example.com", role="owner")["success"]


def test_a_later_invitation_of_the_same_e_mail_ends_the_earlier_one(team: Team) -> None:
    first, second = (team.call("invite_to_workspace", team.owner, email="twice@example.com") for _ in range(2))
    user = team.database.new_user(email="twice@example.com")
    with raises("invitation_expired", "PT410"):
        team.database.call("accept_workspace_invitation", user, first["token"])
    assert team.database.call("accept_workspace_invitation", user, second["token"])["role"] == "member"
    with raises("invalid_argument", "PT422"):
        team.call("invite_to_workspace", team.owner, email="Twice@example.com")
