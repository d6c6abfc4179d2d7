"""Who sent a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """The signed-in user. ``claims`` is the verified token, as it came."""

    id: UUID
    email: str | None = None
    is_anonymous: bool = False
    claims: Mapping[str, Any] = field(default_factory=dict, repr=False)


class Authenticator(Protocol):
    """Whatever can tell who sent a request. :class:`SupabaseAuth` is one."""

    async def user(self, authorization: str | None) -> User:
        """The user that the ``Authorization`` header names. Raises NotAuthenticated."""
