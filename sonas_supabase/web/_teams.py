"""Teams: who shares a workspace, what each may spend, and which programs act for them.

Every route asks as the signed-in user, and the database says what their role allows. An API key opens none of them.
"""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from sonas_supabase import models
from sonas_supabase.fastapi import CurrentUser
from sonas_supabase.web._context import Context
from sonas_supabase.web.errors import CREATED, answers

_Id = Annotated[UUID, Path(description="The workspace.")]
_REFUSED = answers(
    frozen="The role of the user does not allow it.",
    not_found="There is no such thing, or not for this user.",
    conflict="It would leave the workspace without an owner, or the invitation has been used.",
)


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewWorkspace(_Request):
    """A workspace to make."""

    name: str = Field(min_length=1, max_length=200)


class NewInvitation(_Request):
    """Whom to invite, and as what."""

    email: str = Field(max_length=320)
    role: str = "member"


class Acceptance(_Request):
    """The token of an invitation."""

    token: str = Field(max_length=200)


class NewRole(_Request):
    """The role that a member is to have."""

    role: str


class NewBudget(_Request):
    """A budget to set."""

    credit_type: str
    limit: int = Field(ge=0, le=2**53)
    window: str
    scope: str = "workspace"
    scope_value: str | None = None
    hours: int | None = Field(default=None, ge=1, le=8784)


class NewKey(_Request):
    """A key to make."""

    name: str = Field(min_length=1, max_length=80)


def router(context: Context) -> APIRouter:
    """The routes, on what the app was made with."""
    routes = APIRouter(tags=["teams"], responses=_REFUSED)
    routes.include_router(_people(context))
    routes.include_router(_money(context))
    return routes


def _people(context: Context) -> APIRouter:
    routes, credits = APIRouter(prefix="/api/workspaces"), context.credits

    @routes.get("")
    async def mine(user: CurrentUser) -> models.WorkspaceList:
        """The workspaces that the user is in."""
        return await credits.list_workspaces(user.id)

    @routes.post("", status_code=CREATED)
    async def create(user: CurrentUser, wanted: NewWorkspace) -> models.Workspace:
        """Makes a workspace; the user owns it."""
        return await credits.create_workspace(user.id, wanted.name)

    @routes.post("/accept")
    async def accept(user: CurrentUser, wanted: Acceptance) -> models.Workspace:
        """Joins a workspace by an invitation to the user's e-mail."""
        return await credits.accept_workspace_invitation(user.id, wanted.token)

    @routes.get("/{workspace_id}")
    async def show(user: CurrentUser, workspace_id: _Id) -> models.Workspace:
        """A workspace and its members; for owners and admins its open invitations too."""
        return await credits.get_workspace(user.id, workspace_id)

    @routes.delete("/{workspace_id}")
    async def delete(user: CurrentUser, workspace_id: _Id) -> models.Workspace:
        """Deletes a workspace, which only an owner may."""
        return await credits.delete_workspace(user.id, workspace_id)

    @routes.post("/{workspace_id}/leave")
    async def leave(user: CurrentUser, workspace_id: _Id) -> models.Workspace:
        """Leaves a workspace."""
        return await credits.leave_workspace(user.id, workspace_id)

    @routes.post("/{workspace_id}/invitations", status_code=CREATED)
    async def invite(user: CurrentUser, workspace_id: _Id, wanted: NewInvitation) -> models.Invitation:
        """Invites an e-mail. The token is answered this once."""
        return await credits.invite_to_workspace(user.id, workspace_id, wanted.email, role=wanted.role)

    @routes.delete("/{workspace_id}/invitations/{invitation_id}")
    async def revoke(user: CurrentUser, workspace_id: _Id, invitation_id: UUID) -> models.Workspace:
        """Takes an invitation back."""
        return await credits.revoke_workspace_invitation(user.id, workspace_id, invitation_id)

    @routes.put("/{workspace_id}/members/{member_id}")
    async def set_role(user: CurrentUser, workspace_id: _Id, member_id: UUID, wanted: NewRole) -> models.Workspace:
        """Gives a member another role."""
        return await credits.set_workspace_role(user.id, workspace_id, member_id, wanted.role)

    @routes.delete("/{workspace_id}/members/{member_id}")
    async def remove(user: CurrentUser, workspace_id: _Id, member_id: UUID) -> models.Workspace:
        """Takes a member out; their access ends at once."""
        return await credits.remove_from_workspace(user.id, workspace_id, member_id)

    @routes.post("/{workspace_id}/members/{member_id}/transfer")
    async def transfer(user: CurrentUser, workspace_id: _Id, member_id: UUID) -> models.Workspace:
        """Makes a member the owner in the user's place."""
        return await credits.transfer_workspace(user.id, workspace_id, member_id)

    return routes


def _money(context: Context) -> APIRouter:
    routes, credits = APIRouter(prefix="/api/workspaces/{workspace_id}"), context.credits

    @routes.get("/usage")
    async def usage(user: CurrentUser, workspace_id: _Id) -> models.Summary:
        """The plan, balances, budgets and open grants of the workspace."""
        return await credits.get_credit_summary(user.id, workspace_id=workspace_id)

    @routes.get("/budgets")
    async def budgets(user: CurrentUser, workspace_id: _Id) -> models.BudgetList:
        """The budgets and how they stand: one's own use, and for owners and admins that of each."""
        return await credits.list_credit_budgets(user.id, workspace_id=workspace_id)

    @routes.put("/budgets")
    async def set_budget(user: CurrentUser, workspace_id: _Id, wanted: NewBudget) -> models.Budget:
        """Sets a budget; the same window, hours, scope and value again change its limit."""
        return await credits.set_credit_budget(
            user.id,
            workspace_id=workspace_id,
            credit_type=wanted.credit_type,
            limit=wanted.limit,
            window=wanted.window,
            scope=wanted.scope,
            scope_value=wanted.scope_value,
            hours=wanted.hours,
        )

    @routes.delete("/budgets/{budget_id}")
    async def delete_budget(user: CurrentUser, workspace_id: _Id, budget_id: UUID) -> models.Budget:
        """Deletes a budget."""
        return await credits.delete_credit_budget(user.id, workspace_id=workspace_id, budget_id=budget_id)

    @routes.get("/keys")
    async def keys(user: CurrentUser, workspace_id: _Id) -> models.ApiKeys:
        """The API keys: one's own, and for owners and admins everybody's."""
        return await credits.list_api_keys(user.id, workspace_id=workspace_id)

    @routes.post("/keys", status_code=CREATED)
    async def create_key(user: CurrentUser, workspace_id: _Id, wanted: NewKey) -> models.NewApiKey:
        """Makes an API key that acts for the user. The key is answered this once."""
        return await credits.create_api_key(user.id, workspace_id=workspace_id, name=wanted.name)

    @routes.delete("/keys/{key_id}")
    async def revoke_key(user: CurrentUser, workspace_id: _Id, key_id: UUID) -> models.ApiKey:
        """Revokes an API key at once."""
        return await credits.revoke_api_key(user.id, workspace_id=workspace_id, key_id=key_id)

    return routes
