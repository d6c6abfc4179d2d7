"""A new workspace has an owner, the limits of the default plan, and no credits of its own."""

from __future__ import annotations

from uuid import UUID

from tests.support.database import Database
from tests.support.errors import raises
from tests.support.teams import as_user


def test_who_makes_it_owns_it(database: Database) -> None:
    user = database.new_user(email="ann@example.com")
    made = database.call("create_workspace", user, "  Ann and friends ")
    assert (made["success"], made["code"], made["name"], made["role"]) == (True, "ok", "Ann and friends", "owner")
    assert [(m["user_id"], m["role"], m["email"]) for m in made["members"]] == [(str(user), "owner", "ann@example.com")]


def test_it_has_the_limits_of_the_default_plan_and_no_credits(database: Database) -> None:
    user = database.new_user()
    workspace = UUID(database.call("create_workspace", user, "Team")["workspace_id"])
    assert database.call("consume_credits", user, "message", workspace_id=workspace)["code"] == "insufficient_credits"
    assert database.balance(workspace, "project")["allowance"] == 3
    assert database.balance(user)["remaining"] == 10
    database.verify(workspace)


def test_a_signed_in_user_makes_one_for_themselves_alone(database: Database) -> None:
    user, other = database.new_user(), database.new_user()
    assert as_user(database, user, "create_workspace", name="Mine")["members"][0]["user_id"] == str(user)
    with raises("account_not_found", "PT404"):
        as_user(database, user, "create_workspace", user_id=other, name="Theirs")


def test_a_name_is_needed_and_a_person_owns_a_hundred_at_most(database: Database) -> None:
    user = database.new_user()
    for name in (None, "", "   ", "x" * 201):
        with raises("invalid_argument", "PT422") as seen:
            database.call("create_workspace", user, name)
        assert seen.details["argument"] == "p_name"
    for _ in range(100):
        database.call("create_workspace", user, "One more")
    with raises("forbidden", "PT403"):
        database.call("create_workspace", user, "One too many")
