"""Many connections at once, and the books come out as if they had come one after the other."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from uuid import uuid4

import pytest

from tests.support.database import Database, call
from tests.support.people import user_without_account
from tests.support.races import calling, race, slug, slugs
from tests.support.tables import metered_projects


def test_twenty_holds_of_75_on_500_credits_give_exactly_six(database: Database) -> None:
    user = database.new_user()
    database.call("change_plan", user, "pro")
    outcomes = race(database, [lambda c: call(c, "reserve_credits", user, "message", 75)] * 20)
    assert Counter(slugs(outcomes)) == {"ok": 6, "insufficient_credits": 14}
    assert database.balance(user)["remaining"] == 50
    assert database.balance(user)["reserved"] == 450
    database.verify(user)


def test_fifty_spends_of_one_on_ten_credits_give_exactly_ten(database: Database) -> None:
    user = database.new_user()
    outcomes = race(database, [lambda c: call(c, "consume_credits", user, "message")] * 50)
    assert Counter(slugs(outcomes)) == {"ok": 10, "insufficient_credits": 40}
    assert sorted(o["remaining"] for o in outcomes if o["success"]) == list(range(10))
    assert database.balance(user)["remaining"] == 0
    assert database.value("select min(balance_after) from credit_transactions where account_id = %s", user) == 0
    database.verify(user)


def test_three_of_twenty_concurrent_projects_are_created_by_calls(database: Database) -> None:
    user = database.new_user()
    outcomes = race(database, [lambda c: call(c, "consume_credits", user, "project")] * 20)
    assert Counter(slugs(outcomes)) == {"ok": 3, "limit_reached": 17}
    database.verify(user)


def test_three_of_twenty_concurrent_projects_are_created_by_inserts(database: Database) -> None:
    user = database.new_user()
    table = metered_projects(database)
    insert = f"insert into {table} (owner_id) values (%s) returning jsonb_build_object('code', 'ok', 'replayed', false)"
    outcomes = race(database, [lambda c: c.execute(insert.encode(), [user]).fetchone()[0]] * 20)  # type: ignore[index]
    assert Counter(slugs(outcomes)) == {"ok": 3, "limit_reached": 17}
    assert database.value(f"select count(*) from {table}") == 3
    database.verify(user)


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("consume_credits", {"credit_type": "message", "amount": 2}),
        ("reserve_credits", {"credit_type": "message", "amount": 2}),
        ("grant_credits", {"credit_type": "message", "amount": 2}),
        ("change_plan", {"plan_id": "starter"}),
    ],
)
def test_one_key_from_ten_connections_takes_effect_once(
    database: Database, function: str, arguments: dict[str, object]
) -> None:
    user = database.new_user()
    key = str(uuid4())
    outcomes = race(database, [lambda c: call(c, function, user, **arguments, idempotency_key=key)] * 10)
    assert Counter(slugs(outcomes)) == {"ok": 1, "replayed": 9}
    assert len({o["operation_id"] for o in outcomes}) == 1
    database.verify(user)


def test_one_key_for_two_requests_at_once_takes_effect_once(database: Database) -> None:
    """Different credit types, so that no lock of a balance makes one wait for the other."""
    user = database.new_user()
    types = ["message", "integration"] * 5
    outcomes = race(
        database, [calling("consume_credits", user, credit_type, idempotency_key="one key") for credit_type in types]
    )
    assert Counter(slugs(outcomes)) == {"ok": 1, "replayed": 4, "idempotency_conflict": 5}
    used = [database.balance(user, credit_type)["used"] for credit_type in ("message", "integration")]
    assert sorted(used) == [0, 1]
    database.verify(user)


@pytest.mark.parametrize("attempt", range(4))
def test_of_captures_and_releases_of_one_hold_exactly_one_wins(database: Database, attempt: int) -> None:
    user = database.new_user()
    hold = database.call("reserve_credits", user, "message", 5)["reservation_id"]
    captures = [lambda c, n=n: call(c, "capture_credits", user, hold, n) for n in (1, 2, 3, 4)]
    releases = [lambda c: call(c, "release_credits", user, hold)] * 4
    outcomes = race(database, captures + releases)
    assert Counter(slugs(outcomes)) == {"ok": 1, "reservation_closed": 7}
    [winner] = [o for o in outcomes if slug(o) == "ok"]
    assert database.balance(user)["remaining"] == 10 - winner.get("captured", 0)
    assert database.balance(user)["reserved"] == 0
    database.verify(user)


def test_the_same_capture_from_eight_connections_charges_once(database: Database) -> None:
    user = database.new_user()
    hold = database.call("reserve_credits", user, "message", 5)["reservation_id"]
    outcomes = race(database, [lambda c: call(c, "capture_credits", user, hold, 3)] * 8)
    assert Counter(slugs(outcomes)) == {"ok": 1, "replayed": 7}
    assert database.balance(user)["used"] == 3
    database.verify(user)


@pytest.mark.parametrize("attempt", range(4))
def test_capture_release_and_expiry_of_one_hold_end_it_once(database: Database, attempt: int) -> None:
    user = database.new_user()
    database.call("mark_test_account", user)
    hold = database.call("reserve_credits", user, "message", 5, ttl_seconds=60)
    later = database.value("select %s::timestamptz", hold["expires_at"]) + timedelta(seconds=1)
    outcomes = race(
        database,
        [
            lambda c: call(c, "set_test_clock", user, later),
            lambda c: call(c, "capture_credits", user, hold["reservation_id"]),
            lambda c: call(c, "release_credits", user, hold["reservation_id"]),
        ],
    )
    assert slug(outcomes[0]) == "ok"
    winners = [o for o in outcomes[1:] if slug(o) == "ok"]
    database.call("reset_monthly_credits")
    [(status, captured)] = database.query(
        "select status, captured from credit_reservations where account_id = %s", user
    )
    assert status in ("captured", "released", "expired")
    assert len(winners) == (0 if status == "expired" else 1)
    assert captured == (5 if status == "captured" else 0)
    assert database.balance(user)["remaining"] == 10 - captured
    database.verify(user)


def test_refunds_at_once_never_exceed_the_operation(database: Database) -> None:
    user = database.new_user()
    spend = database.call("consume_credits", user, "message", 10)["operation_id"]
    outcomes = race(database, [lambda c: call(c, "refund_credits", user, spend, 3)] * 12)
    assert Counter(slugs(outcomes)) == {"ok": 3, "invalid_amount": 9}
    assert database.balance(user)["remaining"] == 9
    database.verify(user)


def test_plan_changes_at_once_grant_no_more_than_the_largest_plan(database: Database) -> None:
    user = database.new_user()
    database.call("change_plan", user, "starter")
    plans = ["builder", "pro", "elite", "starter"] * 4
    outcomes = race(database, [calling("change_plan", user, plan) for plan in plans])
    assert set(slugs(outcomes)) == {"ok"}
    granted = database.value(
        "select sum(amount) from credit_transactions where account_id = %s and credit_type = 'message' "
        "and kind = 'grant'",
        user,
    )
    assert granted <= 10 + 1200
    database.verify(user)


def test_two_renewers_at_once_renew_every_account_once(own_database: Database) -> None:
    users = [own_database.new_user() for _ in range(30)]
    for user in users:
        own_database.call("mark_test_account", user)
        end = own_database.value("select period_end from credit_balances where account_id = %s limit 1", user)
        own_database.call("set_test_clock", user, end)
    outcomes = race(own_database, [lambda c: call(c, "reset_monthly_credits")] * 4)
    assert set(slugs(outcomes)) == {"ok"}
    assert sum(o["accounts"] for o in outcomes) == 30
    assert own_database.call("reset_monthly_credits")["accounts"] == 0
    assert own_database.query(
        "select count(*), count(distinct (account_id, period_start)) from credit_grants "
        "where source = 'plan' and credit_type = 'message'"
    ) == [(60, 60)]
    own_database.verify()


def test_restarts_at_once_leave_the_same_as_one(database: Database) -> None:
    user = database.new_user()
    database.call("consume_credits", user, "message", 7)
    outcomes = race(database, [lambda c: call(c, "reset_monthly_credits", user)] * 8)
    assert set(slugs(outcomes)) == {"ok"}
    assert database.balance(user)["remaining"] == 10
    database.verify(user)


def test_an_account_that_sign_up_failed_to_open_is_opened_once_by_ten_first_calls(database: Database) -> None:
    user = user_without_account(database)
    outcomes = race(database, [lambda c: call(c, "consume_credits", user, "message")] * 10)
    assert set(slugs(outcomes)) == {"ok"}
    assert database.balance(user)["remaining"] == 0
    database.verify(user)
