"""What a user has, what it was used for, and what there is to buy."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Path, Query, Response
from pydantic import TypeAdapter
from starlette.responses import StreamingResponse

from sonas_supabase import CreditsError, Operation, Plan, Summary
from sonas_supabase.fastapi import CurrentUser
from sonas_supabase.web import _export, _history
from sonas_supabase.web._context import Context
from sonas_supabase.web._rates import Drains
from sonas_supabase.web._report import (
    OperationPage,
    Series,
    UsageReport,
    usage_report,
    usage_series,
)
from sonas_supabase.web._scope import Scope, scope_of
from sonas_supabase.web.errors import NOT_MODIFIED, Answers, answers

_REPORT = TypeAdapter(UsageReport)
_RECENT = 20
_GONE = answers(not_found="The user is gone.")
_NO_OPERATION = answers(not_found="The user has no such operation.")
_CSV: Answers = {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}, **_GONE}
_LONGEST = 600
_A_MONTH = timedelta(days=30)
_NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)
_USAGE: Answers = {NOT_MODIFIED: {"description": "Nothing is new."}, **_GONE}

Days = Annotated[
    int | None,
    Query(ge=1, le=92, description="How many days the series has, today included; those of the period, or 30."),
]
Zone = Annotated[
    str,
    Query(
        max_length=64,
        pattern=r"^[A-Za-z][A-Za-z0-9_+/-]*$",
        description="The IANA time zone whose days the series has.",
    ),
]
Since = Annotated[str | None, Header(alias="If-None-Match", max_length=200)]
Cursor = Annotated[
    str | None, Query(max_length=10_000, description="`next_cursor` of the page before; left out for the first page.")
]
Limit = Annotated[int, Query(ge=1, le=100)]
CreditType = Annotated[str | None, Query(max_length=64, pattern=r"^[^\x00]+$", description="One credit type alone.")]
From = Annotated[datetime | None, Query(description="From this time on; UTC unless it says a zone.")]
Workspace = Annotated[UUID | None, Query(description="A workspace that the user is in; their own account by default.")]
Until = Annotated[datetime | None, Query(description="Before this time.")]


def router(context: Context) -> APIRouter:
    """The routes, on what the app was made with."""
    routes = APIRouter(tags=["usage"])

    @routes.get("/api/usage", response_model=UsageReport, responses=_USAGE)
    async def usage(
        user: CurrentUser, days: Days = None, time_zone: Zone = "UTC", workspace: Workspace = None, seen: Since = None
    ) -> Response:
        """Balances with percentages, period, plan, warnings, recent operations and use by day.

        Ask again with the ETag in `If-None-Match`: as long as nothing has changed, the answer is 304 without a body.
        """
        body, tag = await _report(context, user.id, workspace, days, time_zone)
        headers = {"etag": tag, "cache-control": "private, no-cache", "vary": "accept-encoding"}
        if seen is not None and tag in seen:
            return Response(status_code=NOT_MODIFIED, headers=headers)
        return Response(body, media_type="application/json", headers=headers)

    # Not in the OpenAPI document, whose readers expect answers to end.
    @routes.get("/api/usage/events", include_in_schema=False)
    async def events(
        user: CurrentUser, days: Days = None, time_zone: Zone = "UTC", workspace: Workspace = None
    ) -> Response:
        """The same report as server-sent events: one at once, and one when something has changed.

        Ends when the token does, and when the database is away; ask again then.
        """
        first = await _report(context, user.id, workspace, days, time_zone)

        async def stream() -> AsyncIterator[bytes]:
            tag = None
            body, latest = first
            ends = time.time() + _LONGEST
            if isinstance(expires := user.claims.get("exp"), int | float):
                ends = min(ends, expires)
            with suppress(CreditsError):
                async for nth, _ in _counted(context.live.changes(workspace or user.id)):
                    if time.time() >= ends:
                        break
                    if nth:
                        body, latest = await _report(context, user.id, workspace, days, time_zone)
                    # A comment where nothing is new: the reader knows that the line is alive.
                    yield b":\n\n" if latest == tag else b"event: usage\ndata: " + body + b"\n\n"
                    tag = latest

        return StreamingResponse(
            stream(), media_type="text/event-stream", headers={"cache-control": "no-store", "x-accel-buffering": "no"}
        )

    @routes.get("/api/usage/operations", responses=_GONE)
    async def operations(
        user: CurrentUser,
        *,
        cursor: Cursor = None,
        limit: Limit = _RECENT,
        type: CreditType = None,
        since: From = None,
        until: Until = None,
        workspace: Workspace = None,
    ) -> OperationPage:
        """A page of the history, refused attempts among it, the newest first. Lines of one `group` belong together."""
        scope = await scope_of(context.credits, user.id, workspace)
        return await _history.operations(context, scope, limit, cursor, _wanted(type, since, until))

    @routes.get("/api/usage/history.csv", response_class=StreamingResponse, responses=_CSV)
    async def history_csv(
        user: CurrentUser,
        type: CreditType = None,
        since: From = None,
        until: Until = None,
        workspace: Workspace = None,
    ) -> Response:
        """The whole history, or the part that is asked for, as a file for a spreadsheet."""
        wanted = _wanted(type, since, until)
        # Whether it can be read at all is known before the first line goes out.
        scope = await scope_of(context.credits, user.id, workspace)
        await _history.operations(context, scope, 1, None, wanted)
        return StreamingResponse(
            _export.history_csv(context, scope, wanted),
            media_type="text/csv; charset=utf-8",
            headers={"content-disposition": 'attachment; filename="credits.csv"'},
        )

    @routes.get("/api/usage/drains", responses=_GONE)
    async def drains(user: CurrentUser, since: From = None, workspace: Workspace = None) -> Drains:
        """What credits went into since a time, the running period by default: by model and by project."""
        scope = await scope_of(context.credits, user.id, workspace)
        summary = await context.credits.get_credit_summary(user.id, workspace_id=workspace)
        begin = _wanted(None, since, None).since or summary.period_start or summary.now - _A_MONTH
        limits = [balance.credit_type for balance in summary.balances if balance.kind == "limit"]
        return await context.rates.drains(scope, begin, limits=limits)

    @routes.get("/api/usage/operations/{operation_id}", responses=_NO_OPERATION)
    async def operation(
        user: CurrentUser,
        operation_id: Annotated[UUID, Path(description="The operation.")],
        workspace: Workspace = None,
    ) -> Operation:
        """What an operation cost and which grants it took that from, with the balance before and after."""
        return await context.credits.explain_operation(user.id, operation_id, workspace_id=workspace)

    @routes.get("/api/plans")
    async def plans() -> list[Plan]:
        """What is on sale, the smallest plan first. Nobody has to be signed in."""
        sold = context.billing.expected_livemode if context.billing else None
        return list(await context.credits.list_plans(livemode=sold))

    return routes


async def _report(
    context: Context, user_id: UUID, workspace: UUID | None, days: int | None, time_zone: str
) -> tuple[bytes, str]:
    """The report as JSON, and its ETag."""
    scope = await scope_of(context.credits, user_id, workspace)
    summary, plans, operations = await asyncio.gather(
        context.credits.get_credit_summary(user_id, workspace_id=workspace),
        context.credits.list_plans(),
        _history.operations(context, scope, _RECENT, None),
    )
    series = await _series(context, scope, summary, days, time_zone)
    report = usage_report(
        summary, plans, operations, series, sells_credits=context.billing is not None, buyers=scope.buyers
    )
    body = _REPORT.dump_json(report)
    # The time by itself is nothing new.
    told = _REPORT.dump_json(replace(report, now=_NO_TIME))
    return body, f'W/"{hashlib.sha256(told).hexdigest()[:32]}"'


async def _series(context: Context, scope: Scope, summary: Summary, days: int | None, time_zone: str) -> Series:
    today, renewed_on, days, rows = await context.store.days_of_use(
        scope, summary.now, summary.period_start, days, time_zone
    )
    credit_types = [balance.credit_type for balance in summary.balances]
    return usage_series(rows, credit_types, today, days, time_zone, renewed_on=renewed_on)


def _wanted(credit_type: str | None, since: datetime | None, until: datetime | None) -> _history.Wanted:
    def aware(at: datetime | None) -> datetime | None:
        return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at

    return _history.Wanted(credit_type=credit_type, since=aware(since), until=aware(until))


async def _counted(items: AsyncIterator[None]) -> AsyncIterator[tuple[int, None]]:
    nth = 0
    async for item in items:
        yield nth, item
        nth += 1
