"""Who may make a key, and one living key has a name."""

from __future__ import annotations

from tests.support.database import Database
from tests.support.errors import raises
from tests.support.teams import as_user, new_team


def test_who_spends_makes_keys_for_themselves(database: Database) -> None:
    team = new_team(database)
    assert as_user(database, team.member, "create_api_key", workspace_id=team.workspace, name="x")["user_id"] == str(
        team.member
    )
    with raises("forbidden", "PT403"):
        team.call("create_api_key", team.viewer, name="x")
    with raises("account_not_found", "PT404"):
        team.call("create_api_key", team.outsider, name="x")
    team.call("create_api_key", team.member, name="x")
    with raises("invalid_argument", "PT422"):
        team.call("create_api_key", team.admin, name="x")
