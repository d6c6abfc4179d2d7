"""Clocks, expiries and time zones that are refused."""

from __future__ import annotations

from tests.support.database import Database
from tests.support.errors import raises
from tests.support.timed import Timed


def test_a_test_clock_does_not_go_back_either_where_nothing_was_booked(database: Database) -> None:
    user = Timed(database)
    user.wait(days=1)
    with raises("invalid_argument", "PT422") as seen:
        user.wait(hours=-1)
    assert seen.details["argument"] == "p_now"


def test_a_grant_that_expires_now_is_refused(database: Database) -> None:
    user = Timed(database)
    with raises("invalid_argument", "PT422") as seen:
        user.call("grant_credits", "message", 1, expires_at=user.now)
    assert seen.details["argument"] == "p_expires_at"


def test_a_time_zone_that_does_not_exist_is_refused(database: Database) -> None:
    user = Timed(database)
    with raises("invalid_argument", "PT422") as seen:
        user.call("set_time_zone", "Mars/Olympus")
    assert seen.details["argument"] == "p_time_zone"
