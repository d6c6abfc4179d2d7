"""A key acts for its person on its account, and for nobody a moment after it was revoked."""

from __future__ import annotations

import hashlib

import pytest

from tests.support.database import Database
from tests.support.errors import raises
from tests.support.people import acting_as
from tests.support.teams import Team, new_team


@pytest.fixture
def team(database: Database) -> Team:
    return new_team(database)


def test_it_names_person_and_account_and_only_its_hash_is_stored(team: Team) -> None:
    made = team.call("create_api_key", team.member, name="nightly")
    found = team.database.call("find_api_key", made["key"])
    assert made["key"].startswith("sonas_")
    assert (found["user_id"], found["workspace_id"], found["name"], found["key_id"]) == (
        str(team.member), str(team.workspace), "nightly", made["key_id"],
    )  # fmt: skip
    stored = team.database.value("select string_agg(k::text, '') from credits.api_keys k")
    assert made["key"] not in stored
    assert hashlib.sha256(made["key"].encode()).hexdigest() in stored
    own = team.database.call("create_api_key", team.member, name="mine")
    assert team.database.call("find_api_key", own["key"])["workspace_id"] is None


def test_it_ends_when_it_is_revoked_expires_or_its_person_may_not(team: Team) -> None:
    def make(name: str, **named: object) -> str:
        return str(team.call("create_api_key", team.member, name=name, **named)["key"])

    revoked, expired, demoted = make("a"), make("b", ttl_seconds=60), make("c")
    listed = team.call("list_api_keys", team.member)["keys"]
    team.call("revoke_api_key", team.member, key_id=listed[0]["key_id"])
    team.database.run(
        "update credits.api_keys set created_at = now() - interval '2 hours', expires_at = now() - interval '1 hour' "
        "where expires_at is not null"
    )
    for key in (revoked, expired):
        with raises("key_not_found", "PT404"):
            team.database.call("find_api_key", key)
    assert team.database.call("find_api_key", demoted)["success"]
    team.call("set_workspace_role", team.owner, member_id=team.member, role="viewer")
    with raises("key_not_found", "PT404"):
        team.database.call("find_api_key", demoted)
    team.call("set_workspace_role", team.owner, member_id=team.member, role="member")
    team.call("remove_from_workspace", team.owner, member_id=team.member)
    with raises("key_not_found", "PT404"):
        team.database.call("find_api_key", demoted)


def test_no_user_asks_about_a_key(team: Team) -> None:
    with acting_as(team.database, "authenticated", team.member) as connection, pytest.raises(Exception, match="denied"):
        connection.execute("select find_api_key('sonas_')")
