"""What the usage panel shows, put together from what the database answers. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sonas_supabase import Balance, HistoryEntry, OpenGrant, Plan, Summary
from sonas_supabase.web._lines import Grants, OperationLine, lines_of, title_of, work_of
from sonas_supabase.web._store import DayOfUse, Denial


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanNow:
    """The plan that the account is on, and the one it will be on from ``pending_at``, by id and by name."""

    id: str
    name: str
    status: str
    pending_plan: str | None
    pending_at: datetime | None
    pending_name: str | None
    trial_ends_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """From ``start`` until just before ``end`` (UTC); None while nothing renews."""

    start: datetime | None
    end: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageWarning:
    """A credit type that is running low (``low``, from 80 %) or has run out (``exhausted``), and the way to more.

    ``next_step`` is ``upgrade``, on the largest plan ``buy_credits``, or None where neither gives more.
    """

    credit_type: str
    level: str
    message: str
    hint: str
    upgrade_url: str
    next_step: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationPage:
    """A page of the history, the newest first. ``next_cursor`` asks for the next one; None after the last."""

    operations: tuple[OperationLine, ...]
    has_older: bool
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Use by day, the oldest first: for each credit type as many figures as there are ``days``.

    ``since_renewal`` is the part of ``credits`` in the running period, which began on ``renewed_on``; None without one.
    """

    time_zone: str
    days: tuple[date, ...]
    credits: dict[str, tuple[int, ...]]
    since_renewal: dict[str, tuple[int, ...]]
    refused: dict[str, tuple[int, ...]]
    renewed_on: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageReport:
    """Everything that the usage panel shows. Times are in UTC, amounts in whole credits.

    ``may_buy`` is False for members of a workspace who are neither owners nor admins: ``buyers`` are those who are.
    """

    plan: PlanNow
    period: Period
    upgrade_url: str
    can_upgrade: bool
    may_buy: bool
    buyers: tuple[str, ...]
    next_steps: dict[str, str | None]
    support_contact: str | None
    free_credits: str
    now: datetime
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
    *,
    sells_credits: bool = False,
    buyers: tuple[str, ...] = (),
) -> UsageReport:
    """Puts the parts together. ``sells_credits`` says whether the app has a way to pay for packs."""
    steps = {
        credit_type: None if step == "buy_credits" and not sells_credits else step
        for credit_type, step in summary.next_steps.items()
    }
    return UsageReport(
        plan=PlanNow(
            id=summary.plan,
            name=summary.plan_name,
            status=summary.status,
            pending_plan=summary.pending_plan,
            pending_at=summary.pending_at,
            pending_name=next((plan.name for plan in plans if plan.id == summary.pending_plan), None),
            trial_ends_at=summary.trial_ends_at,
        ),
        period=Period(start=summary.period_start, end=summary.period_end),
        upgrade_url=summary.upgrade_url,
        can_upgrade="upgrade" in steps.values(),
        may_buy=summary.may_buy,
        buyers=buyers,
        next_steps=steps,
        support_contact=summary.support_contact,
        free_credits=summary.free_credits,
        now=summary.now,
        balances=summary.balances,
        warnings=tuple(_warnings(summary, steps)),
        grants=summary.grants,
        operations=page.operations,
        has_older=page.has_older,
        next_cursor=page.next_cursor,
        series=series,
    )


def warned(summary: Summary) -> Iterator[Balance]:
    """The balances that are low or used up.

    What is frozen waits for a payment or an answer, and of what was never there nothing is used.
    """
    frozen = {grant.credit_type for grant in summary.grants if grant.frozen and grant.remaining}
    for balance in summary.balances:
        is_frozen = balance.credit_type in frozen and not balance.remaining
        is_there = balance.allowance or balance.used or balance.reserved or balance.remaining
        if balance.warning and is_there and not is_frozen:
            yield balance


def _warnings(summary: Summary, steps: Mapping[str, str | None]) -> Iterable[UsageWarning]:
    for balance in warned(summary):
        what = "projects" if balance.kind == "limit" else f"{balance.credit_type} credits"
        level = "low" if balance.remaining else "exhausted"
        if level == "exhausted":
            message = f"All your {what} are used."
            hint = "Requests are refused until they renew." if balance.renews_at else ""
            if balance.kind == "limit":
                hint = "Delete one to free its place."
        else:
            message = f"{balance.percent_used} % of your {what} are used; {balance.remaining} left."
            hint = ""
        yield UsageWarning(
            credit_type=balance.credit_type,
            level=level,
            message=message,
            hint=hint,
            upgrade_url=summary.upgrade_url,
            next_step=steps.get(balance.credit_type),
        )


def operation_page(
    history: Sequence[HistoryEntry],
    denials: Sequence[Denial],
    next_cursor: str | None,
    grants: Grants | None = None,
    plans: Mapping[str, str] | None = None,
) -> OperationPage:
    """Operations, refusals among them, the newest first. One that touched several grants is one line."""
    lines = lines_of(history, grants or {}, plans or {})
    for denial in denials:
        what, about = work_of(denial.description)
        lines.append(
            OperationLine(
                operation_id=denial.operation_id,
                kind="denied" if denial.refused else "consume",
                title=title_of("denied" if denial.refused else "consume", denial.description),
                credit_type=denial.credit_type,
                amount=None if denial.refused else 0,
                balance_after=None,
                refused=denial.refused,
                created_at=denial.created_at,
                what=what,
                about=about,
                required=denial.required,
                available=denial.available,
                group=str(denial.operation_id),
            )
        )
    # What is one thing stays together, also where a refusal came between.
    newest: dict[str, datetime] = {}
    for line in lines:
        newest[line.group] = max(line.created_at, newest.get(line.group, line.created_at))
    lines.sort(key=lambda line: newest[line.group], reverse=True)
    return OperationPage(operations=tuple(lines), has_older=next_cursor is not None, next_cursor=next_cursor)


def usage_series(
    rows: Iterable[DayOfUse],
    credit_types: Sequence[str],
    last: date,
    days: int,
    time_zone: str,
    *,
    renewed_on: date | None = None,
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
        since_renewal={credit_type: figures(credit_type, "since_renewal") for credit_type in credit_types},
        refused={credit_type: figures(credit_type, "denied") for credit_type in credit_types},
        renewed_on=renewed_on,
    )
