"""Periods: the n-th month from the anchor, on the account's wall clock, half-open."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.database import Database
from tests.support.errors import raises
from tests.support.months import period
from tests.support.timed import MICROSECOND, Timed

ZONES = (
    "UTC",
    "Europe/Paris",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "America/Santiago",
    "America/Sao_Paulo",
)


# Postgres and Python take the rules of the zones from different copies of the same database, so not the far future.
MOMENTS = st.datetimes(datetime(1999, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


@settings(max_examples=300, deadline=None)
@given(anchor=MOMENTS, zone=st.sampled_from(ZONES), at=MOMENTS)
@example(anchor=utc(2024, 1, 31), zone="UTC", at=utc(2024, 2, 29))
@example(anchor=utc(2055, 10, 31, 0, 30), zone="Europe/Paris", at=utc(2055, 10, 31, 0, 30))
@example(anchor=utc(2011, 11, 30, 12), zone="Pacific/Apia", at=utc(2011, 12, 30, 12))
def test_the_period_of_any_moment_is_what_python_works_out(
    database: Database, anchor: datetime, zone: str, at: datetime
) -> None:
    seen = database.query("select * from credits.period_at(%s, %s, %s)", anchor, zone, at)
    assert seen == [period(anchor, zone, at)]
    start, end = seen[0]
    assert start <= at < end


@pytest.mark.parametrize("year", [2055, 2056])
def test_a_period_from_the_31st_ends_on_the_last_day_of_short_months(database: Database, year: int) -> None:
    user = Timed(database, start=utc(year, 1, 31, 10), plan="starter")
    february = 29 if year == 2056 else 28
    ends = []
    for _ in range(6):
        ends.append(user.period_end)
        user.at(user.period_end)
    assert ends == [
        utc(year, 2, february, 10),
        utc(year, 3, 31, 10),
        utc(year, 4, 30, 10),
        utc(year, 5, 31, 10),
        utc(year, 6, 30, 10),
        utc(year, 7, 31, 10),
    ]
    user.verify()


def test_a_period_from_29_february_ends_on_28_february_in_common_years(database: Database) -> None:
    user = Timed(database, start=utc(2056, 2, 29, 12), plan="starter")
    assert user.period_end == utc(2056, 3, 29, 12)
    assert user.at(utc(2057, 2, 1)).period_end == utc(2057, 2, 28, 12)
    assert user.at(utc(2060, 2, 1)).period_end == utc(2060, 2, 29, 12)


@pytest.mark.parametrize(
    ("zone", "start", "ends"),
    [
        # Ten o'clock in Paris is nine UTC in winter and eight in summer.
        ("Europe/Paris", utc(2055, 2, 15, 9), [utc(2055, 3, 15, 9), utc(2055, 4, 15, 8), utc(2055, 5, 15, 8)]),
        ("Europe/Paris", utc(2055, 9, 15, 8), [utc(2055, 10, 15, 8), utc(2055, 11, 15, 9)]),
        # 02:30 on 28 March 2055 does not exist in Paris: the clock reads 03:30 then.
        ("Europe/Paris", utc(2055, 2, 28, 1, 30), [utc(2055, 3, 28, 1, 30), utc(2055, 4, 28, 0, 30)]),
        # 01:30 on 7 November 2055 comes twice in New York: the second one counts.
        ("America/New_York", utc(2055, 10, 7, 5, 30), [utc(2055, 11, 7, 6, 30), utc(2055, 12, 7, 6, 30)]),
        # The last day of the month is the last day there, not in UTC.
        ("Pacific/Kiritimati", utc(2055, 1, 30, 12), [utc(2055, 2, 27, 12), utc(2055, 3, 30, 12)]),
    ],
)
def test_periods_follow_the_wall_clock_of_the_account(
    database: Database, zone: str, start: datetime, ends: list[datetime]
) -> None:
    user = Timed(database, start=start - timedelta(hours=1))
    user.call("set_time_zone", zone)
    user.at(start).call("change_plan", "starter")
    for end in ends:
        assert user.period_end == end
        user.at(end - MICROSECOND).call("consume_credits", "message", 1)
        assert user.period_end == end
        user.at(end)
    user.verify()


def test_an_upgrade_in_the_hour_that_comes_twice_starts_one_period(database: Database) -> None:
    user = Timed(database, start=utc(2055, 10, 30))
    user.call("set_time_zone", "Europe/Paris")
    first_half_past_two = utc(2055, 10, 31, 0, 30)
    user.at(first_half_past_two).call("change_plan", "starter")
    assert datetime.fromisoformat(user.balance()["period_start"]) == first_half_past_two
    assert user.period_end == utc(2055, 11, 30, 1, 30)
    user.call("consume_credits", "message", 100)
    assert user.wait(hours=2).remaining == 0
    user.verify()


def test_a_period_is_half_open_to_the_microsecond(database: Database) -> None:
    user = Timed(database, start=utc(2055, 1, 31, 10), plan="starter")
    user.call("consume_credits", "message", 60)
    end = user.period_end
    user.at(end - MICROSECOND)
    assert user.remaining == 40
    user.call("consume_credits", "message", 10)
    assert user.remaining == 30
    user.at(end)
    assert user.remaining == 100
    assert user.balance()["used"] == 0
    assert datetime.fromisoformat(user.balance()["period_start"]) == end
    assert user.call("consume_credits", "message", 1)["remaining"] == 99
    user.verify()


def test_fourteen_months_of_renewals_run_in_under_a_second(database: Database) -> None:
    # Others use the machine too: the fastest of three counts.
    took = []
    for _ in range(3):
        user = Timed(database, plan="pro")
        started = time.monotonic()
        for _ in range(14):
            user.at(user.period_end)
            assert user.call("consume_credits", "message", 1)["remaining"] == 499
        took.append(time.monotonic() - started)
        assert user.granted("pro") == 15 * 500
        user.verify()
    assert min(took) < 1


def test_a_subscription_paid_for_a_year_renews_its_credits_every_month(database: Database) -> None:
    user = Timed(database, start=utc(2055, 3, 5), plan="starter")
    for month in range(12):
        assert user.remaining == 100, month
        user.call("consume_credits", "message", 100)
        user.at(user.period_end)
    assert user.now == utc(2056, 3, 5)
    assert user.granted("starter") == 1200


def test_after_long_dormancy_only_the_current_period_is_granted(database: Database) -> None:
    user = Timed(database, start=utc(2055, 1, 31), plan="starter")
    user.call("consume_credits", "message", 30)
    user.at(utc(2059, 5, 20))
    assert user.remaining == 100
    assert user.period_end == utc(2059, 5, 31)
    assert user.call("consume_credits", "message", 1)["remaining"] == 99
    assert [grant["period_start"][:10] for grant in user.grants("plan")][-2:] == ["2055-01-31", "2059-04-30"]
    user.verify()


@pytest.mark.parametrize("back", [timedelta(microseconds=1), timedelta(days=40)])
def test_a_test_clock_never_steps_back(database: Database, back: timedelta) -> None:
    user = Timed(database)
    user.at(user.period_end)
    user.call("consume_credits", "message", 1)
    with raises("invalid_argument", "PT422"):
        user.call("set_test_clock", user.now - back)
    assert user.call("set_test_clock", user.now)["success"] is True
    assert user.remaining == 9


def test_a_real_clock_that_steps_back_never_reopens_a_period(database: Database) -> None:
    """As if the server's clock had been two months ahead and was set right again."""
    user = database.new_user()
    database.call("consume_credits", user, "message", 4)
    database.run(
        "update credits.balances set settled_at = settled_at + interval '2 months', "
        "due_at = '-infinity' where account_id = %s",
        user,
    )
    assert database.call("consume_credits", user, "message", 1)["remaining"] == 9
    ahead = database.balance(user)
    for _ in range(3):
        database.call("consume_credits", user, "message", 1)
    assert database.balance(user)["period_end"] == ahead["period_end"]
    assert database.balance(user)["remaining"] == 6
    assert database.call("reset_monthly_credits")["success"] is True
    assert database.balance(user)["remaining"] == 6
    database.verify(user)


