"""The founder's page: the metrics, for operators alone. Everybody else is told that there is nothing here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta, tzinfo
from http import HTTPStatus
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query, Request, Response
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


def _begin(until: datetime, days: int, time_zone: str) -> datetime:
    """Midnight, so that today and the days before it are `days` whole ones and the first does not look like a dip."""
    try:
        zone: tzinfo = ZoneInfo(time_zone)
    except (ValueError, OSError, KeyError):
        # The database knows whether there is such a zone, and says so.
        zone = UTC
    today = until.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    return today - timedelta(days=days - 1)


def router(context: Context) -> APIRouter:
    """The page and its figures. Neither is in the OpenAPI document."""
    routes = APIRouter(include_in_schema=False)

    @routes.api_route("/admin", methods=["GET", "HEAD"])
    async def page(request: Request) -> Response:
        # The page has no figures in it; it asks for them as whoever is signed in.
        return _pages.page("admin.html", request, context.language)

    @routes.get("/api/admin/metrics", dependencies=[Depends(operator)])
    async def metrics(
        days: Annotated[int, Query(ge=1, le=731)] = 90,
        bucket: Annotated[str, Query(pattern=_BUCKETS)] = "day",
        time_zone: Annotated[str, Query(max_length=64, pattern=r"^[A-Za-z][A-Za-z0-9_+/-]*$")] = "UTC",
        key: Annotated[str | None, Query(min_length=1, max_length=200, pattern=r"^[^\x00]+$")] = None,
    ) -> Response:
        credits = context.credits
        until = datetime.now(UTC)
        window: dict[str, Any] = {"since": _begin(until, days, time_zone), "until": until, "time_zone": time_zone}
        asked: dict[str, Awaitable[Any]] = {
            "consumption": credits.metrics_consumption(bucket=bucket, **window),
            "consumption_in_all": credits.metrics_consumption(bucket="all", **window),
            "conversion": credits.metrics_conversion(bucket=bucket, **window),
            "active": credits.metrics_active_accounts(bucket=bucket, **window),
            "active_in_all": credits.metrics_active_accounts(bucket="all", **window),
            "exhaustion": credits.metrics_exhaustion(**window),
            "breakage": credits.metrics_breakage(**window),
            "liability": credits.metrics_liability(bucket=bucket, **window),
            "top_accounts": credits.metrics_usage(by="account", limit=10, **window),
            "weekdays": credits.metrics_usage(by="weekday", **window),
            "hours": credits.metrics_usage(by="hour", **window, limit=24),
            "cohorts": credits.metrics_usage(by="cohort", **window),
            "health": credits.metrics_health(),
        }
        if key is not None:
            asked["by_key"] = credits.metrics_usage(by="metadata", metadata_key=key, limit=10, **window)
        answers = await asyncio.gather(*asked.values(), return_exceptions=True)
        for answer in answers:
            if isinstance(answer, CreditsError):
                raise answer
        found: dict[str, Any] = dict(zip(asked, answers, strict=True))
        ids = [row.value for row in found["top_accounts"].rows if row.value is not None]
        named = (await credits.find_accounts(account_ids=ids, limit=len(ids))).accounts if ids else ()
        found["names"] = {str(account.account_id): account.name for account in named if account.name}
        return Response(_ANSWER.dump_json(found), media_type="application/json")

    return routes
