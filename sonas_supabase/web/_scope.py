"""Whose account a page shows, and whose doings in it."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sonas_supabase import AsyncCreditsClient

_OVERSEERS = ("owner", "admin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The user who looks, the workspace that is looked at (None for one's own account), and whose doings are shown.

    ``actor`` is None where everybody's are. ``buyers`` are the addresses of those who buy for a workspace.
    """

    user_id: UUID
    workspace_id: UUID | None = None
    actor: UUID | None = None
    buyers: tuple[str, ...] = ()

    @property
    def account_id(self) -> UUID:
        """Whose credits they are."""
        return self.workspace_id or self.user_id


async def scope_of(credits: AsyncCreditsClient, user_id: UUID, workspace_id: UUID | None) -> Scope:
    """What a user may see of an account: all of their own, and of a workspace what they did unless they oversee it.

    Raises:
        AccountNotFound: there is no such workspace, or the user is not in it.
    """
    if workspace_id is None:
        return Scope(user_id=user_id, actor=user_id)
    workspace = await credits.get_workspace(user_id, workspace_id)
    return Scope(
        user_id=user_id,
        workspace_id=workspace_id,
        actor=None if workspace.role in _OVERSEERS else user_id,
        buyers=tuple(one.email for one in workspace.members if one.role in _OVERSEERS and one.email),
    )
