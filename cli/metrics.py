"""metrics."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.table import Table

from sonas_supabase import CreditsClient

from . import _metric_tables as tables
from ._connect import AsJson, DbUrl, connect, options
from ._guard import Stop
from ._output import Output, plain
from ._register import register as _register

# The SQL function of each figure, its table, and which of the arguments it takes beside window and bucket.
_FIGURES: dict[str, tuple[str, Callable[..., Table], set[str]]] = {
    "consumption": ("metrics_consumption", tables.consumption, {"plan", "credit_type"}),
    "conversion": ("metrics_conversion", tables.conversion, set()),
    "usage": ("metrics_usage", tables.usage, {"plan", "credit_type", "by", "metadata_key", "limit"}),
    "exhaustion": ("metrics_exhaustion", tables.exhaustion, {"plan", "credit_type"}),
    "breakage": ("metrics_breakage", tables.breakage, {"plan", "credit_type"}),
    "active": ("metrics_active_accounts", tables.active, {"plan", "credit_type"}),
    "liability": ("metrics_liability", tables.liability, {"credit_type"}),
}


def metrics(
    figure: Annotated[
        str | None,
        typer.Argument(
            metavar="[FIGURE]",
            help="consumption, conversion, usage, exhaustion, breakage, active or liability; all of them unless said. "
            "`roll-up` brings the sums that they are read from up to date, `track` rolls up the key of --key, "
            "`prometheus` prints what an operator watches.",
            show_default=False,
        ),
    ] = None,
    since: Annotated[datetime | None, typer.Option("--since", help="Begin of the window (UTC).")] = None,
    until: Annotated[datetime | None, typer.Option("--until", help="End of the window (UTC).")] = None,
    bucket: Annotated[
        str, typer.Option("--bucket", "-b", help="hour, day, week, month, quarter, year, or such as '6 hours'.")
    ] = "day",
    time_zone: Annotated[str, typer.Option("--time-zone", help="Where days begin.")] = "UTC",
    plan: Annotated[str | None, typer.Option("--plan", help="One plan alone.")] = None,
    credit_type: Annotated[str | None, typer.Option("--type", "-t", help="One credit type alone.")] = None,
    by: Annotated[
        str,
        typer.Option("--by", help="Usage by plan, credit_type, source, weekday, hour, cohort, account or metadata."),
    ] = "plan",
    key: Annotated[str | None, typer.Option("--key", "-k", help="Usage by this key of metadata.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", help="How many values of a segment are shown.")] = 20,
    include_test: Annotated[bool, typer.Option("--include-test", help="Count test accounts too.")] = False,
    raw: Annotated[bool, typer.Option("--raw", help="Read the ledger alone, no rollup: the same, slower.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print a row per bucket and group.")] = False,
    db_url: DbUrl = None,
    as_json: AsJson = False,
) -> None:
    """Show whether the business works: consumption, conversion, exhaustion and the rest, over the last 90 days.

    Tables have the whole window and its course; `--json` and `--csv` have every bucket.

    Example: sonas metrics usage --by account --since 2026-01-01 --bucket month
    """
    output = Output(as_json)
    with connect(db_url) as client:
        if figure == "roll-up":
            _roll_up(client, output)
            return
        if figure == "prometheus":
            _print_exposition(client, output)
            return
        if figure == "track":
            if key is None:
                raise Stop("Which key of metadata?", "Pass it with --key.", code="usage")
            tracked = client.track_metadata_key(key)
            output.answer(tracked, "Rolled up: " + ", ".join(tracked.tracked))
            return
        if figure is not None and figure not in _FIGURES:
            raise Stop(f"There is no figure {figure}.", "There are: " + ", ".join(_FIGURES) + ".", code="usage")
        if figure is None and as_csv:
            raise Stop("Which figure?", "One CSV is one figure: " + ", ".join(_FIGURES) + ".", code="usage")
        asked = options(
            since=since and since.replace(tzinfo=UTC),
            until=until and until.replace(tzinfo=UTC),
            time_zone=time_zone,
            include_test=include_test,
            raw=raw,
        )
        chosen = options(
            plan=plan, credit_type=credit_type, by="metadata" if key else by, metadata_key=key, limit=limit
        )
        found: dict[str, Any] = {}
        shown: list[Any] = []
        for name in [figure] if figure else _FIGURES:
            function, draw, takes = _FIGURES[name]
            arguments = asked | {argument: value for argument, value in chosen.items() if argument in takes}
            course = getattr(client, function)(bucket=bucket, **arguments)
            found[name] = course
            if not as_json and not as_csv:
                # The database adds up; so the window as a whole is asked of it too, up to the same instant.
                whole = getattr(client, function)(
                    bucket="all", **arguments | {"since": course.since, "until": course.until}
                )
                if not shown:
                    shown.append(f"{whole.since:%d %B %Y %H:%M} to {whole.until:%d %B %Y %H:%M} (UTC)")
                shown += [draw(whole, course), ""]
    if as_csv:
        _print_csv(output, found[figure or ""].rows)
    else:
        output.answer(found[figure] if figure else found, *shown)


def _roll_up(client: CreditsClient, output: Output) -> None:
    balances = 0
    while not (step := client.roll_up_metrics()).finished and step.balances:
        balances += step.balances
    balances += step.balances
    output.answer({"success": True, "code": "ok", "balances": balances}, f"{balances:,} balances read.")


def _print_exposition(client: CreditsClient, output: Output) -> None:
    try:
        from sonas_supabase.metrics import exposition
    except ModuleNotFoundError as error:
        raise Stop(
            f"The format of Prometheus needs {error.name}.",
            'pip install "sonas-supabase[metrics]"',
            code="not_installed",
        ) from error
    output.answer(client.metrics_health(), exposition(client))


def _print_csv(output: Output, rows: tuple[Any, ...]) -> None:
    if not rows:
        return
    text = io.StringIO()
    writer = csv.DictWriter(text, [name for name in asdict(rows[0])], lineterminator="\n")
    writer.writeheader()
    writer.writerows(plain(row) for row in rows)
    output.line(text.getvalue().rstrip("\n"))


def register(app: typer.Typer) -> None:
    """Adds the command of this module."""
    _register(app, "Accounts", {"metrics": metrics})
