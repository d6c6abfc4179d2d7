"""API keys: what lets a program act for a person on one account."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key of a program, which acts for ``user_id``. ``last_used_at`` is to the minute."""

    key_id: UUID
    name: str
    user_id: UUID
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    workspace_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewApiKey(ApiKey):
    """A key that was just made. ``key`` is answered this once."""

    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyHolder(ApiKey):
    """For whom a key acts, and in which workspace; None is their own account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeys:
    """The keys of an account that are not revoked."""

    keys: tuple[ApiKey, ...]
    workspace_id: UUID | None = None
