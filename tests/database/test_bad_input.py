"""Each argument that cannot be used has an error of its own, and nothing has changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.support.api import Api
from tests.support.bad_values import A_MOMENT_AGO, ANOTHERS, NIL, good, rows
from tests.support.database import Database
from tests.support.edge import EDGE, OF_TEAMS, OPERATIONS
from tests.support.errors import raises
from tests.support.people import fingerprint, new_workspace

PRICED = "a priced operation"
OF_ACCOUNTS = [row for row in rows() if row[0] in OPERATIONS]
OTHERS = [row for row in rows() if row[0] not in OPERATIONS]


@dataclass(frozen=True)
class World:
    """A user with something to capture, release, refund and revoke, and another one with the same."""

    user: UUID
    ids: dict[str, UUID]
    other: UUID
    others: dict[str, UUID]
    strange_workspace: UUID


@pytest.fixture(scope="module")
def world(database: Database) -> World:
    def fill(user: UUID) -> dict[str, UUID]:
        return {
            "reservation_id": UUID(database.call("reserve_operation", user, PRICED)["reservation_id"]),
            "operation_id": UUID(database.call("consume_credits", user, "message", 2)["operation_id"]),
            "grant_id": UUID(database.call("grant_credits", user, "message", 2)["grant_id"]),
        }

    database.call("set_price", PRICED, "call", 5)
    user, other = database.new_user(), database.new_user()
    database.call("mark_test_account", user)
    return World(user, fill(user), other, fill(other), new_workspace(database, other))


def describe(value: Any) -> str:
    if value is A_MOMENT_AGO:
        return "a moment ago"
    return str(getattr(value, "obj", value))[:40]


@pytest.mark.parametrize(
    ("function", "argument", "value", "slug", "state"),
    OF_ACCOUNTS,
    ids=[f"{function}({argument} => {describe(value)})" for function, argument, value, _, _ in OF_ACCOUNTS],
)
def test_what_cannot_be_used_is_named_and_changes_nothing(
    database: Database, world: World, function: str, argument: str, value: Any, slug: str, state: str
) -> None:
    arguments: dict[str, Any] = {"user_id": world.user, **good(function)}
    arguments |= {name: world.ids[name] for name, given in arguments.items() if given is ...}
    if value is ANOTHERS:
        value = world.strange_workspace if argument == "workspace_id" else world.others[argument]
    arguments[argument] = value
    before = fingerprint(database, world.user, world.other, world.strange_workspace)
    with raises(slug, state):
        database.call(function, **arguments)
    assert fingerprint(database, world.user, world.other, world.strange_workspace) == before
    database.verify(world.user)


@pytest.mark.parametrize(
    ("function", "argument", "value", "slug", "state"),
    OTHERS,
    ids=[f"{function}({argument} => {describe(value)})" for function, argument, value, _, _ in OTHERS],
)
def test_reports_and_what_an_operator_runs_refuse_it_too(
    database: Database, world: World, function: str, argument: str, value: Any, slug: str, state: str
) -> None:
    arguments = {name: given for name, given in good(function).items() if given is not ...}
    if EDGE[function].of_an_account and EDGE[function].arguments[0].required:
        arguments["user_id"] = world.user
    if function in OF_TEAMS and EDGE[function].takes("workspace_id"):
        arguments |= {"user_id": world.other, "workspace_id": world.strange_workspace}
    with raises(slug, state):
        database.call(function, **(arguments | {argument: value}))


@pytest.mark.parametrize("function", OPERATIONS)
def test_with_good_arguments_each_function_of_the_table_succeeds(database: Database, function: str) -> None:
    """Without this, the table above could be full of errors that have another cause."""
    user = database.new_user()
    database.call("set_price", PRICED, "call", 5)
    ids = {
        "reservation_id": database.call("reserve_operation", user, PRICED)["reservation_id"],
        "operation_id": database.call("consume_credits", user, "message", 2)["operation_id"],
        "grant_id": database.call("grant_credits", user, "message", 2)["grant_id"],
    }
    database.call("mark_test_account", user)
    arguments = {name: ids[name] if value is ... else value for name, value in good(function).items()}
    assert database.call(function, user_id=user, **arguments)["success"] is True


@pytest.mark.parametrize(
    ("literal", "error"),
    [
        ("1.5", psycopg.errors.UndefinedFunction),
        ("1.0", psycopg.errors.UndefinedFunction),
        ("'1.5'", psycopg.errors.InvalidTextRepresentation),
        ("'one'", psycopg.errors.InvalidTextRepresentation),
        ("9223372036854775808", psycopg.errors.UndefinedFunction),
        ("'9223372036854775808'", psycopg.errors.NumericValueOutOfRange),
    ],
)
def test_postgres_itself_refuses_a_literal_that_is_no_whole_number(
    database: Database, world: World, literal: str, error: type[psycopg.Error]
) -> None:
    before = fingerprint(database, world.user)
    with pytest.raises(error):
        database.run(f"select consume_credits('{world.user}', 'message', {literal})")
    assert fingerprint(database, world.user) == before


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        ({"p_amount": 1.5}, 400, "22P02"),
        ({"p_amount": "one"}, 400, "22P02"),
        ({"p_amount": 2**63}, 400, "22003"),
        ({"p_amount": 0}, 422, "PT422"),
        ({"p_amount": -1}, 422, "PT422"),
        ({"p_amount": None}, 422, "PT422"),
        ({"p_amount": 2**53 + 1}, 422, "PT422"),
        ({"p_credit_type": "gold"}, 404, "PT404"),
        ({"p_user_id": str(NIL)}, 404, "PT404"),
        ({"p_user_id": "not an id"}, 400, "22P02"),
        ({"p_metadata": []}, 422, "PT422"),
        ({"p_color": "red"}, 404, "PGRST202"),
    ],
)
def test_over_http_bad_input_has_its_status_and_changes_nothing(
    database: Database, world: World, api: Api, arguments: dict[str, Any], status: int, code: str
) -> None:
    before = fingerprint(database, world.user)
    body = {"p_user_id": str(world.user), "p_credit_type": "message"} | arguments
    with api.service() as client:
        answer = client.post("/rpc/consume_credits", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    if code.startswith("PT"):
        assert answer.json()["message"] in (
            "invalid_amount",
            "invalid_argument",
            "unknown_credit_type",
            "account_not_found",
        )
        assert answer.json()["hint"].endswith(".")
    assert fingerprint(database, world.user) == before


def test_the_greatest_amount_is_two_to_the_53(database: Database) -> None:
    user = database.new_user()
    database.call("grant_credits", user, "message", 2**53 - 10)
    assert database.balance(user)["remaining"] == 2**53
    with raises("invalid_amount", "PT422"):
        database.call("grant_credits", user, "message", 1)
    assert database.call("consume_credits", user, "message", 2**53)["remaining"] == 0
    database.verify(user)
