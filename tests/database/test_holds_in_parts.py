"""A hold can be captured in parts, each on the ledger at once."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.support.database import Database, call
from tests.support.errors import raises
from tests.support.races import race
from tests.support.timed import Timed


@pytest.fixture
def user(database: Database) -> Timed:
    return Timed(database, plan="starter")


def reserve(user: Timed, amount: int = 10, **named: Any) -> Any:
    return user.call("reserve_credits", "message", amount, **named)


class TestParts:
    def test_are_charged_at_once_and_keep_the_rest_held(self, user: Timed) -> None:
        hold = reserve(user)
        first = user.call("capture_credits", hold["reservation_id"], 4, final=False)
        assert (first["captured"], first["held"], first["released"], first["shortfall"]) == (4, 6, 0, 0)
        assert (first["used"], first["reserved"], first["remaining"]) == (4, 6, 90)
        user.verify()
        second = user.call("capture_credits", hold["reservation_id"], 1, final=False)
        last = user.call("capture_credits", hold["reservation_id"], 2)
        assert (last["captured"], last["held"], last["released"], last["used"]) == (2, 0, 3, 7)
        assert user.remaining == 93
        operations = {answer["operation_id"] for answer in (first, second, last)}
        assert len(operations | {hold["operation_id"]}) == 4
        rows = [(e["operation_id"], e["related_operation_id"], e["amount"]) for e in user.entries("capture")]
        assert rows == [(a["operation_id"], hold["operation_id"], -a["captured"]) for a in (first, second, last)]
        usage = user.database.query(
            "select credits_used from usage where account_id = %s order by created_at, id", user.id
        )
        assert sorted(usage) == [(1,), (2,), (4,)]
        user.verify()

    def test_can_be_refunded_one_by_one(self, user: Timed) -> None:
        hold = reserve(user)["reservation_id"]
        first = user.call("capture_credits", hold, 4, final=False)
        user.call("capture_credits", hold, 6)
        assert user.call("refund_credits", first["operation_id"])["amount"] == 4
        with raises("invalid_amount", "PT422"):
            user.call("refund_credits", first["operation_id"], 1)
        assert user.remaining == 94
        user.verify()

    def test_give_the_rest_back_when_it_expires_or_is_released(self, user: Timed) -> None:
        expiring, released = reserve(user, 10, ttl_seconds=60), reserve(user, 20)
        for hold in (expiring, released):
            user.call("capture_credits", hold["reservation_id"], 3, final=False)
        assert user.call("release_credits", released["reservation_id"])["released"] == 17
        user.wait(minutes=2)
        assert (user.balance()["reserved"], user.remaining, user.balance()["used"]) == (0, 94, 6)
        user.call("consume_credits", "message", 1)
        rows = user.database.query(
            "select status, captured, released from credit_reservations where account_id = %s order by amount", user.id
        )
        assert rows == [("expired", 3, 7), ("released", 3, 17)]
        with raises("reservation_closed", "PT409"):
            user.call("capture_credits", expiring["reservation_id"], 1, final=False)
        user.verify()

    def test_are_known_again_by_their_key_alone(self, user: Timed) -> None:
        hold = reserve(user)["reservation_id"]
        named = {"amount": 2, "final": False}
        first = user.call("capture_credits", hold, idempotency_key="part 1", **named)
        again = user.call("capture_credits", hold, idempotency_key="part 1", **named)
        assert again == first | {"replayed": True}
        assert user.call("capture_credits", hold, **named)["replayed"] is False
        assert user.call("capture_credits", hold, idempotency_key="part 2", **named)["replayed"] is False
        with raises("idempotency_conflict", "PT409") as seen:
            user.call("capture_credits", hold, idempotency_key="part 1", amount=3, final=False)
        assert seen.details["differs_in"] == ["amount"]
        last = user.call("capture_credits", hold)
        assert (last["captured"], user.balance()["used"]) == (4, 10)
        # Also when the hold is closed long since.
        assert user.call("capture_credits", hold, idempotency_key="part 1", **named) == first | {"replayed": True}
        assert user.call("capture_credits", hold) == last | {"replayed": True}
        user.verify()

    def test_above_the_hold_take_what_is_available(self, user: Timed) -> None:
        hold = reserve(user, 10)["reservation_id"]
        user.call("consume_credits", "message", 85)
        part = user.call("capture_credits", hold, 12, final=False)
        assert (part["captured"], part["held"], part["shortfall"], part["remaining"]) == (12, 0, 0, 3)
        last = user.call("capture_credits", hold, 9)
        assert (last["captured"], last["shortfall"], last["released"]) == (3, 6, 0)
        assert user.remaining == 0
        user.verify()

    def test_of_all_leave_nothing_for_another_but_to_close_it(self, user: Timed) -> None:
        hold = reserve(user)["reservation_id"]
        user.call("capture_credits", hold, final=False)
        with raises("invalid_amount", "PT422"):
            user.call("capture_credits", hold, final=False)
        last = user.call("capture_credits", hold)
        assert (last["captured"], last["released"], user.balance()["used"]) == (0, 0, 10)
        user.verify()

    def test_of_an_unlimited_hold_are_unlimited(self, own_database: Database) -> None:
        user = Timed(own_database, plan="starter")
        hold = user.call("reserve_credits", "project", 10)["reservation_id"]
        part = user.call("capture_credits", hold, 4, final=False)
        assert (part["remaining"], part["held"], user.balance("project")["reserved"]) == (None, 6, 6)
        user.verify()
        user.call("change_plan", "free")
        assert user.balance("project")["reserved"] == 6
        last = user.call("capture_credits", hold, 5)
        assert (last["captured"], last["released"], user.balance("project")["used"]) == (5, 1, 9)
        assert {e["grant_id"] for e in user.entries("capture", credit_type="project")} == {None}
        user.verify()

    def test_at_the_same_moment_take_no_more_than_was_held(self, database: Database) -> None:
        user = database.new_user()
        hold = database.call("reserve_credits", user, "message", 10)["reservation_id"]

        def part(connection: psycopg.Connection[Any]) -> Any:
            return call(connection, "capture_credits", user, hold, 4, final=False)

        answers = race(database, [part] * 8)
        assert sum(a["captured"] for a in answers) == 10
        assert sum(a["shortfall"] for a in answers) == 22
        database.verify(user)
