"""metrics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, tzinfo
from typing import Annotated, Any

import typer
from rich.console import RenderableType

from sonas_supabase import CreditsClient, models

from . import _metric_tables as tables
from ._bucket_grid import zone_of
from ._connect import AsJson, DbUrl, OneType, completed, connect, open_client, options
from ._guard import Stop
from ._metric_csv import as_csv as csv_of
from ._output import Output
from ._people import names_of, plan_ids, suggestion
from ._register import register as _register
from ._times import in_zone, time_option

# The SQL function of each figure, its table, its rows, and which arguments it takes beside window and bucket.
_FIGURES: dict[str, tuple[str, Callable[..., RenderableType], type[Any], set[str]]] = {
    "consumption": ("metrics_consumption", tables.consumption, models.ConsumptionRow, {"plan", "credit_type"}),
    "conversion": ("metrics_conversion", tables.conversion, models.ConversionRow, set()),
    "usage": (
        "metrics_usage",
        tables.usage,
        models.UsageRow,
        {"plan", "credit_type", "by", "metadata_key", "limit"},
    ),
    "exhaustion": ("metrics_exhaustion", tables.exhaustion, models.ExhaustionRow, {"plan", "credit_type"}),
    "breakage": ("metrics_breakage", tables.breakage, models.BreakageRow, {"plan", "credit_type"}),
    "active": ("metrics_active_accounts", tables.active, models.ActiveAccountsRow, {"plan", "credit_type"}),
    "liability": ("metrics_liability", tables.liability, models.LiabilityRow, {"credit_type"}),
    "revenue": ("metrics_revenue", tables.revenue, models.RevenueRow, set()),
}


_WORK = ("roll-up", "track", "prometheus")
_SEGMENTS = ("plan", "credit_type", "source", "weekday", "hour", "cohort", "account", "actor", "metadata")


def metrics(
    figure: Annotated[
        str | None,
        typer.Argument(
            metavar="[FIGURE]",
            help="consumption, conversion, usage, exhaustion, breakage, active, liability or revenue; all of them "
            "unless said. `roll-up` brings the sums that they are read from up to date, `track` rolls up the key of "
            "--key, "
            "`prometheus` prints what an operator watches.",
            autocompletion=lambda incomplete: [name for name in (*_FIGURES, *_WORK) if name.startswith(incomplete)],
            show_default=False,
        ),
    ] = None,
    since: Annotated[
        datetime | None,
        time_option("--since", "Begin of the window, in the time zone."),
    ] = None,
    until: Annotated[
        datetime | None,
        time_option("--until", "End of the window, in the time zone; now unless said."),
    ] = None,
    bucket: Annotated[
        str | None,
        typer.Option(
            "--bucket",
            "-b",
            help="hour, day, week, month, quarter, year, all, or such as '6 hours'; day unless said, by weekday week.",
        ),
    ] = None,
    time_zone: Annotated[str, typer.Option("--time-zone", help="Where days begin.")] = "UTC",
    plan: Annotated[
        str | None, typer.Option("--plan", help="One plan alone.", autocompletion=completed(plan_ids))
    ] = None,
    credit_type: OneType = None,
    by: Annotated[
        str,
        typer.Option(
            "--by",
            help="Usage by plan, credit_type, source, weekday, hour, cohort, account or metadata.",
            autocompletion=lambda incomplete: [name for name in _SEGMENTS if name.startswith(incomplete)],
        ),
    ] = "plan",
    key: Annotated[str | None, typer.Option("--key", "-k", help="Usage by this key of metadata.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", help="How many values of a segment are shown.")] = 20,
    include_test: Annotated[bool, typer.Option("--include-test", help="Count test accounts too.")] = False,
    raw: Annotated[bool, typer.Option("--raw", help="Read the ledger alone, no rollup: the same, slower.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print a row per bucket and group, for a spreadsheet.")] = False,
    db_url: DbUrl = None,
    as_json: AsJson = False,
) -> None:
    """Show whether the business works: consumption, conversion, exhaustion and the rest, over the last 90 days.

    Tables have the whole window and its course; `--json` and `--csv` have every bucket.

    Example: sonas metrics usage --by account --since 2026-01-01 --bucket month
    """
    output = Output(as_json)
    if figure == "prometheus":
        _print_exposition(db_url, output)
        return
    zone = _zone(time_zone)
    with connect(db_url) as client:
        if figure == "roll-up":
            _roll_up(client, output)
            return
        if figure == "track":
            if key is None:
                raise Stop("Which key of metadata?", "Pass it with --key.", code="usage")
            tracked = client.track_metadata_key(key)
            output.answer(tracked, "Rolled up: " + ", ".join(tracked.tracked))
            return
        _refuse(client, figure, plan, by, as_csv=as_csv, as_json=as_json)
        asked = options(
            since=in_zone(since, zone),
            until=in_zone(until, zone),
            time_zone=time_zone,
            include_test=include_test,
            raw=raw,
        )
        chosen = options(
            plan=plan, credit_type=credit_type, by="metadata" if key else by, metadata_key=key, limit=limit
        )
        bucket = bucket or ("week" if figure == "usage" and chosen["by"] == "weekday" else "day")
        found: dict[str, Any] = {}
        shown: list[Any] = []
        for name in [figure] if figure else _FIGURES:
            function, draw, _, takes = _FIGURES[name]
            arguments = asked | {argument: value for argument, value in chosen.items() if argument in takes}
            course = getattr(client, function)(bucket=bucket, **arguments)
            # One glance is one window, up to the same instant for every figure.
            asked |= {"since": course.since, "until": course.until}
            found[name] = course
            if not as_json and not as_csv:
                # The database adds up; so the window as a whole is asked of it too.
                whole = getattr(client, function)(bucket="all", **arguments | asked)
                if not shown:
                    begin, end = (f"{at.astimezone(zone):%d %B %Y %H:%M}" for at in (whole.since, whole.until))
                    shown.append(f"{begin} to {end} ({time_zone})")
                if figure == "usage" and chosen["by"] == "account":
                    whole, course = _named(client, whole), _named(client, course)
                if name == "breakage":
                    # What exists at a time is no stock that could end unused.
                    whole, course = (_without(answer, _limits(client)) for answer in (whole, course))
                shown += [draw(whole, course), ""]
    if as_csv and figure:
        output.line(csv_of(_FIGURES[figure][2], found[figure].rows, bucket, zone))
    else:
        output.answer(found[figure] if figure else found, *shown)


def _refuse(
    client: CreditsClient, figure: str | None, plan: str | None, by: str, *, as_csv: bool, as_json: bool
) -> None:
    """What cannot be shown, before anything is asked for."""
    if figure is not None and figure not in _FIGURES:
        known = [*_FIGURES, *_WORK]
        raise Stop(
            f"There is no figure {figure}.",
            f"{suggestion(figure, known)}There are: {', '.join(known)}.",
            code="usage",
        )
    if figure is None and as_csv:
        raise Stop("Which figure?", "One CSV is one figure: " + ", ".join(_FIGURES) + ".", code="usage")
    if by not in _SEGMENTS:
        raise Stop(
            f"There is no segment {by}.", f"{suggestion(by, _SEGMENTS)}There are: {', '.join(_SEGMENTS)}.", code="usage"
        )
    if as_json and as_csv:
        raise Stop("JSON or CSV?", "Pass --json or --csv, not both.", code="usage")
    if plan is not None and plan not in (known := [each.id for each in client.list_plans()]):
        raise Stop(
            f"There is no plan {plan}.", f"{suggestion(plan, known)}There are: {', '.join(known)}.", code="usage"
        )


def _named(client: CreditsClient, answer: Any) -> Any:
    """Accounts by their addresses."""
    names = names_of(client, [row.value for row in answer.rows])
    rows = tuple(replace(row, value=names.get(str(row.value), row.value)) for row in answer.rows)
    return replace(answer, rows=rows)


def _limits(client: CreditsClient) -> set[str]:
    return {limit.credit_type for plan in client.list_plans() for limit in plan.limits if limit.kind == "limit"}


def _without(answer: Any, types: set[str]) -> Any:
    return replace(answer, rows=tuple(row for row in answer.rows if row.credit_type not in types))


def _zone(name: str) -> tzinfo:
    try:
        return zone_of(name)
    except KeyError:
        raise Stop(
            f"There is no time zone {name}.",
            'Pass a name such as Europe/Paris. A machine that knows none: pip install "tzdata".',
            code="usage",
        ) from None


def _roll_up(client: CreditsClient, output: Output) -> None:
    balances = 0
    while not (step := client.roll_up_metrics()).finished and step.balances:
        balances += step.balances
    balances += step.balances
    output.answer({"success": True, "code": "ok", "balances": balances}, f"{balances:,} balances read.")


def _print_exposition(db_url: str | None, output: Output) -> None:
    """Also of a database that is down: that is what an operator has to see."""
    try:
        from sonas_supabase.metrics import exposition
    except ModuleNotFoundError as error:
        raise Stop(
            f"The format of Prometheus needs {error.name}.",
            'pip install "sonas-supabase[metrics]"',
            code="not_installed",
        ) from error
    with open_client(db_url) as client:
        if output.as_json:
            output.json(client.metrics_health())
        else:
            output.line(exposition(client).rstrip("\n"))


def register(app: typer.Typer) -> None:
    """Adds the command of this module."""
    _register(app, "Accounts", {"metrics": metrics})
