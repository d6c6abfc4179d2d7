"""What the ledger answers: grants and the history."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sonas_supabase.models.spending import Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant(Answer):
    """Credits given beside the allowance, or taken back again. ``debt_paid`` of them paid what the account owed."""

    grant_id: UUID
    debt_paid: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """One row of the ledger. ``amount`` is signed: what is given is positive, what is spent or lapses negative.

    ``grant_id`` and ``balance_after`` are None while the type is unlimited.
    """

    version: int
    credit_type: str
    operation_id: UUID
    kind: str
    grant_id: UUID | None
    user_id: UUID | None
    amount: int
    balance_after: int | None
    related_operation_id: UUID | None
    description: str | None
    metadata: dict[str, Any]
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryPage:
    """A page of the ledger, newest first. ``next_cursor`` asks for the next one; None after the last."""

    rows: tuple[HistoryEntry, ...]
    next_cursor: str | None
