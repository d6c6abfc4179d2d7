"""Keys: the same request takes effect once, another one is refused, and a denial leaves the key free."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from tests.support.database import Database
from tests.support.errors import raises
from tests.support.people import fingerprint, new_workspace
from tests.support.races import weaken

# For each function that takes a key: a request, and changes each of which makes it another one.
REQUESTS: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "consume_credits": (
        {"credit_type": "message", "amount": 2, "description": "chat", "metadata": {"a": 1}},
        [{"amount": 3}, {"credit_type": "integration"}, {"description": "other"}, {"metadata": {"a": 2}}],
    ),
    "reserve_credits": (
        {"credit_type": "message", "amount": 2, "ttl_seconds": 60},
        [{"amount": 3}, {"credit_type": "integration"}, {"ttl_seconds": 61}, {"metadata": {"a": 2}}],
    ),
    "refund_credits": ({"operation_id": ..., "amount": 1}, [{"amount": 2}, {"amount": None}, {"reason": "other"}]),
    "grant_credits": (
        {"credit_type": "message", "amount": 2},
        [{"amount": 3}, {"source": "top_up"}, {"credit_type": "integration"}, {"expires_at": "2099-01-01T00:00:00Z"}],
    ),
    "change_plan": (
        {"plan_id": "pro", "at": "2020-01-01T00:00:00Z"},
        [{"plan_id": "elite"}, {"effective": "period_end"}, {"at": None}, {"at": "2020-01-02T00:00:00Z"}],
    ),
}


def request_of(database: Database, user: UUID, function: str) -> dict[str, Any]:
    arguments, _ = REQUESTS[function]
    if "operation_id" in arguments:
        arguments = arguments | {"operation_id": database.call("consume_credits", user, "message", 4)["operation_id"]}
    return dict(arguments)


@pytest.mark.parametrize("function", REQUESTS)
def test_the_same_request_is_answered_as_the_first_time(database: Database, user: UUID, function: str) -> None:
    arguments = request_of(database, user, function)
    first = database.call(function, user, **arguments, idempotency_key="key")
    assert (first["success"], first["replayed"]) == (True, False)
    # What happens in between does not change the answer.
    database.call("grant_credits", user, "message", 50)
    state = fingerprint(database, user)
    for _ in range(3):
        assert database.call(function, user, **arguments, idempotency_key="key") == first | {"replayed": True}
    assert fingerprint(database, user) == state
    database.verify(user)


@pytest.mark.parametrize(
    ("function", "change"), [(function, change) for function, (_, changes) in REQUESTS.items() for change in changes]
)
def test_another_request_under_the_key_is_refused(
    database: Database, user: UUID, function: str, change: dict[str, Any]
) -> None:
    arguments = request_of(database, user, function)
    database.call(function, user, **arguments, idempotency_key="key")
    state = fingerprint(database, user)
    with raises("idempotency_conflict", "PT409") as seen:
        database.call(function, user, **arguments | change, idempotency_key="key")
    assert seen.details["idempotency_key"] == "key"
    assert seen.details["differs_in"] == [*change]
    assert fingerprint(database, user) == state


def test_a_key_belongs_to_one_function(database: Database, user: UUID) -> None:
    database.call("consume_credits", user, "message", 2, idempotency_key="key")
    for function in ("reserve_credits", "grant_credits"):
        with raises("idempotency_conflict"):
            database.call(function, user, "message", 2, idempotency_key="key")


def test_a_key_of_something_with_a_time_belongs_to_one_function_too(database: Database, user: UUID) -> None:
    database.call("change_plan", user, "pro", idempotency_key="timed", at="2020-01-01T00:00:00Z")
    with raises("idempotency_conflict", "PT409"):
        database.call("consume_credits", user, "message", idempotency_key="timed")


def test_a_key_belongs_to_one_account(database: Database, user: UUID) -> None:
    other = database.new_user()
    workspace = new_workspace(database, user)
    answers = [
        database.call("consume_credits", user, "message", idempotency_key="key"),
        database.call("consume_credits", other, "message", idempotency_key="key"),
        database.call("consume_credits", user, "message", idempotency_key="key", workspace_id=workspace),
    ]
    assert [answer["replayed"] for answer in answers] == [False] * 3
    assert len({answer["operation_id"] for answer in answers}) == 3


@pytest.mark.parametrize("function", ["consume_credits", "reserve_credits"])
def test_a_denial_does_not_use_the_key_up(database: Database, user: UUID, function: str) -> None:
    assert database.call(function, user, "message", 11, idempotency_key="key")["success"] is False
    assert database.call(function, user, "message", 12, idempotency_key="key")["success"] is False
    database.call("grant_credits", user, "message", 5)
    answer = database.call(function, user, "message", 11, idempotency_key="key")
    assert (answer["success"], answer["replayed"]) == (True, False)


def test_an_error_does_not_use_the_key_up(database: Database, user: UUID) -> None:
    with raises("invalid_argument"):
        database.call("grant_credits", user, "message", 5, "gift", idempotency_key="key")
    assert database.call("grant_credits", user, "message", 5, idempotency_key="key")["replayed"] is False


def test_a_rolled_back_request_leaves_its_key_free(database: Database, user: UUID) -> None:
    with database.connect(autocommit=False) as connection:
        database.call("consume_credits", user, "message", 5, idempotency_key="key", connection=connection)
        connection.rollback()
    assert database.call("consume_credits", user, "message", 5, idempotency_key="key")["replayed"] is False


def test_a_replay_is_answered_even_when_the_account_is_frozen_or_empty(database: Database, user: UUID) -> None:
    first = database.call("consume_credits", user, "message", 10, idempotency_key="key")
    assert database.call("consume_credits", user, "message", 10, idempotency_key="key")["replayed"] is True
    database.call("freeze_account", user)
    assert database.call("consume_credits", user, "message", 10, idempotency_key="key") == first | {"replayed": True}


def test_keys_of_items_take_effect_once_each(database: Database, user: UUID) -> None:
    items = [
        {"credit_type": "message", "amount": 2, "idempotency_key": "a"},
        {"credit_type": "integration", "amount": 5, "idempotency_key": "b"},
    ]
    first = database.call("consume_credits_batch", user, items)
    again = database.call("consume_credits_batch", user, items)
    assert [item["replayed"] for item in first["items"]] == [False, False]
    assert [item["replayed"] for item in again["items"]] == [True, True]
    assert again["replayed"] is True
    assert database.balance(user)["used"] == 2
    # One new item beside one that was paid for: only the new one is charged.
    mixed = database.call("consume_credits_batch", user, [items[0], items[1] | {"idempotency_key": "c"}])
    assert [item["replayed"] for item in mixed["items"]] == [True, False]
    assert (database.balance(user)["used"], database.balance(user, "integration")["used"]) == (2, 10)
    database.verify(user)


def test_a_spend_is_answered_again_with_figures_that_its_key_did_not_have_to_keep(
    database: Database, user: UUID
) -> None:
    """With the allowance alone the ledger tells them; bought, held and refunded credits are told by the key."""

    def spend(credit_type: str, amount: int, key: str, batch: bool) -> dict[str, Any]:
        if not batch:
            alone: dict[str, Any] = database.call("consume_credits", user, credit_type, amount, idempotency_key=key)
            return alone
        items = [
            {"credit_type": "integration", "idempotency_key": f"{key} first"},
            {"credit_type": credit_type, "amount": amount, "idempotency_key": key},
        ]
        answer: dict[str, Any] = database.call("consume_credits_batch", user, items)
        return answer["items"][1]  # type: ignore[no-any-return]

    made: list[tuple[tuple[str, int, str, bool], dict[str, Any]]] = []

    def spend_both(credit_type: str, amount: int, name: str) -> None:
        for batch in (False, True):
            request = (credit_type, amount, f"{name} {batch}", batch)
            made.append((request, spend(*request)))

    spend_both("message", 1, "of the allowance")
    spend_both("project", 1, "of a limit")
    hold = database.call("reserve_credits", user, "message", 1)["reservation_id"]
    spend_both("message", 1, "beside a hold")
    database.call("grant_credits", user, "message", 20, "top_up")
    spend_both("message", 5, "of several grants")
    database.call("refund_credits", user, made[0][1]["operation_id"])
    spend_both("message", 1, "after a refund")
    database.call("release_credits", user, hold)
    database.run("update credits.balances set allowance = null where account_id = %s and credit_type = 'message'", user)
    spend_both("message", 1000, "of no allowance")
    database.run("update credits.balances set allowance = 10 where account_id = %s and credit_type = 'message'", user)

    for request, first in made:
        assert first["success"]
        assert spend(*request) == first | {"replayed": True}
    kept = dict(
        database.query(
            "select idempotency_key, answer from credits.idempotency_keys where account_id = %s and request is null",
            user,
        )
    )
    assert (kept["of the allowance False"], kept["of the allowance True"]) == (None, None)
    assert kept["beside a hold False"] == {"remaining": 6, "used": 3, "reserved": 1}


def test_a_batch_that_is_denied_leaves_the_keys_of_its_items_free(database: Database, user: UUID) -> None:
    items = [{"credit_type": "message", "idempotency_key": "a"}, {"credit_type": "project", "amount": 4}]
    assert database.call("consume_credits_batch", user, items)["success"] is False
    assert database.call("consume_credits", user, "message", idempotency_key="a")["replayed"] is False


def test_keys_are_kept_as_long_as_the_ledger(database: Database) -> None:
    """No function deletes them: a year later the same request is still a replay."""
    from tests.support.timed import Timed

    user = Timed(database)
    user.call("consume_credits", "message", 2, idempotency_key="key")
    user.wait(days=400)
    database.call("reset_monthly_credits")
    assert user.call("consume_credits", "message", 2, idempotency_key="key")["replayed"] is True
    assert user.remaining == 10


def test_without_the_comparison_another_request_would_be_answered_with_the_first_result(
    own_database: Database,
) -> None:
    """The guard removed: this is the mistake of systems that look at the key alone."""
    user = own_database.new_user()
    weaken(own_database, "credits.replay(uuid, text, jsonb)", "v_differs_in <> '[]'", "false")
    own_database.call("consume_credits", user, "message", 2, idempotency_key="key")
    assert own_database.call("consume_credits", user, "message", 9, idempotency_key="key")["amount"] == 2


def test_without_the_look_up_a_repeated_request_would_not_be_a_replay(own_database: Database) -> None:
    """The guard removed: the unique key still keeps the second effect out, with an error."""
    user = own_database.new_user()
    weaken(own_database, "credits.replay(uuid, text, jsonb)", "if not found then", "if true then")
    own_database.call("consume_credits", user, "message", 2, idempotency_key="key")
    with raises("idempotency_conflict"):
        own_database.call("consume_credits", user, "message", 2, idempotency_key="key")
    assert own_database.balance(user)["remaining"] == 8
