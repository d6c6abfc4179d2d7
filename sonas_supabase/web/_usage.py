"""What a user has, what it was used for, and what there is to buy."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Path, Query, Response
from pydantic import TypeAdapter

from sonas_supabase import Operation, Plan, Summary
from sonas_supabase.fastapi import CurrentUser
from sonas_supabase.web import _history
from sonas_supabase.web._context import Context
from sonas_supabase.web._report import (
    OperationPage,
    Series,
    UsageReport,
    usage_report,
    usage_series,
)
from sonas_supabase.web.errors import NOT_MODIFIED, Answers, answers

_REPORT = TypeAdapter(UsageReport)
_RECENT = 20
_GONE = answers(not_found="The user is gone.")
_NO_OPERATION = answers(not_found="The user has no such operation.")
_USAGE: Answers = {NOT_MODIFIED: {"description": "Nothing is new."}, **_GONE}

Days = Annotated[int, Query(ge=1, le=92, description="How many days the series has, today included.")]
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


def router(context: Context) -> APIRouter:
    """The routes, on what the app was made with."""
    routes = APIRouter(tags=["usage"])

    @routes.get("/api/usage", response_model=UsageReport, responses=_USAGE)
    async def usage(user: CurrentUser, days: Days = 30, time_zone: Zone = "UTC", seen: Since = None) -> Response:
        """Balances with percentages, period, plan, warnings, recent operations and use by day.

        Ask again with the ETag in `If-None-Match`: as long as nothing has changed, the answer is 304 without a body.
        """
        summary, plans, operations = await asyncio.gather(
            context.credits.get_credit_summary(user.id),
            context.credits.list_plans(),
            _history.operations(context, user.id, _RECENT, None),
        )
        series = await _series(context, summary, days, time_zone)
        body = _REPORT.dump_json(usage_report(summary, plans, operations, series))
        tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        headers = {"etag": tag, "cache-control": "private, no-cache"}
        if seen is not None and tag in seen:
            return Response(status_code=NOT_MODIFIED, headers=headers)
        return Response(body, media_type="application/json", headers=headers)

    @routes.get("/api/usage/operations", responses=_GONE)
    async def operations(user: CurrentUser, cursor: Cursor = None, limit: Limit = _RECENT) -> OperationPage:
        """A page of the history, refused attempts among it, the newest first."""
        return await _history.operations(context, user.id, limit, cursor)

    @routes.get("/api/usage/operations/{operation_id}", responses=_NO_OPERATION)
    async def operation(
        user: CurrentUser, operation_id: Annotated[UUID, Path(description="The operation.")]
    ) -> Operation:
        """What an operation cost and which grants it took that from, with the balance before and after."""
        return await context.credits.explain_operation(user.id, operation_id)

    @routes.get("/api/plans")
    async def plans() -> list[Plan]:
        """What is on sale, the smallest plan first. Nobody has to be signed in."""
        return list(await context.credits.list_plans())

    return routes


async def _series(context: Context, summary: Summary, days: int, time_zone: str) -> Series:
    today, rows = await context.store.days_of_use(summary.user_id, summary.now, days, time_zone)
    credit_types = [balance.credit_type for balance in summary.balances]
    return usage_series(rows, credit_types, today, days, time_zone)
