"""Teams that share one pool of credits: workspaces, their members and invitations."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceMember:
    """Who is in a workspace, and as what: ``owner``, ``admin``, ``member`` or ``viewer``."""

    user_id: UUID
    role: str
    email: str | None
    joined_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenInvitation:
    """An invitation that can still be accepted."""

    invitation_id: UUID
    email: str
    role: str
    invited_by: UUID
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """A workspace and its members. ``role`` is that of the acting user; None when they are out of it.

    ``invitations`` are answered by ``get_workspace``, to owners and admins.
    """

    workspace_id: UUID
    name: str
    role: str | None
    members: tuple[WorkspaceMember, ...]
    replayed: bool = False
    invitations: tuple[OpenInvitation, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation(Workspace):
    """An invitation that was just made. The ``token`` is answered this once."""

    invitation_id: UUID
    token: str
    email: str
    invited_as: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceLine:
    """A workspace that the user is in, as ``role``; ``members`` is how many it has."""

    workspace_id: UUID
    name: str
    role: str
    members: int
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceList:
    """The workspaces that a user is in."""

    workspaces: tuple[WorkspaceLine, ...]
