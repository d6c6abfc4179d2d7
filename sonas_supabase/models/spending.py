"""What spending answers: operations, batches, advice and refunds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An operation that took effect, and the balance after it.

    ``operation_id`` names it in the ledger; ``replayed`` is True when it had taken effect before, under the same
    idempotency key.
    """

    success: bool
    code: str
    operation_id: UUID | None
    credit_type: str
    amount: int
    remaining: int | None
    limit: int | None
    used: int
    reserved: int
    unlimited: bool
    period_end: datetime | None
    replayed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund(Answer):
    """Credits given back of an earlier operation.

    ``amount`` is what ``returned`` and what had ``expired`` meanwhile. Of a priced operation ``cost`` came back,
    exactly, and ``amount`` is the whole credits among it.
    """

    refunds_operation_id: UUID
    returned: int
    expired: int
    cost: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Several operations that took effect together, one answer each."""

    operation_id: UUID
    amount: int
    replayed: bool
    items: tuple[Answer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DenialDetails:
    """What was required, what could be spent (None: without limit), and what would help: the renewal (UTC) or
    ``next_step``.

    That is ``upgrade``, on the largest plan ``buy_credits``, or None where neither gives more. Where a budget has no
    room, ``budget`` says which (``id``, ``window``, ``limit``, ``used``, ``frees_at``).
    """

    required: int
    available: int | None
    resets_at: datetime | None
    plan: str | None
    upgrade_url: str
    next_step: str | None = None
    budget: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice(Answer):
    """What ``consume_credits`` would answer now. ``success`` is False when it would be denied.

    ``message``, ``hint`` and ``details`` are then what to tell the user; else they are None.
    """

    message: str | None = None
    hint: str | None = None
    details: DenialDetails | None = None
