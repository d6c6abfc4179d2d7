"""Plans that change, renew and go away in one session while another one is at them."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.support.database import Database, call
from tests.support.races import Waiting, calling, race, slugs, wait_until_blocked

DAY = timedelta(days=1)
START = datetime(2060, 1, 1, tzinfo=UTC)
FIGURES = "update plan_limits set allowance = allowance * 2 where plan_id = 'free'"
PLAN = "select jsonb_agg(to_jsonb(s) - '{account_id,revision,replaced_at,n,event_n}'::text[] order by s.n) "
PLAN += "from credits.subscription_spells s where s.account_id = %s and s.replaced_at is null"


def figures(database: Database, user: UUID) -> list[int]:
    return [database.balance(user, kind)["allowance"] for kind in ("integration", "message", "project")]


def started(database: Database, plan: str = "free", start: datetime = START) -> UUID:
    user = database.new_user()
    database.call("mark_test_account", user)
    database.call("set_test_clock", user, start)
    if plan != "free":
        database.call("change_plan", user, plan)
    return user


@pytest.mark.parametrize("is_kept", [True, False])
def test_who_signs_up_while_figures_change_gets_one_version_whole_and_stays_nowhere_behind(
    own_database: Database, is_kept: bool
) -> None:
    with own_database.connect(autocommit=False) as changing:
        changing.execute(FIGURES)
        user = own_database.new_user()
        assert figures(own_database, user) == [100, 10, 3]
        (changing.commit if is_kept else changing.rollback)()
    # Credits are those of the period that began before; a limit that grows counts at once.
    assert figures(own_database, user) == [100, 10, 6 if is_kept else 3]
    assert [own_database.call("consume_credits", user, "project")["success"] for _ in range(7)].count(True) == (
        6 if is_kept else 3
    )
    own_database.verify()
    own_database.call("mark_test_account", user)
    own_database.call("set_test_clock", user, datetime.now(UTC) + 40 * DAY)
    assert figures(own_database, user) == ([200, 20, 6] if is_kept else [100, 10, 3])
    own_database.verify()


@pytest.mark.parametrize("first", ["integration", "message"])
def test_both_types_renew_under_one_version_though_it_changes_between_them(own_database: Database, first: str) -> None:
    second = {"integration": "message", "message": "integration"}[first]
    user = started(own_database)
    own_database.call("set_test_clock", user, START + 40 * DAY)
    with own_database.connect(autocommit=False) as changing:
        changing.execute(FIGURES)
        assert own_database.call("consume_credits", user, first)["success"]
        changing.commit()
    assert own_database.call("consume_credits", user, second)["success"]
    assert figures(own_database, user)[:2] == [100, 10]
    versions = "select distinct plan_version from credits.balances where account_id = %s and kind = 'credit'"
    assert own_database.query(versions, user) == [(1,)]
    own_database.verify()
    own_database.call("set_test_clock", user, START + 80 * DAY)
    own_database.call("consume_credits", user, second)
    assert figures(own_database, user)[:2] == [200, 20]
    own_database.verify()


@pytest.mark.parametrize("is_deleted", [True, False])
def test_who_moves_to_a_plan_that_is_being_deleted_waits_and_finds_it_or_not(
    own_database: Database, is_deleted: bool
) -> None:
    user = started(own_database)
    with own_database.connect(autocommit=False) as deleting:
        deleting.execute("delete from plans where id = 'elite'")
        moving = Waiting(own_database, lambda connection, who: call(connection, "change_plan", who, "elite"), user)
        wait_until_blocked(own_database, moving.connection)
        (deleting.commit if is_deleted else deleting.rollback)()
        outcome = moving.finish()
    if is_deleted:
        assert isinstance(outcome, psycopg.Error)
        assert outcome.diag.message_primary == "invalid_argument"
        assert own_database.balance(user)["remaining"] == 10
    else:
        assert outcome["plan"] == "elite"
        assert own_database.balance(user)["remaining"] == 1200
    own_database.verify()


@pytest.mark.parametrize("effective", ["now", "period_end"])
def test_a_plan_is_not_deleted_under_who_is_moving_to_it(own_database: Database, effective: str) -> None:
    user = started(own_database, "pro")
    with own_database.connect(autocommit=False) as moving:
        call(moving, "change_plan", user, "elite", effective)
        deleting = Waiting(
            own_database, lambda connection, _: connection.execute("delete from plans where id = 'elite'"), user
        )
        wait_until_blocked(own_database, deleting.connection)
        moving.commit()
        outcome = deleting.finish()
    assert isinstance(outcome, psycopg.errors.ForeignKeyViolation)
    own_database.call("set_test_clock", user, START + 40 * DAY)
    assert own_database.call("consume_credits", user, "message", 1200)["success"]
    own_database.verify()


def test_changes_of_figures_and_of_plans_at_once_never_deadlock(own_database: Database) -> None:
    users = [started(own_database, plan) for plan in ("starter", "pro", "free")]

    def change(nth: int) -> Callable[[psycopg.Connection[Any]], Any]:
        def statement(connection: psycopg.Connection[Any]) -> None:
            for turn in range(4):
                connection.execute(f"update plan_limits set allowance = allowance + {1 + nth + turn}".encode())

        return statement

    def move(nth: int) -> Callable[[psycopg.Connection[Any]], Any]:
        def calls(connection: psycopg.Connection[Any]) -> None:
            for plan in ("pro", "free", "starter", "elite"):
                call(connection, "change_plan", users[nth % 3], plan)
                call(connection, "consume_credits", users[nth % 3], "message")

        return calls

    def publish(connection: psycopg.Connection[Any]) -> None:
        for plan in ("starter", "pro", "free"):
            call(connection, "publish_plan", plan, "now")

    outcomes = race(own_database, [change(0), change(1), *(move(nth) for nth in range(4)), publish])
    assert outcomes == [None] * 7
    own_database.verify()


def test_late_news_from_many_sessions_at_once_ends_as_if_on_time(own_database: Database) -> None:
    news: list[tuple[datetime, str, dict[str, Any]]] = [
        (START + 1 * DAY, "change_plan", {"plan_id": "starter"}),
        (START + 5 * DAY, "change_plan", {"plan_id": "pro"}),
        (START + 9 * DAY, "set_subscription_status", {"status": "past_due"}),
        (START + 10 * DAY, "change_plan", {"plan_id": "starter"}),
        (START + 11 * DAY, "change_plan", {"plan_id": "elite"}),
        (START + 20 * DAY, "set_subscription_status", {"status": "active"}),
        (START + 26 * DAY, "change_plan", {"plan_id": "pro", "quantity": 3}),
    ]
    on_time, late = started(own_database), started(own_database)
    with psycopg.connect(own_database.superuser_url) as connection:
        # As if both had signed up at one instant.
        connection.execute("set session_replication_role = replica")
        connection.execute("update credits.subscription_events set happened_at = %s", [START])
        connection.execute("set session_replication_role = default")
        connection.execute("select credits.refold(a.account_id, %s) from credits.accounts a", [START])
    for at, function, named in news:
        own_database.call("set_test_clock", on_time, at)
        own_database.call(function, on_time, at=at, **named)
    for user in (on_time, late):
        own_database.call("set_test_clock", user, START + 28 * DAY)
    random.Random(7).shuffle(news)
    outcomes = race(own_database, [calling(function, late, at=at, **named) for at, function, named in news])
    assert slugs(outcomes) == ["ok"] * len(news)
    assert own_database.value(PLAN, late) == own_database.value(PLAN, on_time)
    for kind in ("integration", "message", "project"):
        [one, other] = (own_database.balance(user, kind) for user in (on_time, late))
        assert {**one, "account_id": 0, "user_id": 0} == {**other, "account_id": 0, "user_id": 0}
    own_database.verify()
