"""What reservations answer: what is held, captured and released."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sonas_supabase.models.spending import Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation(Answer):
    """Credits that are held until ``expires_at`` (UTC)."""

    reservation_id: UUID
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture(Answer):
    """A hold that was charged: ``captured`` was spent, ``released`` went back, ``shortfall`` could not be had.

    Of a part, ``held`` is what stays held for the next one.
    """

    reservation_id: UUID
    captured: int
    released: int
    held: int
    shortfall: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Release(Answer):
    """A hold that was given back."""

    reservation_id: UUID
    released: int
