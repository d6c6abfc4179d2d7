"""Who sent a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """The signed-in user. ``claims`` is the verified token, as it came.

    A program with an API key has ``key_id`` and ``key_name``, and acts on one account: ``workspace_id``, or where that
    is None the person's own.
    """

    id: UUID
    email: str | None = None
    is_anonymous: bool = False
    claims: Mapping[str, Any] = field(default_factory=dict, repr=False)
    key_id: UUID | None = None
    key_name: str | None = None
    workspace_id: UUID | None = None


class Authenticator(Protocol):
    """Whatever can tell who sent a request. :class:`SupabaseAuth` is one."""

    async def user(self, authorization: str | None) -> User:
        """The user that the ``Authorization`` header names. Raises NotAuthenticated."""
