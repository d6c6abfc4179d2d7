"""Each metric equals its definition, computed in Python, over any window and bucket, from rollups and without."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.metrics.conftest import World
from tests.metrics.oracle import Entry, Window

WINDOWS = [
    pytest.param(0.37, 93.21, "day", "UTC", id="days"),
    pytest.param(0, 80, "all", "UTC", id="as a whole"),
    pytest.param(10.123, 31.9, "hour", "America/New_York", id="hours in New York"),
    pytest.param(3.3, 66.6, "week", "Europe/Paris", id="weeks in Paris"),
    pytest.param(1, 90, "month", "Asia/Kolkata", id="months in Kolkata, half an hour off"),
    pytest.param(20.5, 40.5, "6 hours", "UTC", id="quarters of a day"),
    pytest.param(5.01, 5.02, "15 minutes", "UTC", id="a quarter of an hour"),
    pytest.param(2.2, 100, "10 days", "UTC", id="ten days"),
]


def at_midnight(world: World) -> datetime:
    """The first midnight (UTC) of the history."""
    first: datetime = min(world.books.opened.values())
    return first.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def window_of(world: World, first: float, last: float, bucket: str, time_zone: str) -> Window:
    start = at_midnight(world)
    return Window(start + timedelta(days=first), start + timedelta(days=last), bucket, time_zone)


def ask(world: World, metric: str, window: Window, **more: Any) -> Any:
    """The answer, which must be the same from the rollups and from the ledger."""
    arguments = vars(window) | more
    answer = read(world.database.call(metric, **arguments))
    assert answer == read(world.database.call(metric, raw=True, **arguments))
    assert (answer["success"], answer["bucket"]) == (True, window.bucket)
    return answer


def read(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: read(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [read(item) for item in value]
    if name in ("bucket", "at", "since", "until") and isinstance(value, str) and value[:2] == "20":
        return datetime.fromisoformat(value).astimezone(UTC)
    return value


def same(rows: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    def in_order(listed: list[dict[str, Any]]) -> list[str]:
        return sorted(json.dumps(read(row), default=str, sort_keys=True) for row in listed)

    assert in_order(rows) == in_order([{k: utc(v) for k, v in row.items()} for row in expected])


def utc(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) else value


@pytest.mark.parametrize(("first", "last", "bucket", "time_zone"), WINDOWS)
class TestAnyWindowAndBucket:
    """By definition, from the rollups, and from the ledger: three times the same figures."""

    def test_consumption(self, world: World, first: float, last: float, bucket: str, time_zone: str) -> None:
        window = window_of(world, first, last, bucket, time_zone)
        same(ask(world, "metrics_consumption", window)["rows"], world.books.consumption(window))

    def test_breakage(self, world: World, first: float, last: float, bucket: str, time_zone: str) -> None:
        window = window_of(world, first, last, bucket, time_zone)
        same(ask(world, "metrics_breakage", window)["rows"], world.books.breakage(window))

    def test_active_accounts(self, world: World, first: float, last: float, bucket: str, time_zone: str) -> None:
        window = window_of(world, first, last, bucket, time_zone)
        same(ask(world, "metrics_active_accounts", window)["rows"], world.books.active_accounts(window))

    def test_liability(self, world: World, first: float, last: float, bucket: str, time_zone: str) -> None:
        window = window_of(world, first, last, bucket, time_zone)
        same(ask(world, "metrics_liability", window)["rows"], world.books.liability(window))

    def test_conversion(self, world: World, first: float, last: float, bucket: str, time_zone: str) -> None:
        window = window_of(world, first, last, bucket, time_zone)
        answer, expected = ask(world, "metrics_conversion", window), world.books.conversion(window)
        same(answer.pop("rows"), expected.pop("rows"))
        assert {key: answer[key] for key in expected} == expected

    def test_exhaustion(self, world: World, first: float, last: float, bucket: str, time_zone: str) -> None:
        window = window_of(world, first, last, bucket, time_zone)
        answer, expected = ask(world, "metrics_exhaustion", window), world.books.exhaustion(window)
        same(answer["rows"], expected["rows"])
        found, wanted = answer["first_denial_to_upgrade"], expected["first_denial_to_upgrade"]
        assert found.pop("median_hours") == pytest.approx(wanted.pop("median_hours"), abs=1e-4)
        assert found == wanted

    @pytest.mark.parametrize(
        "by", ["plan", "credit_type", "source", "weekday", "hour", "cohort", "account", "model", "n"]
    )
    def test_usage(self, world: World, first: float, last: float, bucket: str, time_zone: str, by: str) -> None:
        window = window_of(world, first, last, bucket, time_zone)
        zone = ZoneInfo(time_zone)
        values: dict[str, Callable[[Entry], Any]] = {
            "plan": lambda e: e.plan,
            "credit_type": lambda e: e.credit_type,
            "source": lambda e: e.source,
            "weekday": lambda e: str(e.at.astimezone(zone).isoweekday()),
            "hour": lambda e: str(e.at.astimezone(zone).hour),
            "cohort": lambda e: f"{world.books.opened[e.account].astimezone(UTC):%Y-%m}",
            "account": lambda e: str(e.account),
        }
        # `model` is tracked, `n` is not.
        more = {"by": by} if by in values else {"by": "metadata", "metadata_key": by}
        value = values.get(by, lambda e: None if by not in e.metadata else str(e.metadata[by]))
        limit = 5 if by == "account" else 24
        answer = ask(world, "metrics_usage", window, limit=limit, **more)
        same(answer["rows"], world.books.usage(window, value, limit))


def test_the_history_has_something_of_everything(world: World) -> None:
    window = window_of(world, 0, 100, "all", "UTC")
    flows = world.books.consumption(window)
    assert all(sum(row[name] for row in flows) for name in ("granted", "spent", "refunded", "expired", "voided"))
    conversion = world.books.conversion(window)
    assert conversion["after_denial"]["within_24_hours"] > 0
    assert conversion["after_80_percent"]["within_7_days"] > conversion["after_80_percent"]["within_24_hours"] > 0
    assert sum(row["ran_dry"] for row in world.books.exhaustion(window)["rows"]) > 5
    [(lagging, rolled)] = world.database.query(
        "select (select count(*) from credits.lagging), (select count(*) from credits.rolled_up)"
    )
    assert lagging > 5
    assert rolled > 50


def test_one_plan_and_one_type_alone(world: World) -> None:
    window = window_of(world, 2, 88.8, "week", "UTC")
    for metric in ("metrics_consumption", "metrics_breakage", "metrics_exhaustion"):
        everything = ask(world, metric, window)["rows"]
        some = ask(world, metric, window, plan="free", credit_type="message")["rows"]
        assert some == [row for row in everything if (row["plan"], row["credit_type"]) == ("free", "message")] != []


def test_what_is_owed_now_is_what_the_open_grants_hold(world: World) -> None:
    [row] = world.database.query(
        "select sum(case when voided_at is null and (expires_at is null or expires_at > now()) then remaining "
        "else held end), sum(held) from public.credit_grants where credit_type <> 'project' and remaining > 0"
    )
    now = world.database.call("metrics_liability")["now"]
    assert (sum(owed["owed"] for owed in now), sum(owed["held"] for owed in now)) == row


@pytest.mark.parametrize("first", [-20, 2.2, *range(9, 40, 2)])
def test_who_spent_most_whatever_days_of_a_month_the_window_cuts(world: World, first: float) -> None:
    for last in (36, 47.5, *range(58, 92, 4), 91.5, 102, 400):
        if first < last:
            window = window_of(world, first, last, "all", "UTC")
            rows = world.database.call("metrics_usage", **vars(window), by="account", limit=5)["rows"]
            same(read(rows), world.books.usage(window, lambda entry: str(entry.account), 5))


def test_an_upgrade_at_the_first_instant_of_a_window_is_in_it(world: World) -> None:
    upgrades = [spell.end for spell in world.books.free_spells() if spell.upgraded]
    assert upgrades
    for since in upgrades[:5]:
        window = Window(since, since + timedelta(days=3), "day", "UTC")
        answer, expected = ask(world, "metrics_conversion", window), world.books.conversion(window)
        same(answer.pop("rows"), expected.pop("rows"))
        assert {key: answer[key] for key in expected} == expected
        assert answer["upgrades"] >= 1
