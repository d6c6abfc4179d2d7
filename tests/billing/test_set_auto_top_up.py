"""Buying by itself, with all its brakes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.support.database import Database
from tests.support.errors import raises
from tests.support.timed import Timed


@pytest.fixture
def user(database: Database) -> Timed:
    user = Timed(database, start=datetime(2055, 3, 1, tzinfo=UTC))
    database.call("link_billing_customer", user.id, f"cus_{user.id}")
    return user


def orders(user: Timed) -> list[tuple[int, str]]:
    return user.database.query(
        "select quantity, state from credits.billing_orders where account_id = %s order by created_at", user.id
    )


def arm(user: Timed, threshold: int = 5, cap: int = 3, pack: str = "message_100", enabled: bool = True) -> str:
    answer = user.call("set_auto_top_up", "message", threshold, pack, cap, enabled)
    return str(answer["state"])


def test_the_spend_that_crosses_the_threshold_orders_once(user: Timed) -> None:
    assert arm(user) == "ready"
    user.call("consume_credits", "message", 5)
    assert orders(user) == []
    for _ in range(5):
        user.call("consume_credits", "message")
    assert orders(user) == [(1, "open")]
    user.verify()


def test_a_spend_that_is_rolled_back_orders_nothing(user: Timed) -> None:
    arm(user)
    with user.database.connect(autocommit=False) as connection:
        user.database.call("consume_credits", user.id, "message", 9, connection=connection)
        connection.rollback()
    assert orders(user) == []


@pytest.mark.parametrize(("threshold", "cap", "packs"), [(100, 9, 1), (102, 9, 1), (350, 9, 4), (350, 2, 2)])
def test_whole_packs_reach_the_threshold_in_one_charge(user: Timed, threshold: int, cap: int, packs: int) -> None:
    user.call("consume_credits", "message", 8)
    assert arm(user, threshold, cap) == "in_flight"
    assert orders(user) == [(packs, "open")]


def test_a_hold_counts_as_gone(user: Timed) -> None:
    arm(user)
    user.call("reserve_credits", "message", 6)
    assert orders(user) == [(1, "open")]


def test_nothing_is_ordered_when_it_is_off_or_past_due_or_there_is_no_customer(user: Timed) -> None:
    arm(user, enabled=False)
    user.call("consume_credits", "message", 9)
    stranger = Timed(user.database, start=user.now)
    arm(stranger)
    stranger.call("consume_credits", "message", 9)
    owing = Timed(user.database, start=user.now, plan="starter")
    user.database.call("link_billing_customer", owing.id, f"cus_{owing.id}")
    owing.call("set_subscription_status", "past_due")
    arm(owing)
    owing.call("consume_credits", "message", 98)
    assert [*orders(user), *orders(stranger), *orders(owing)] == []


def test_a_pack_of_another_type_is_refused(user: Timed) -> None:
    with raises("invalid_argument", "PT422"):
        arm(user, pack="integration_5000")