def test_the_running_period_ends_as_it_was_to_end_when_the_time_zone_changes(database: Database) -> None:
    user = Timed(database, start=utc(2055, 2, 15, 9), plan="starter")
    user.wait(days=3).call("set_time_zone", "America/New_York")
    assert user.period_end == utc(2055, 3, 15, 9)
    # Four in the morning there, and summer time since the day before.
    assert user.at(utc(2055, 3, 15, 9)).period_end == utc(2055, 4, 15, 8)


def test_nobody_gets_more_allowances_by_moving_between_time_zones(database: Database) -> None:
    user = Timed(database, start=utc(2055, 1, 10, 12), plan="starter")
    zones = ["Pacific/Kiritimati", "Pacific/Pago_Pago", "Europe/Paris", "America/New_York"]
    for day in range(0, 365, 5):
        user.wait(days=5).call("set_time_zone", zones[day // 5 % 4])
        user.call("consume_credits", "message", 1)
    assert user.granted("starter") <= 100 * 13
    user.verify()


def test_time_passes_for_a_test_account_alone(database: Database) -> None:
    user = Timed(database)
    other = database.new_user()
    database.call("consume_credits", other, "message", 3)
    user.wait(days=400)
    assert user.remaining == 10
    assert database.balance(other)["remaining"] == 7


def test_an_unmarked_account_has_no_clock(database: Database) -> None:
    user = database.new_user()
    with raises("not_a_test_account", "PT409"):
        database.call("set_test_clock", user, datetime.now(UTC) + timedelta(days=1))
