"""What the usage panel shows, put together from what the database answers. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from sonas_supabase import Balance, HistoryEntry, OpenGrant, Plan, Summary
from sonas_supabase.web._store import DayOfUse, Denial

PROJECTS_TABLE = "public.projects"
_DELETED = f"{PROJECTS_TABLE} deleted"
_TITLES = {
    "grant": "Credits granted",
    "consume": "Credits used",
    "capture": "Credits used",
    "refund": "Credits given back",
    "expire": "Credits expired",
    "void": "Credits taken back",
    "denied": "Refused",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanNow:
    """The plan that the account is on."""

    id: str
    name: str
    status: str
    pending_plan: str | None
    pending_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """From ``start`` until just before ``end`` (UTC); None while nothing renews."""

    start: datetime | None
    end: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageWarning:
    """A credit type that is running low (``low``, from 80 %) or has run out (``exhausted``), and the way to more."""

    credit_type: str
    level: str
    message: str
    hint: str
    upgrade_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationLine:
    """One line of the history. ``amount`` is signed: what was spent is negative; None for a refusal.

    ``refused`` attempts cost nothing and changed nothing.
    """

    operation_id: UUID
    kind: str
    title: str
    credit_type: str
    amount: int | None
    balance_after: int | None
    refused: bool
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationPage:
    """A page of the history, the newest first. ``next_cursor`` asks for the next one; None after the last."""

    operations: tuple[OperationLine, ...]
    has_older: bool
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Use by day, the oldest first: for each credit type as many figures as there are ``days``."""

    time_zone: str
    days: tuple[date, ...]
    credits: dict[str, tuple[int, ...]]
    refused: dict[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageReport:
    """Everything that the usage panel shows. Times are in UTC, amounts in whole credits."""

    plan: PlanNow
    period: Period
    upgrade_url: str
    can_upgrade: bool
    balances: tuple[Balance, ...]
    warnings: tuple[UsageWarning, ...]
    grants: tuple[OpenGrant, ...]
    operations: tuple[OperationLine, ...]
    has_older: bool
    next_cursor: str | None
    series: Series


def usage_report(
    summary: Summary,
    plans: Sequence[Plan],
    page: OperationPage,
    series: Series,
) -> UsageReport:
    """Puts the parts together."""
    largest = max(plans, key=lambda plan: plan.rank, default=None)
    return UsageReport(
        plan=PlanNow(
            id=summary.plan,
            name=summary.plan_name,
            status=summary.status,
            pending_plan=summary.pending_plan,
            pending_at=summary.pending_at,
        ),
        period=Period(start=summary.period_start, end=summary.period_end),
        upgrade_url=summary.upgrade_url,
        can_upgrade=largest is not None and summary.plan != largest.id,
        balances=summary.balances,
        warnings=tuple(_warnings(summary)),
        grants=summary.grants,
        operations=page.operations,
        has_older=page.has_older,
        next_cursor=page.next_cursor,
        series=series,
    )


def _warnings(summary: Summary) -> Iterable[UsageWarning]:
    for balance in summary.balances:
        if balance.warning is None:
            continue
        what = "projects" if balance.kind == "limit" else f"{balance.credit_type} credits"
        if balance.warning == "exhausted":
            message = f"All your {what} are used."
            hint = (
                "Delete one to free its place." if balance.kind == "limit" else "Requests are refused until they renew."
            )
        else:
            message = f"{balance.percent_used} % of your {what} are used; {balance.remaining} left."
            hint = ""
        yield UsageWarning(
            credit_type=balance.credit_type,
            level=balance.warning,
            message=message,
            hint=hint,
            upgrade_url=summary.upgrade_url,
        )


def operation_page(
    history: Sequence[HistoryEntry], denials: Sequence[Denial], next_cursor: str | None
) -> OperationPage:
    """Operations, refusals among them, the newest first. One that touched several grants is one line."""
    grouped: dict[tuple[UUID, str, str], list[HistoryEntry]] = {}
    for entry in history:
        grouped.setdefault((entry.operation_id, entry.kind, entry.credit_type), []).append(entry)
    lines = []
    for (operation_id, kind, credit_type), entries in grouped.items():
        last = max(entries, key=lambda entry: entry.version)
        lines.append(
            OperationLine(
                operation_id=operation_id,
                kind=kind,
                title=_title(kind, last.description),
                credit_type=credit_type,
                amount=sum(entry.amount for entry in entries),
                balance_after=last.balance_after,
                refused=False,
                created_at=last.created_at,
            )
        )
    for denial in denials:
        lines.append(
            OperationLine(
                operation_id=denial.operation_id,
                kind="denied",
                title=_title("denied", denial.description),
                credit_type=denial.credit_type,
                amount=None,
                balance_after=None,
                refused=True,
                created_at=denial.created_at,
            )
        )
    lines.sort(key=lambda line: line.created_at, reverse=True)
    return OperationPage(operations=tuple(lines), has_older=next_cursor is not None, next_cursor=next_cursor)


def _title(kind: str, description: str | None) -> str:
    if description == PROJECTS_TABLE:
        return "Project created"
    if description == _DELETED:
        return "Project deleted"
    title = description or _TITLES.get(kind, kind)
    return title[0].upper() + title[1:]


def usage_series(
    rows: Iterable[DayOfUse], credit_types: Sequence[str], last: date, days: int, time_zone: str
) -> Series:
    """One figure per day and credit type, zero where nothing happened."""
    calendar = tuple(last - timedelta(days=back) for back in reversed(range(days)))
    found = {(row.credit_type, row.day): row for row in rows}

    def figures(credit_type: str, attribute: str) -> tuple[int, ...]:
        return tuple(getattr(found.get((credit_type, day)), attribute, 0) for day in calendar)

    return Series(
        time_zone=time_zone,
        days=calendar,
        credits={credit_type: figures(credit_type, "credits") for credit_type in credit_types},
        refused={credit_type: figures(credit_type, "denied") for credit_type in credit_types},
    )
