"""Each argument that cannot be used has an error of its own, and nothing has changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.support.api import Api
from tests.support.database import Database
from tests.support.errors import raises
from tests.support.people import fingerprint, new_workspace

NIL = UUID(int=0)
UNKNOWN = UUID("5aa5aa5a-0000-4000-8000-00000000dead")
A_SECOND_AGO = datetime.now(UTC) - timedelta(seconds=1)


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
            "reservation_id": UUID(database.call("reserve_credits", user, "message", 2)["reservation_id"]),
            "operation_id": UUID(database.call("consume_credits", user, "message", 2)["operation_id"]),
            "grant_id": UUID(database.call("grant_credits", user, "message", 2)["grant_id"]),
        }

    user, other = database.new_user(), database.new_user()
    database.call("mark_test_account", user)
    return World(user, fill(user), other, fill(other), new_workspace(database, other))


# What each function needs to succeed, beside the user. Names in ids are filled in from the world.
GOOD: dict[str, dict[str, Any]] = {
    "consume_credits": {"credit_type": "message"},
    "reserve_credits": {"credit_type": "message"},
    "check_credits": {"credit_type": "message"},
    "capture_credits": {"reservation_id": ...},
    "release_credits": {"reservation_id": ...},
    "refund_credits": {"operation_id": ...},
    "grant_credits": {"credit_type": "message", "amount": 1},
    "revoke_grant": {"grant_id": ...},
    "change_plan": {"plan_id": "pro"},
    "set_subscription_status": {"status": "past_due"},
    "set_time_zone": {"time_zone": "Europe/Paris"},
    "freeze_account": {},
    "unfreeze_account": {},
    "mark_test_account": {},
    "set_test_clock": {"now": datetime.now(UTC) + timedelta(days=40)},
    "consume_credits_batch": {"items": [{"credit_type": "message"}]},
    "get_credit_summary": {},
    "get_credit_history": {},
    "explain_operation": {"operation_id": ...},
    "reset_monthly_credits": {},
}
OF_A_TYPE = ("consume_credits", "reserve_credits", "check_credits", "grant_credits")
AMOUNTS = (0, -1, -(2**63), 2**53 + 1, 2**63 - 1)
LONG = "x" * 2001

BAD: list[tuple[str, str, Any, str, str]] = []


def bad(functions: Any, argument: str, values: Any, slug: str, state: str) -> None:
    BAD.extend((function, argument, value, slug, state) for function in functions for value in values)


bad([f for f in GOOD if f != "reset_monthly_credits"], "user_id", [None], "invalid_argument", "PT422")
bad(GOOD, "user_id", [UNKNOWN, NIL], "account_not_found", "PT404")
bad(OF_A_TYPE, "credit_type", [None, "", "gold", "MESSAGE", "message "], "unknown_credit_type", "PT404")
bad(["get_credit_history"], "credit_type", ["gold"], "unknown_credit_type", "PT404")
bad(OF_A_TYPE, "amount", [None, *AMOUNTS], "invalid_amount", "PT422")
bad(["capture_credits", "refund_credits"], "amount", AMOUNTS, "invalid_amount", "PT422")
bad(["refund_credits"], "amount", [3], "invalid_amount", "PT422")
bad(["capture_credits", "release_credits"], "reservation_id", [None, UNKNOWN, NIL], "reservation_not_found", "PT404")
bad(["refund_credits", "explain_operation"], "operation_id", [None, UNKNOWN, NIL], "operation_not_found", "PT404")
bad(["revoke_grant"], "grant_id", [None, UNKNOWN, NIL], "invalid_argument", "PT422")
for name in ("reservation_id", "operation_id", "grant_id"):
    takers = [function for function, arguments in GOOD.items() if name in arguments]
    expected = ("invalid_argument", "PT422") if name == "grant_id" else (name.replace("_id", "_not_found"), "PT404")
    bad(takers, name, ["another account's"], *expected)
bad(
    ["consume_credits", "reserve_credits", "refund_credits", "grant_credits", "change_plan"],
    "idempotency_key",
    ["", "k" * 256, "k" * 300],
    "invalid_argument",
    "PT422",
)
bad(
    ["consume_credits", "reserve_credits", "grant_credits", "capture_credits"],
    "metadata",
    [Jsonb([]), Jsonb("text"), Jsonb(5), Jsonb(None), Jsonb({"a": "x" * 65536})],
    "invalid_argument",
    "PT422",
)
bad(
    ["consume_credits", "reserve_credits", "grant_credits", "capture_credits"],
    "description",
    [LONG],
    "invalid_argument",
    "PT422",
)
bad(
    ["release_credits", "refund_credits", "revoke_grant", "freeze_account", "unfreeze_account"],
    "reason",
    [LONG],
    "invalid_argument",
    "PT422",
)
bad(["reserve_credits"], "ttl_seconds", [None, 0, -1, 86401, 2**31 - 1], "invalid_argument", "PT422")
bad(["grant_credits"], "source", [None, "", "plan", "gift"], "invalid_argument", "PT422")
bad(
    ["grant_credits"],
    "expires_at",
    [datetime(2020, 1, 1, tzinfo=UTC), A_SECOND_AGO],
    "invalid_argument",
    "PT422",
)
bad(["change_plan"], "plan_id", [None, "", "gold", "PRO"], "invalid_argument", "PT422")
bad(["change_plan"], "effective", [None, "", "later"], "invalid_argument", "PT422")
bad(["set_subscription_status"], "status", [None, "", "paused"], "invalid_argument", "PT422")
bad(["set_time_zone"], "time_zone", [None, "", "Mars/Olympus", "UTC+3"], "invalid_argument", "PT422")
bad(["set_test_clock"], "now", [None, datetime(2020, 1, 1, tzinfo=UTC)], "invalid_argument", "PT422")
bad(["get_credit_history"], "limit", [None, 0, -1, 1001], "invalid_argument", "PT422")
bad(
    [f for f in GOOD if f != "reset_monthly_credits"],
    "workspace_id",
    [UNKNOWN, NIL, "another account's"],
    "account_not_found",
    "PT404",
)
bad(
    ["consume_credits_batch"],
    "items",
    [
        None,
        Jsonb(None),
        [],
        {},
        Jsonb("text"),
        [1],
        [None],
        [{"credit_type": "message"}] * 101,
        [{"credit_type": "message", "color": "red"}],
        [{"credit_type": "message", "strict": True}],
        [{"credit_type": 5}],
        [{"credit_type": "message", "metadata": []}],
        [{"credit_type": "message", "description": LONG}],
        [{"credit_type": "message", "description": 5}],
        [{"credit_type": "message", "idempotency_key": ""}],
        [{"credit_type": "message", "idempotency_key": "k" * 300}],
        [{"credit_type": "message"}, {"credit_type": "message", "color": "red"}],
    ],
    "invalid_argument",
    "PT422",
)
bad(
    ["consume_credits_batch"],
    "items",
    [
        [{"credit_type": "message", "amount": amount}]
        for amount in (0, -1, 1.5, 2**53 + 1, 2**63, 1e300, "1", None, True, [])
    ],
    "invalid_amount",
    "PT422",
)
bad(
    ["consume_credits_batch"],
    "items",
    [[{}], [{"credit_type": "gold"}], [{"credit_type": None}], [{"credit_type": "message"}, {"credit_type": "gold"}]],
    "unknown_credit_type",
    "PT404",
)


def describe(value: Any) -> str:
    if value is A_SECOND_AGO:
        return "a second ago"
    return str(getattr(value, "obj", value))[:40]


@pytest.mark.parametrize(
    ("function", "argument", "value", "slug", "state"),
    BAD,
    ids=[f"{function}({argument} => {describe(value)})" for function, argument, value, _, _ in BAD],
)
def test_what_cannot_be_used_is_named_and_changes_nothing(
    database: Database, world: World, function: str, argument: str, value: Any, slug: str, state: str
) -> None:
    arguments: dict[str, Any] = {"user_id": world.user, **GOOD[function]}
    arguments |= {name: world.ids[name] for name, given in arguments.items() if given is ...}
    if value == "another account's":
        value = world.strange_workspace if argument == "workspace_id" else world.others[argument]
    arguments[argument] = value
    before = fingerprint(database, world.user, world.other, world.strange_workspace)
    with raises(slug, state):
        database.call(function, **arguments)
    assert fingerprint(database, world.user, world.other, world.strange_workspace) == before
    database.verify(world.user)


@pytest.mark.parametrize("function", GOOD)
def test_with_good_arguments_each_function_of_the_table_succeeds(database: Database, function: str) -> None:
    """Without this, the table above could be full of errors that have another cause."""
    user = database.new_user()
    ids = {
        "reservation_id": database.call("reserve_credits", user, "message", 2)["reservation_id"],
        "operation_id": database.call("consume_credits", user, "message", 2)["operation_id"],
        "grant_id": database.call("grant_credits", user, "message", 2)["grant_id"],
    }
    database.call("mark_test_account", user)
    arguments = {name: ids[name] if value is ... else value for name, value in GOOD[function].items()}
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
