"""Whatever a project's default privileges are, the same roles end with the same rights."""

from __future__ import annotations

from sonas_supabase import local
from tests.contract.catalog import privileges
from tests.support.database import copied_database
from tests.support.server import Server


def test_both_worlds_end_in_the_same_privileges(versioned_server: Server) -> None:
    seen = {}
    for world in ("exposed", "closed"):
        with copied_database(versioned_server, template=world) as database:
            database.run("create table public.theirs (id integer)")
            theirs = {line for line in privileges(database) if "theirs" in line}
            local.migrate(database.url)
            assert {line for line in privileges(database) if "theirs" in line} == theirs
            seen[world] = [line for line in privileges(database) if "theirs" not in line]
            # The worlds do differ, or this test would compare one with itself.
            assert ("authenticated=SELECT" in "".join(theirs)) == (world == "exposed")
    assert len(seen["exposed"]) > 100
    assert seen["exposed"] == seen["closed"]
