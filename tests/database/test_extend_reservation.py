"""A hold is extended from now, and never shorter than it was."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.support.database import Database
from tests.support.errors import raises
from tests.support.timed import Timed


@pytest.fixture
def user(database: Database) -> Timed:
    return Timed(database, plan="starter")


def reserve(user: Timed, amount: int = 10, **named: Any) -> Any:
    return user.call("reserve_credits", "message", amount, **named)


def test_is_from_now_and_never_shorter(user: Timed) -> None:
    hold = reserve(user, 10, ttl_seconds=60)
    user.wait(seconds=50)
    longer = user.call("extend_reservation", hold["reservation_id"], 60)
    assert datetime.fromisoformat(longer["expires_at"]) == user.now + timedelta(seconds=60)
    assert user.call("extend_reservation", hold["reservation_id"], 5)["expires_at"] == longer["expires_at"]
    assert (longer["amount"], longer["reserved"]) == (10, 10)
    user.wait(seconds=59)
    assert user.balance()["reserved"] == 10
    user.verify()
    assert user.call("capture_credits", hold["reservation_id"])["captured"] == 10
    user.verify()


def test_a_hold_lasts_a_day_each_time(user: Timed) -> None:
    hold = reserve(user)["reservation_id"]
    for _ in range(3):
        user.call("extend_reservation", hold, 86400)
        user.wait(hours=23)
    assert user.balance()["reserved"] == 10
    user.verify()
    user.wait(hours=1)
    assert user.balance()["reserved"] == 0
    with raises("reservation_closed", "PT409"):
        user.call("extend_reservation", hold)
    user.verify()


def test_a_hold_keeps_what_it_pinned_beyond_the_period(user: Timed) -> None:
    user.at(user.period_end - timedelta(minutes=1))
    hold = reserve(user, 100, ttl_seconds=30)["reservation_id"]
    user.call("extend_reservation", hold, 600)
    user.wait(minutes=5)
    assert (user.balance()["reserved"], user.remaining) == (100, 100)
    assert user.call("capture_credits", hold)["captured"] == 100
    user.verify()


@pytest.mark.parametrize("ttl", [0, -1, 86401, None])
def test_a_hold_has_the_bounds_of_a_hold(user: Timed, ttl: int | None) -> None:
    hold = reserve(user)["reservation_id"]
    with raises("invalid_argument", "PT422") as seen:
        user.call("extend_reservation", hold, ttl)
    assert seen.details["argument"] == "p_ttl_seconds"


def test_a_hold_is_for_the_account_that_holds(database: Database, user: Timed) -> None:
    hold = reserve(user)["reservation_id"]
    other: UUID = database.new_user()
    with raises("reservation_not_found", "PT404"):
        database.call("extend_reservation", other, hold)
    user.call("freeze_account")
    with raises("account_frozen", "PT403"):
        user.call("extend_reservation", hold)
