"""Keys are shown without their secret: one's own, and everybody's to those who oversee."""

from __future__ import annotations

from tests.support.database import Database
from tests.support.teams import as_user, new_team


def test_ones_own_and_for_overseers_everybodys(database: Database) -> None:
    team = new_team(database)
    made = [team.call("create_api_key", who, name=name) for who, name in ((team.owner, "a"), (team.member, "b"))]
    for actor, names in ((team.owner, ["a", "b"]), (team.admin, ["a", "b"]), (team.member, ["b"]), (team.viewer, [])):
        listed = as_user(database, actor, "list_api_keys", workspace_id=team.workspace)
        assert [key["name"] for key in listed["keys"]] == names
        assert not any(key["key"] in str(listed) for key in made)
