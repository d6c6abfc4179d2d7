"""How each metric looks on a terminal: a table of the window as a whole, and its course as a line of blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sonas_supabase import (
    ActiveAccounts,
    Breakage,
    Consumption,
    Conversion,
    Exhaustion,
    Liability,
    Usage,
)
from sonas_supabase.models.metrics import MetricWindow, Revenue, RevenueRow
from sonas_supabase.money import in_units

from ._bucket_grid import places
from ._output import table
from ._sparkline import Course

Key = tuple[Any, ...]
_LONGEST = 40
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def share(value: float | None) -> str:
    """A rate in percent."""
    return "-" if value is None else f"{value:.1%}"


def duration(hours: float) -> str:
    """How long something took, in the unit that says it."""
    minutes = round(hours * 60)
    if minutes < 1:
        return "a minute"
    if minutes < 90:
        return f"{minutes} minutes" if minutes > 1 else "1 minute"
    return f"{hours:,.1f} hours" if hours < 48 else f"{hours / 24:,.1f} days"


def unused(row: Any) -> str:
    """The share that ended unspent. Where most of what was granted has not ended yet, there is none to speak of."""
    ended = max(row.spent, 0) + row.expired + row.voided
    return share(row.share) if 2 * ended >= row.granted else "-"


def _short(value: str) -> str:
    """A value of metadata may be as long as it likes; `--json` and `--csv` have all of it."""
    return value if len(value) <= _LONGEST else value[: _LONGEST - 1] + "…"


def trends(course: Any, key: Callable[[Any], Key], value: Callable[[Any], float]) -> dict[Key, Course]:
    """The course of `value` through all buckets of the window, per group."""
    place, count = places(course, (row.bucket for row in course.rows))
    series: dict[Key, list[float]] = {}
    for row in course.rows:
        series.setdefault(key(row), [0.0] * count)[place[row.bucket]] += value(row)
    return {group: Course(values) for group, values in series.items()}


def _table(
    course: MetricWindow, columns: tuple[str, ...], rows: Iterable[Sequence[Any]], *, title: str, per: str
) -> RenderableType:
    """A table whose last column is the course, named `per` bucket; a single bucket has none."""
    whole = course.bucket == "all"
    rows = [row[:-1] if whole else row for row in rows]
    made: RenderableType = table(columns if whole else (*columns, f"~{per} {course.bucket}"), rows, title=title)
    if not rows:
        return Group(Text(title, style="bold"), "Nothing in this window.")
    return made


def consumption(whole: Consumption, course: Consumption) -> RenderableType:
    """Spent against granted."""
    spark = trends(course, lambda row: (row.plan, row.credit_type), lambda row: row.spent)
    return _table(
        course,
        ("plan", "type", "#granted", "#spent", "#refunded", "#operations", "#rate"),
        [
            (
                row.plan, row.credit_type, row.granted, row.spent, row.refunded, row.operations, share(row.rate),
                spark.get((row.plan, row.credit_type), ""),
            )
            for row in whole.rows
        ],
        title="Consumption by plan",
        per="spent per",
    )  # fmt: skip


def conversion(whole: Conversion, course: Conversion) -> RenderableType:
    """From free to paid."""
    spark = Course([row.upgrades for row in course.rows])
    rows: list[Sequence[Any]] = [("free accounts that upgraded", whole.free, whole.upgrades, share(whole.rate), spark)]
    for what, after in (("a denial", whole.after_denial), ("80 % spent", whole.after_80_percent)):
        rows.append((f"within 24 hours of {what}", after.spells, after.within_24_hours, share(after.rate_24_hours), ""))
        rows.append((f"within 7 days of {what}", after.spells, after.within_7_days, share(after.rate_7_days), ""))
    return _table(course, ("", "#of", "#upgrades", "#rate"), rows, title="From free to paid", per="per")


def usage(whole: Usage, course: Usage) -> RenderableType:
    """Spent by segment."""
    spark = trends(course, lambda row: (row.value,), lambda row: row.spent)
    name = whole.metadata_key or whole.by

    def named(value: str | None) -> str:
        if value is None:
            return "all others"
        return _WEEKDAYS[int(value) - 1] if whole.by == "weekday" else _short(value)

    return _table(
        course,
        (name, "#spent", "#share", "#operations"),
        [
            (named(row.value), row.spent, share(row.share), row.operations, spark.get((row.value,), ""))
            for row in whole.rows
        ],
        title=f"Usage by {name}",
        per="spent per",
    )


def exhaustion(whole: Exhaustion, course: Exhaustion) -> RenderableType:
    """Account-periods that ran dry."""
    spark = trends(course, lambda row: (row.plan, row.credit_type), lambda row: row.ran_dry)

    def on_days(days: dict[str, int]) -> Course | str:
        return Course([days.get(str(day), 0) for day in range(1, 32)]) if days else ""

    took = whole.first_denial_to_upgrade
    caption = f"free accounts that met a denial: {took.denied_spells:,}; upgraded since: {took.upgraded:,}"
    if took.median_hours is not None:
        caption += f", half of them within {duration(took.median_hours)}"
    made = _table(
        course,
        ("plan", "type", "#periods", "#past 80 %", "#ran dry", "#share", "#denied", "~on day 1 to 31"),
        [
            (
                row.plan, row.credit_type, row.periods, row.crossed_80_percent, row.ran_dry, share(row.share),
                row.denied,
                on_days(row.days), spark.get((row.plan, row.credit_type), ""),
            )
            for row in whole.rows
        ],
        title="Exhaustion",
        per="ran dry per",
    )  # fmt: skip
    if isinstance(made, Table):
        made.caption, made.caption_justify = caption, "left"
    return made


def breakage(whole: Breakage, course: Breakage) -> RenderableType:
    """Credits that nobody used."""
    spark = trends(course, lambda row: (row.plan, row.credit_type, row.source), lambda row: row.expired + row.voided)
    return _table(
        course,
        ("plan", "type", "source", "#granted", "#spent", "#expired", "#voided", "#unused"),
        [
            (
                row.plan, row.credit_type, row.source, row.granted, max(row.spent, 0), row.expired, row.voided,
                unused(row),
                spark.get((row.plan, row.credit_type, row.source), ""),
            )
            for row in whole.rows
        ],
        title="Breakage",
        per="unused per",
    )  # fmt: skip


def active(whole: ActiveAccounts, course: ActiveAccounts) -> RenderableType:
    """Accounts that spent."""
    spark = trends(course, lambda row: (row.plan,), lambda row: row.active)
    return _table(
        course,
        ("plan", "#active", "#opened", "#closed"),
        [
            (row.plan or "all", row.active, row.opened, row.closed, spark.get((row.plan,), ""))
            for row in whole.rows
        ],
        title="Active accounts",
        per="active per",
    )  # fmt: skip


def liability(whole: Liability, course: Liability) -> RenderableType:
    """Credits owed."""
    spark = trends(course, lambda row: (row.credit_type, row.source), lambda row: row.owed)
    return _table(
        course,
        ("type", "source", "#owed now", "#held", "#frozen", "#accounts"),
        [
            (
                row.credit_type, row.source, row.owed, row.held, row.frozen, row.accounts,
                spark.get((row.credit_type, row.source), ""),
            )
            for row in whole.now
        ],
        title="Credits owed",
        per="owed per",
    )  # fmt: skip


def revenue(whole: Revenue, course: Revenue) -> RenderableType:
    """Money, tax excluded."""
    spark = trends(course, lambda row: (row.currency,), lambda row: row.earned)

    def per_credit(row: RevenueRow) -> str:
        if row.per_credit is None:
            return ""
        return f"; {in_units(row.per_credit, row.currency, finer=2)} earned per credit spent"

    made = _table(
        course,
        ("", "#paid", "#refunded", "#earned", "#deferred", "#MRR", "#churn"),
        [
            (
                row.currency, in_units(row.paid, row.currency), in_units(row.refunded, row.currency),
                in_units(row.earned, row.currency), in_units(row.deferred, row.currency),
                in_units(row.mrr, row.currency), share(row.churn), spark.get((row.currency,), ""),
            )
            for row in whole.rows
        ],
        title="Revenue, tax excluded",
        per="earned per",
    )  # fmt: skip
    if isinstance(made, Table):
        made.caption_justify = "left"
        made.caption = "\n".join(
            f"{row.currency}: {row.payers:,} accounts pay by the month"
            + per_credit(row)
            + ("" if row.margin is None else f"; margin {share(row.margin)}")
            for row in whole.rows
        )
    return made
