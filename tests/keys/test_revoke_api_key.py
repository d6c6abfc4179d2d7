"""People revoke their own keys, overseers everybody's."""

from __future__ import annotations

from tests.support.database import Database
from tests.support.errors import raises
from tests.support.teams import new_team


def test_ones_own_and_by_an_admin(database: Database) -> None:
    team = new_team(database)
    first, second = (team.call("create_api_key", team.owner, name=name) for name in ("a", "b"))
    for actor in (team.member, team.viewer):
        with raises("key_not_found", "PT404"):
            team.call("revoke_api_key", actor, key_id=first["key_id"])
    with raises("account_not_found", "PT404"):
        team.call("revoke_api_key", team.outsider, key_id=first["key_id"])
    for _ in range(2):
        team.call("revoke_api_key", team.admin, key_id=first["key_id"])
    assert [key["name"] for key in team.call("list_api_keys", team.owner)["keys"]] == ["b"]
    assert database.call("find_api_key", second["key"])["success"]
