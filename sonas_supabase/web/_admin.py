"""The founder's page: the metrics, for operators alone. Everybody else is told that there is nothing here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from pydantic import TypeAdapter
from starlette.exceptions import HTTPException

from sonas_supabase import CreditsError
from sonas_supabase.fastapi import CurrentUser
from sonas_supabase.web import _pages
from sonas_supabase.web._context import Context

ROLE = "credits_admin"
_BUCKETS = "^(day|week|month)$"
_ANSWER: TypeAdapter[Any] = TypeAdapter(dict[str, Any])


def operator(user: CurrentUser) -> None:
    """Let operators through: the role stands in ``app_metadata``, which users cannot write."""
    metadata = user.claims.get("app_metadata")
    if not isinstance(metadata, dict) or metadata.get("role") != ROLE:
        raise HTTPException(HTTPStatus.NOT_FOUND)


def router(context: Context) -> APIRouter:
    """The page and its figures. Neither is in the OpenAPI document."""
    routes = APIRouter(include_in_schema=False)

    @routes.api_route("/admin", methods=["GET", "HEAD"])
    async def page() -> Response:
        # The page has no figures in it; it asks for them as whoever is signed in.
        return _pages.page("admin.html")

    @routes.get("/api/admin/metrics", dependencies=[Depends(operator)])
    async def metrics(
        days: Annotated[int, Query(ge=1, le=731)] = 90,
        bucket: Annotated[str, Query(pattern=_BUCKETS)] = "day",
        time_zone: Annotated[str, Query(max_length=64, pattern=r"^[A-Za-z][A-Za-z0-9_+/-]*$")] = "UTC",
    ) -> Response:
        credits = context.credits
        until = datetime.now(UTC)
        window: dict[str, Any] = {"since": until - timedelta(days=days), "until": until, "time_zone": time_zone}
        asked: dict[str, Awaitable[Any]] = {
            "consumption": credits.metrics_consumption(bucket=bucket, **window),
            "consumption_in_all": credits.metrics_consumption(bucket="all", **window),
            "conversion": credits.metrics_conversion(bucket=bucket, **window),
            "active": credits.metrics_active_accounts(bucket=bucket, **window),
            "exhaustion": credits.metrics_exhaustion(**window),
            "breakage": credits.metrics_breakage(**window),
            "liability": credits.metrics_liability(bucket=bucket, **window),
            "top_accounts": credits.metrics_usage(by="account", limit=10, **window),
            "weekdays": credits.metrics_usage(by="weekday", **window),
            "hours": credits.metrics_usage(by="hour", **window, limit=24),
            "cohorts": credits.metrics_usage(by="cohort", **window),
            "health": credits.metrics_health(),
        }
        answers = await asyncio.gather(*asked.values(), return_exceptions=True)
        for answer in answers:
            if isinstance(answer, CreditsError):
                raise answer
        found = dict(zip(asked, answers, strict=True))
        return Response(_ANSWER.dump_json(found), media_type="application/json")

    return routes
