"""Teams on the command line."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from tests.cli.conftest import Sonas
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


def test_members_are_named_by_e_mail_and_times_may_have_an_offset(
    answer: Answer, sonas: Sonas, database: Database
) -> None:
    ann, bob = (database.new_user(email=f"{name}.{uuid4().hex[:8]}@example.com") for name in ("ann", "bob"))
    email = str(database.value("select email from auth.users where id = %s", bob))
    team = answer("workspaces", "create", ann, "--name", f"Team of {email}")["workspace_id"]
    token = answer("workspaces", "invite", ann, "--workspace", team, "--email", email)["token"]
    answer("workspaces", "accept", email, "--token", token)
    here = (ann, "--workspace", f"Team of {email}")
    answer(
        "budgets", "set", *here, "-t", "message", "--limit", 5, "--window", "day", "--scope", "member", "--value", email
    )
    assert f"member {email}" in sonas("budgets", "list", *here).output.replace("\n", " ")
    answer("keys", "create", email, "--name", "nightly", "--workspace", team)
    assert email in sonas("keys", "list", *here).output
    assert answer("workspaces", "role", *here, "--member", email, "--role", "admin")["members"][1]["role"] == "admin"
    answer("workspaces", "remove", *here, "--member", email.upper())
    assert answer("workspaces", "remove", *here, "--member", "x" + email, exit_code=1)["code"] == "account_not_found"
    assert "Did you mean remove?" in sonas("workspaces", "remov", ann).output

    given = answer("grant", ann, "message", 5, "--expires", "2031-01-01T12:00+02:00")
    expires = "select expires_at from credit_grants where id = %s"
    assert database.value(expires, given["grant_id"]) == datetime(2031, 1, 1, 10, tzinfo=UTC)
    said = sonas("history", ann, "--since", "yesterday")
    assert (said.exit_code, "2027-02-01" in said.output) == (2, True)
