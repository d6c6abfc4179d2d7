"""Teams on the command line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.support.database import Database

Answer = Callable[..., Any]


def test_a_team_is_made_limited_and_given_a_key(answer: Answer, database: Database) -> None:
    ann, bob = database.new_user(), database.new_user(email="bob.of.commands@example.com")
    team = answer("workspaces", "create", ann, "--name", "Team")["workspace_id"]
    here = ("--workspace", team)
    invited = answer("workspaces", "invite", ann, *here, "--email", "bob.of.commands@example.com")
    assert answer("workspaces", "accept", bob, "--token", invited["token"])["role"] == "member"
    assert len(answer("workspaces", "show", ann, *here)["members"]) == 2
    assert answer("workspaces", "list", bob)["workspaces"][0]["name"] == "Team"
    made = answer("budgets", "set", ann, *here, "-t", "message", "--limit", 5, "--window", "day", "--scope", "member")
    assert answer("budgets", "list", bob, *here)["budgets"][0]["budget_id"] == made["budget_id"]
    answer("budgets", "delete", ann, *here, "--budget", made["budget_id"])
    key = answer("keys", "create", bob, *here, "--name", "nightly", "--days", 3)
    assert answer("keys", "list", ann, *here)["keys"][0]["name"] == "nightly"
    assert answer("keys", "revoke", ann, *here, "--key", key["key_id"])["key_id"] == key["key_id"]
    assert (
        answer("workspaces", "role", bob, *here, "--member", bob, "--role", "admin", exit_code=1)["code"] == "forbidden"
    )
    answer("workspaces", "remove", ann, *here, "--member", bob)
    assert answer("workspaces", "leave", ann, *here, exit_code=1)["code"] == "last_owner"
    answer("workspaces", "delete", ann, *here)


def test_what_is_missing_is_named(answer: Answer, database: Database) -> None:
    user = database.new_user()
    for words in (("workspaces", "create", user), ("budgets", "set", user), ("keys", "create", user),
                  ("workspaces", "dance", user)):  # fmt: skip
        assert answer(*words, exit_code=2)["code"] == "usage"
