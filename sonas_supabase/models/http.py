"""What a web application keeps beside the books: answers under an Idempotency-Key, and work that was not paid."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpClaim:
    """Where an ``Idempotency-Key`` stands: ``claimed``, ``working``, ``answered`` or ``not_stored``.

    ``run_id`` names the run, which a server continues that takes over from one that died. ``body`` is in base64; an
    answer has it, with ``status`` and ``headers``. Bodies above ``body_limit`` bytes are not kept.
    """

    state: str
    run_id: UUID
    body_limit: int
    status: int | None = None
    headers: dict[str, Any] | None = None
    body: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswerStored:
    """``stored`` is False when another request had taken the key over."""

    stored: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpClaimDropped:
    """``dropped`` is False when the claim was not there any more."""

    dropped: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class UncollectedEntry:
    """Work on record that could not be charged. ``amount`` is in credits."""

    uncollected_id: UUID
    account_id: UUID
    amount: int
    replayed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class UncollectedRow:
    """Work for ``user_id`` that ``account_id`` was to pay and did not; of the kind ``refund``, what it has paid and
    was to get back."""

    uncollected_id: UUID
    kind: str
    account_id: UUID
    user_id: UUID
    credit_type: str
    amount: int
    reason: str
    description: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class UncollectedList:
    """The newest entries that were not resolved, and the credits of all of them by type: ``totals`` that accounts owe,
    ``owed`` to them."""

    rows: tuple[UncollectedRow, ...]
    totals: dict[str, int]
    owed: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class UncollectedResolved:
    """``resolved`` is False when it was resolved before."""

    uncollected_id: UUID
    resolved: bool
