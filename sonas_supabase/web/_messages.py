"""What a user is told, and how: notifications, levels, mails."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from sonas_supabase import Alerts, NotificationList, NotificationsRead
from sonas_supabase.fastapi import CurrentUser
from sonas_supabase.notify import router as unsubscribe_router
from sonas_supabase.web._context import Context
from sonas_supabase.web.errors import answers

_GONE = answers(not_found="The user is gone, or is not in this workspace.")

Workspace = Annotated[UUID | None, Query(description="A workspace of the user's instead of their own account.")]


class ReadRequest(BaseModel):
    """Which notifications were read; all of them without ids."""

    model_config = ConfigDict(extra="forbid")

    ids: list[UUID] | None = Field(default=None, max_length=200)


class LevelsRequest(BaseModel):
    """When to warn of a credit type. Null for both takes the usual levels again."""

    model_config = ConfigDict(extra="forbid")

    credit_type: str = Field(max_length=63)
    percents: list[Annotated[int, Field(ge=1, le=100)]] | None = Field(default=None, max_length=10)
    amounts: list[Annotated[int, Field(ge=0, le=2**53)]] | None = Field(default=None, max_length=10)


class ChannelsRequest(BaseModel):
    """How to tell the user. What is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")

    by_mail: bool | None = None
    in_app: bool | None = None


def router(context: Context) -> APIRouter:
    """The routes, on what the app was made with."""
    routes = APIRouter(tags=["messages"])
    credits = context.credits

    @routes.get("/api/notifications", responses=_GONE)
    async def notifications(user: CurrentUser, limit: Annotated[int, Query(ge=1, le=200)] = 30) -> NotificationList:
        """What the user was told, the newest first, and how many are unread."""
        return await credits.list_notifications(user.id, limit=limit)

    @routes.post("/api/notifications/read", responses=_GONE)
    async def read(user: CurrentUser, wanted: ReadRequest) -> NotificationsRead:
        """Marks notifications as read."""
        return await credits.mark_notifications_read(user.id, notification_ids=wanted.ids)

    @routes.get("/api/alerts", responses=_GONE)
    async def alerts(user: CurrentUser, workspace: Workspace = None) -> Alerts:
        """At which levels and how the user is told about the account."""
        return await credits.get_credit_alerts(user.id, workspace_id=workspace)

    @routes.put("/api/alerts/levels", responses=_GONE)
    async def levels(user: CurrentUser, wanted: LevelsRequest, workspace: Workspace = None) -> Alerts:
        """Sets the levels of one credit type."""
        return await credits.set_credit_alerts(
            user.id, wanted.credit_type, wanted.percents, amounts=wanted.amounts, workspace_id=workspace
        )

    @routes.put("/api/alerts/channels", responses=_GONE)
    async def channels(user: CurrentUser, wanted: ChannelsRequest, workspace: Workspace = None) -> Alerts:
        """Turns mails and notifications on or off for the user."""
        return await credits.set_credit_channels(
            user.id, by_mail=wanted.by_mail, in_app=wanted.in_app, workspace_id=workspace
        )

    routes.include_router(unsubscribe_router(credits, stylesheet="../static/app.css"))
    return routes
