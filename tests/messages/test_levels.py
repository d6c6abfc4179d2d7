"""Levels: warned once per level and period, in the spend's transaction, and re-armed by a grant."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.support.database import Database, call
from tests.support.people import new_workspace


def news(database: Database, account: UUID, *kinds: str) -> list[tuple[str, Any]]:
    """Kind and level (or what stands for it) of what was announced, in order."""
    return database.query(
        "select kind, coalesce(data -> 'level', data -> 'levels') from credits.outbox "
        "where account_id = %s and (kind = any (%s) or %s = '{}') order by n",
        account,
        list(kinds),
        list(kinds),
    )


def levels(database: Database, account: UUID) -> list[Any]:
    return [level for _, level in news(database, account, "credits.level")]


def test_each_level_is_told_once(database: Database) -> None:
    user = database.new_user()
    seen = []
    for _ in range(10):
        database.call("consume_credits", user, "message")
        seen.append(levels(database, user))
    assert seen == [[]] * 4 + [[50]] * 3 + [[50, 80]] * 2 + [[50, 80, 100]]
    assert database.call("consume_credits", user, "message")["success"] is False
    assert levels(database, user) == [50, 80, 100]


def test_whoever_passes_several_levels_at_once_is_told_of_the_last(database: Database) -> None:
    user = database.new_user()
    database.call("consume_credits", user, "message", 9)
    assert levels(database, user) == [80]
    [(data,)] = database.query("select data from credits.outbox where account_id = %s", user)
    assert (data["level"], data["unit"], data["used"], data["remaining"], data["percent_used"]) == (
        80,
        "percent",
        9,
        1,
        90,
    )
    assert data["percent_used"] == database.call("get_credit_summary", user)["balances"][1]["percent_used"]


@pytest.mark.parametrize("road", ["capture", "part", "batch", "slow", "workspace"])
def test_every_road_of_spending_warns(database: Database, road: str) -> None:
    user = database.new_user()
    account, team = user, None
    if road == "workspace":
        account = team = new_workspace(database, user)
    if road in ("capture", "part"):
        hold = database.call("reserve_credits", user, "message", 8)["reservation_id"]
        assert levels(database, account) == []
        database.call("capture_credits", user, hold, 8 if road == "capture" else 4, final=road == "capture")
        assert levels(database, account) == ([80] if road == "capture" else [50])
    elif road == "batch":
        database.call("consume_credits_batch", user, [{"credit_type": "message", "amount": 4}] * 2)
    elif road == "slow":
        database.call("grant_credits", user, "message", 1)
        database.call("consume_credits", user, "message", 9)
    else:
        database.call("consume_credits", user, "message", 8, workspace_id=team)
    assert levels(database, account)[-1:] == [50 if road == "part" else 80]


def test_what_is_rolled_back_warns_of_nothing_and_the_next_spend_does(database: Database) -> None:
    user = database.new_user()
    with database.connect(autocommit=False) as connection:
        call(connection, "consume_credits", user, "message", 8)
        connection.rollback()
    assert levels(database, user) == []
    database.call("consume_credits", user, "message", 8)
    assert levels(database, user) == [80]


def test_a_grant_takes_levels_down_again_and_a_refund_does_not(database: Database) -> None:
    user = database.new_user()
    spent = database.call("consume_credits", user, "message", 9)["operation_id"]
    database.call("refund_credits", user, spent, 8)
    database.call("consume_credits", user, "message", 8)
    assert levels(database, user) == [80]
    database.call("grant_credits", user, "message", 6)  # 9 of 16: 56 %
    assert news(database, user)[-1] == ("credits.recovered", [80])
    database.call("consume_credits", user, "message", 4)
    assert levels(database, user) == [80, 80]


def test_an_upgrade_lifts_the_balance_and_warns_of_nothing(database: Database) -> None:
    user = database.new_user()
    database.call("consume_credits", user, "message", 10)
    before = len(news(database, user))
    database.call("change_plan", user, "pro")
    assert {kind for kind, _ in news(database, user)[before:]} <= {"plan.changed", "credits.recovered"}
    assert levels(database, user) == [100]


def test_unlimited_never_warns(database: Database) -> None:
    user = database.new_user()
    database.run("insert into credits.credit_types values ('free_rides', 'credit', 'Rides')")
    database.run("insert into public.plan_limits (plan_id, credit_type, allowance) values ('free', 'free_rides', null)")
    database.call("consume_credits", user, "free_rides", 10**6)
    assert levels(database, user) == []


def test_a_new_period_begins_anew_and_says_so(database: Database) -> None:
    user = database.new_user()
    database.call("mark_test_account", user)
    database.call("consume_credits", user, "message", 10)
    database.call("set_test_clock", user, datetime.now(UTC) + timedelta(days=32))
    database.call("consume_credits", user, "message", 5)
    assert news(database, user, "credits.level", "credits.renewed", "credits.recovered") == [
        ("credits.level", 100),
        *[("credits.renewed", None)] * (len(news(database, user, "credits.renewed"))),
        ("credits.level", 50),
    ]
    assert news(database, user, "credits.renewed")


def test_twenty_spends_at_once_warn_of_each_level_once(database: Database) -> None:
    user = database.new_user()
    with ThreadPoolExecutor(8) as pool:

        def spend(_: int) -> None:
            with database.connect() as connection:
                call(connection, "consume_credits", user, "message")

        list(pool.map(spend, range(20)))
    assert levels(database, user) == [50, 80, 100]


def test_the_plan_is_told_once_for_all_types_of_credit(database: Database) -> None:
    user = database.new_user()
    assert news(database, user) == []
    database.call("change_plan", user, "pro")
    assert news(database, user) == [("plan.changed", None)]
    assert database.value("select data ->> 'plan_name' from credits.outbox where account_id = %s", user) == "Pro"


def test_a_hold_that_expires_is_told(database: Database) -> None:
    user = database.new_user()
    database.call("mark_test_account", user)
    database.call("reserve_credits", user, "message", 3, ttl_seconds=1)
    database.call("set_test_clock", user, datetime.now(UTC) + timedelta(minutes=1))
    database.call("consume_credits", user, "message")
    assert news(database, user) == [("hold.expired", None)]
