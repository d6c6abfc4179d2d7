"""What the embedding app passes in: the work that credits pay for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a generation made: a name, and the text of each file by its path."""

    name: str
    files: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A stored project. ``created_at`` is in UTC."""

    id: UUID
    name: str
    files: dict[str, str]
    created_at: datetime


Generate = Callable[[str], Awaitable[Draft]]
"""From a prompt to a draft. An exception costs the user nothing."""

Chat = Callable[[Project, str], AsyncIterator[str]]
"""From a project and a message to the pieces of an answer. An exception costs the user nothing."""

Checkout = Callable[[UUID, str], Awaitable[str]]
"""From a user and a plan to the address where that user pays for it."""
