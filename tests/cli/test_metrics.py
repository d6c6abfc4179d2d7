"""`sonas metrics`: tables and courses for people, every bucket for programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console
from typer.testing import CliRunner

from cli import _metric_tables
from cli._bucket_grid import places
from cli._sparkline import sparkline
from sonas_cli.app import app
from sonas_supabase import CreditsClient
from sonas_supabase.local import free_port
from sonas_supabase.models.metrics import MetricWindow
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
    database.call("grant_credits", second, "message", 500, "top_up", paid_amount=123_456_789, currency="usd")


def test_all_figures_at_a_glance(sonas: Sonas) -> None:
    result = sonas("metrics")
    assert result.exit_code == 0, result.output
    for title in (
        "Consumption",
        "From free to paid",
        "Usage",
        "Exhaustion",
        "Breakage",
        "Active",
        "Credits owed",
        "Revenue",
    ):
        assert title in result.stdout
    assert "█" in result.stdout


def test_json_has_every_bucket(answer: Answer) -> None:
    found = answer("metrics")
    figures = {"consumption", "conversion", "usage", "exhaustion", "breakage", "active", "liability", "revenue"}
    assert set(found) == figures
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


@pytest.mark.parametrize(
    "words",
    [
        ("usages",),
        ("track",),
        ("--csv",),
        ("usage", "--csv"),
        ("--plan", "nope"),
        # Postgres takes these; nobody here could say when their days begin.
        ("--time-zone", "EDT"),
        ("--time-zone", "+05:30"),
    ],
)
def test_what_is_not_there_is_named(answer: Answer, words: tuple[str, ...]) -> None:
    assert answer("metrics", *words, exit_code=2)["code"] == "usage"


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ([], ""),
        ([0, 0], "▁▁"),
        ([0, 1, 2], "▁▅█"),
        ([1, 1, 1, 1], "██"),
        ([-1, 7], "▁█"),
        # Little is not nothing.
        ([0, 1, 1000], "▁▂█"),
    ],
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


def test_a_block_of_fewer_buckets_looks_no_smaller() -> None:
    assert sparkline([5.0] * 91) == "█" * 40
    assert sparkline([5.0] * 7, width=3) == "███"


@pytest.mark.parametrize("width", [80, 120])
def test_a_terminal_folds_nothing_but_shortens_the_course(database: Database, width: int) -> None:
    with CreditsClient.from_url(database.url) as client:
        for name in ("consumption", "usage", "exhaustion", "breakage", "active_accounts", "liability", "revenue"):
            figure = getattr(client, f"metrics_{name}")
            draw = getattr(_metric_tables, name.removesuffix("_accounts"))
            whole = figure(bucket="all")
            console = Console(width=width, file=io.StringIO(), record=True)
            console.print(draw(whole, figure(bucket="day")))
            lines = console.export_text().rstrip("\n").splitlines()
            body = [line for line in lines if "▁" in line or "█" in line]
            assert len(body) == len(whole.now if name == "liability" else whole.rows), (name, lines)
            assert all(len(line) <= width for line in lines)
            assert "…" not in "".join(body)


def test_a_single_bucket_has_no_course(sonas: Sonas) -> None:
    shown = sonas("metrics", "consumption", "--bucket", "all").stdout
    assert "rate" in shown
    assert "per all" not in shown
    assert "█" not in shown


def test_an_empty_window_says_so(sonas: Sonas) -> None:
    for figure in ("consumption", "usage", "exhaustion", "breakage"):
        shown = sonas("metrics", figure, "--since", "2020-01-01", "--until", "2020-02-01").stdout
        assert "Nothing in this window." in shown
    [header] = sonas("metrics", "usage", "--since", "2020-01-01", "--until", "2020-02-01", "--csv").stdout.splitlines()
    assert header == "bucket,value,spent,operations,share,begins_at"


def test_the_window_is_told_in_the_time_zone_whatever_the_server_s(
    sonas: Sonas, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGTZ", "America/New_York")
    words = ("consumption", "--since", "2026-03-01", "--until", "2026-04-01", "--time-zone", "Asia/Kolkata")
    assert sonas("metrics", *words).stdout.startswith("01 March 2026 00:00 to 01 April 2026 00:00 (Asia/Kolkata)\n")
    assert datetime.fromisoformat(answer("metrics", *words)["since"]) == datetime(2026, 2, 28, 18, 30, tzinfo=UTC)


def test_a_spreadsheet_takes_the_buckets_for_dates_and_no_value_for_a_formula(sonas: Sonas, database: Database) -> None:
    user = database.new_user()
    database.call("consume_credits", user, "message", 1, metadata={"team": "=cmd()"})
    zone = ZoneInfo("Asia/Kathmandu")
    csv_of = ("metrics", "usage", "--key", "team", "--csv", "--time-zone", "Asia/Kathmandu")
    [row] = csv.DictReader(io.StringIO(sonas(*csv_of).stdout))
    assert row["value"] == "'=cmd()"
    begins = datetime.fromisoformat(row["begins_at"])
    assert begins.utcoffset() == timedelta(hours=5, minutes=45)
    assert row["bucket"] == f"{begins.astimezone(zone):%Y-%m-%d}"
    [row] = csv.DictReader(io.StringIO(sonas(*csv_of, "--bucket", "hour").stdout))
    assert datetime.strptime(row["bucket"], "%Y-%m-%d %H:%M").replace(tzinfo=zone) == datetime.fromisoformat(
        row["begins_at"]
    )
    days = csv.DictReader(io.StringIO(sonas("metrics", "exhaustion", "--csv").stdout))
    assert {"{}", '{"1": 1}'} == {row["days"] for row in days}


def test_what_users_wrote_does_not_drive_the_terminal(sonas: Sonas, database: Database) -> None:
    user = database.new_user()
    database.call("consume_credits", user, "message", 1, metadata={"evil": "\x1b[2Jgone" + "x" * 100})
    shown = sonas("metrics", "usage", "--key", "evil").stdout
    assert "\x1b" not in shown
    assert "[2Jgone" in shown
    assert "x…" in shown


def test_prometheus_is_told_of_a_database_that_is_down() -> None:
    nowhere = f"postgresql://postgres@127.0.0.1:{free_port()}/postgres"
    result = CliRunner().invoke(app, ["metrics", "prometheus", "--db-url", nowhere])
    assert result.exit_code == 0, result.output
    assert "sonas_up 0.0" in result.stdout


def test_prometheus_prints_what_an_operator_watches(sonas: Sonas, answer: Answer) -> None:
    assert "\nsonas_up 1.0\n" in sonas("metrics", "prometheus").stdout
    assert answer("metrics", "prometheus")["open_reservations"] == 0
