"""What a reset and a change of plan answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sonas_supabase.models.accounts import AccountAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset(AccountAnswer):
    """Which credit types were ``restarted``; without a user, how many ``accounts`` were renewed, if ``more`` are."""

    accounts: int | None = None
    more: bool | None = None
    restarted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanChange(AccountAnswer):
    """The plan that the account is on now, and the one that it will be on from ``pending_at`` (UTC)."""

    plan: str
    status: str
    quantity: int
    pending_plan: str | None
    pending_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanPin(PlanChange):
    """The ``version`` of its plan that the account is kept at; None when it is free to take the newest."""

    version: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """The newest ``version`` of a plan, how many ``accounts`` were moved to it now, and whether there are ``more``."""

    plan: str
    version: int
    accounts: int
    more: bool
