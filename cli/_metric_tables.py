"""How each metric looks on a terminal: a table of the window as a whole, and its course as a line of blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rich.table import Table

from sonas_supabase import (
    ActiveAccounts,
    Breakage,
    Consumption,
    Conversion,
    Exhaustion,
    Liability,
    Usage,
)

from ._bucket_grid import places
from ._output import table
from ._sparkline import sparkline

Key = tuple[Any, ...]
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def share(value: float | None) -> str:
    """A rate in percent."""
    return "-" if value is None else f"{value:.1%}"


def trends(course: Any, key: Callable[[Any], Key], value: Callable[[Any], float]) -> dict[Key, str]:
    """The course of `value` through all buckets of the window, per group."""
    place, count = places(course, (row.bucket for row in course.rows))
    series: dict[Key, list[float]] = {}
    for row in course.rows:
        series.setdefault(key(row), [0.0] * count)[place[row.bucket]] += value(row)
    return {group: sparkline(values) for group, values in series.items()}


def consumption(whole: Consumption, course: Consumption) -> Table:
    """Spent against granted."""
    spark = trends(course, lambda row: (row.plan, row.credit_type), lambda row: row.spent)
    return table(
        ("plan", "type", "#granted", "#spent", "#refunded", "#operations", "#rate", "spent per " + course.bucket),
        [
            (
                row.plan, row.credit_type, row.granted, row.spent, row.refunded, row.operations, share(row.rate),
                spark.get((row.plan, row.credit_type), ""),
            )
            for row in whole.rows
        ],
        title="Consumption by plan",
    )  # fmt: skip


def conversion(whole: Conversion, course: Conversion) -> Table:
    """From free to paid."""
    spark = sparkline([row.upgrades for row in course.rows])
    rows: list[Sequence[Any]] = [("free accounts that upgraded", whole.free, whole.upgrades, share(whole.rate), spark)]
    for what, after in (("a denial", whole.after_denial), ("80 % spent", whole.after_80_percent)):
        rows.append((f"within 24 hours of {what}", after.spells, after.within_24_hours, share(after.rate_24_hours), ""))
        rows.append((f"within 7 days of {what}", after.spells, after.within_7_days, share(after.rate_7_days), ""))
    return table(("", "#of", "#upgrades", "#rate", "per " + course.bucket), rows, title="From free to paid")


def usage(whole: Usage, course: Usage) -> Table:
    """Spent by segment."""
    spark = trends(course, lambda row: (row.value,), lambda row: row.spent)
    name = whole.metadata_key or whole.by

    def named(value: str | None) -> str:
        if value is None:
            return "all others"
        return _WEEKDAYS[int(value) - 1] if whole.by == "weekday" else value

    return table(
        (name, "#spent", "#share", "#operations", "spent per " + course.bucket),
        [
            (named(row.value), row.spent, share(row.share), row.operations, spark.get((row.value,), ""))
            for row in whole.rows
        ],
        title=f"Usage by {name}",
    )


def exhaustion(whole: Exhaustion, course: Exhaustion) -> Table:
    """Account-periods that ran dry."""
    spark = trends(course, lambda row: (row.plan, row.credit_type), lambda row: row.ran_dry)

    def on_days(days: dict[str, int]) -> str:
        return sparkline([days.get(str(day), 0) for day in range(1, 32)]) if days else ""

    took = whole.first_denial_to_upgrade
    caption = f"free accounts that met a denial: {took.denied_spells:,}; upgraded since: {took.upgraded:,}"
    if took.median_hours is not None:
        caption += f", half of them within {took.median_hours:,.1f} hours"
    made = table(
        (
            "plan", "type", "#periods", "#past 80 %", "#ran dry", "#share", "#denied", "on day 1 to 31",
            "ran dry per " + course.bucket,
        ),
        [
            (
                row.plan, row.credit_type, row.periods, row.crossed_80_percent, row.ran_dry, share(row.share),
                row.denied,
                on_days(row.days), spark.get((row.plan, row.credit_type), ""),
            )
            for row in whole.rows
        ],
        title="Exhaustion",
    )  # fmt: skip
    made.caption, made.caption_justify = caption, "left"
    return made


def breakage(whole: Breakage, course: Breakage) -> Table:
    """Credits that nobody used."""
    spark = trends(
        course, lambda row: (row.plan, row.credit_type, row.source), lambda row: row.expired + row.voided
    )
    return table(
        ("plan", "type", "source", "#granted", "#spent", "#expired", "#voided", "#unused", "per " + course.bucket),
        [
            (
                row.plan, row.credit_type, row.source, row.granted, row.spent, row.expired, row.voided,
                share(row.share),
                spark.get((row.plan, row.credit_type, row.source), ""),
            )
            for row in whole.rows
        ],
        title="Breakage",
    )  # fmt: skip


def active(whole: ActiveAccounts, course: ActiveAccounts) -> Table:
    """Accounts that spent."""
    spark = trends(course, lambda row: (row.plan,), lambda row: row.active)
    return table(
        ("plan", "#active", "#opened", "#closed", "active per " + course.bucket),
        [
            (row.plan or "all", row.active, row.opened, row.closed, spark.get((row.plan,), ""))
            for row in whole.rows
        ],
        title="Active accounts",
    )  # fmt: skip


def liability(whole: Liability, course: Liability) -> Table:
    """Credits owed."""
    spark = trends(course, lambda row: (row.credit_type, row.source), lambda row: row.owed)
    return table(
        ("type", "source", "#owed now", "#held", "#frozen", "#accounts", "per " + course.bucket),
        [
            (
                row.credit_type, row.source, row.owed, row.held, row.frozen, row.accounts,
                spark.get((row.credit_type, row.source), ""),
            )
            for row in whole.now
        ],
        title="Credits owed",
    )  # fmt: skip
