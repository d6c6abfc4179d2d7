"""`sonas metrics`: tables and courses for people, every bucket for programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from cli._bucket_grid import places
from cli._sparkline import sparkline
from sonas_supabase.metric_models import MetricWindow
from tests.cli.conftest import Sonas
from tests.support.database import Database

Answer = Callable[..., Any]


@pytest.fixture(scope="module", autouse=True)
def some_business(database: Database) -> None:
    """Two users who spend, one of whom is denied and upgrades."""
    first, second = database.new_user(), database.new_user()
    database.call("consume_credits", first, "message", 10, metadata={"model": "large"})
    database.call("consume_credits", first, "message", 1)
    database.call("change_plan", first, "starter")
    database.call("consume_credits", second, "integration", 4)


def test_all_figures_at_a_glance(sonas: Sonas) -> None:
    result = sonas("metrics")
    assert result.exit_code == 0, result.output
    for title in ("Consumption", "From free to paid", "Usage", "Exhaustion", "Breakage", "Active", "Credits owed"):
        assert title in result.stdout
    assert "█" in result.stdout


def test_json_has_every_bucket(answer: Answer) -> None:
    found = answer("metrics")
    assert set(found) == {"consumption", "conversion", "usage", "exhaustion", "breakage", "active", "liability"}
    assert found["conversion"]["upgrades"] == 1
    assert found["conversion"]["after_denial"]["within_24_hours"] == 1
    only = answer("metrics", "usage", "--key", "model")
    assert [(row["value"], row["spent"]) for row in only["rows"]] == [("large", 10)]


def test_csv_is_a_table(sonas: Sonas) -> None:
    result = sonas("metrics", "consumption", "--csv", "--type", "integration", "--plan", "free")
    [row] = csv.DictReader(io.StringIO(result.stdout))
    assert (row["plan"], row["spent"], row["granted"]) == ("free", "4", "200")


def test_weekdays_have_names_and_the_smallest_are_taken_together(sonas: Sonas) -> None:
    assert "day" in sonas("metrics", "usage", "--by", "weekday").stdout.splitlines()[2]
    assert "all others" in sonas("metrics", "usage", "--by", "account", "--limit", 1).stdout


def test_roll_up_and_track(answer: Answer) -> None:
    assert answer("metrics", "track", "--key", "model")["tracked"] == ["model"]
    before = answer("metrics", "consumption", "--until", "2100-01-01", "--since", "2020-01-01", "--bucket", "year")
    assert answer("metrics", "roll-up")["balances"] == 6
    after = answer("metrics", "consumption", "--until", "2100-01-01", "--since", "2020-01-01", "--bucket", "year")
    assert before == after


@pytest.mark.parametrize("words", [("usages",), ("track",), ("--csv",)])
def test_what_is_not_there_is_named(answer: Answer, words: tuple[str, ...]) -> None:
    assert answer("metrics", *words, exit_code=2)["code"] == "usage"


@pytest.mark.parametrize(
    ("values", "line"),
    [([], ""), ([0, 0], "▁▁"), ([0, 1, 2], "▁▅█"), ([1, 1, 1, 1], "██"), ([-1, 7], "▁█")],
)
def test_a_sparkline_goes_from_nothing_to_the_largest(values: list[float], line: str) -> None:
    assert sparkline(values, width=2 if len(values) == 4 else 40) == line


@pytest.mark.parametrize(
    ("bucket", "seen", "place", "count"),
    [
        ("hour", datetime(2055, 3, 28, 23, tzinfo=UTC), 23 + 27 * 24, 33 * 24 + 1),
        # 28 March has 23 hours in Paris; its days begin at 22:00 UTC from then on.
        ("day", datetime(2055, 3, 28, 22, tzinfo=UTC), 28, 34),
        ("week", datetime(2055, 3, 28, 22, tzinfo=UTC), 4, 5),
        ("month", datetime(2055, 3, 31, 22, tzinfo=UTC), 1, 2),
        ("6 hours", datetime(2055, 3, 31, 22, tzinfo=UTC), 0, 1),
    ],
)
def test_a_course_has_a_place_for_every_bucket(bucket: str, seen: datetime, place: int, count: int) -> None:
    window = MetricWindow(
        since=datetime(2055, 3, 1, tzinfo=UTC),
        until=datetime(2055, 4, 3, 0, 30, tzinfo=UTC),
        bucket=bucket,
        time_zone="Europe/Paris",
    )
    assert places(window, [seen, seen]) == ({seen: place}, count)


def test_prometheus_prints_what_an_operator_watches(sonas: Sonas, answer: Answer) -> None:
    assert "\nsonas_up 1.0\n" in sonas("metrics", "prometheus").stdout
    assert answer("metrics", "prometheus")["open_reservations"] == 0
