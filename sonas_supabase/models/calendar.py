"""What a reset and a change of plan answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sonas_supabase.models.accounts import AccountAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset(AccountAnswer):
    """A restarted allowance; or, without a user, how many ``accounts`` were renewed."""

    accounts: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanChange(AccountAnswer):
    """The plan that the account is on now, and the one that it will be on from ``pending_at`` (UTC)."""

    plan: str
    status: str
    pending_plan: str | None
    pending_at: datetime | None
