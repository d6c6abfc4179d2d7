"""What explains and proves the books: operations, balances, rules and digests."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sonas_supabase.models.budgets import Budget


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One ledger row of an operation: which grant it touched, and the balance before and after it.

    A row of an unlimited type is of no grant: what belongs to one is None.
    """

    version: int
    credit_type: str
    kind: str
    grant_id: UUID | None
    source: str | None
    priority: int | None
    expires_at: datetime | None
    amount: int
    balance_before: int | None
    balance_after: int | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation, explained: who, what, at which price, from which grants, and what came of it later.

    ``amount`` is of ``credit_type``; where an operation moved credits of several types, ``entries`` has them all. Both
    say nothing for a change of the plan (None and 0). ``related_operation_id`` is the spend that a refund gives back.
    ``required`` and ``available`` are those of a denial.
    """

    operation_id: UUID
    account_id: UUID
    user_id: UUID | None
    kind: str
    credit_type: str | None
    amount: int
    price: dict[str, Any]
    status: str
    description: str | None
    metadata: dict[str, Any] | None
    required: int | None
    available: int | None
    created_at: datetime
    entries: tuple[Entry, ...]
    related_operation_id: UUID | None
    refunded: int
    refunds: tuple[dict[str, Any], ...]
    related: tuple[dict[str, Any], ...]
    reservation: dict[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BookCheck:
    """One always-true rule: how many things were ``checked``, and the first ``violations``."""

    rule: int
    name: str
    ok: bool
    checked: int
    violations: tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """Whether the books are right, rule by rule."""

    success: bool
    checks: tuple[BookCheck, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChecklistLine:
    """One line of the guide's checklist. ``ok`` is None where only the web application can tell."""

    line: int
    name: str
    ok: bool | None
    seen: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Checklist:
    """The guide's checklist, tried on this database."""

    success: bool
    checks: tuple[ChecklistLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """What came or went for one reason, ``times`` times, between ``first_at`` and ``last_at``.

    ``source`` is the grant's (None for spends), ``kind`` expire or void (None for grants and spends).
    """

    amount: int
    times: int
    first_at: datetime
    last_at: datetime
    description: str | None
    source: str | None = None
    kind: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend:
    """One large spend."""

    operation_id: UUID
    amount: int
    description: str | None
    created_at: datetime
    user_id: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenHold:
    """Credits that are set aside until ``expires_at``."""

    reservation_id: UUID
    amount: int
    description: str | None
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceStory:
    """Where the credits of one type went between ``since`` and ``until`` (None: since ever, until now).

    ``opening + granted + refunded - spent + spent_unlimited - expired - voided = closing``, where
    ``spent_unlimited`` is what was spent, less refunds, while the type was unlimited. ``available`` is what can be
    spent now, ``reserved`` what live holds have pinned, ``frozen`` what is there and cannot be spent. Of ``denied``
    attempts, ``denied_by_budget`` had no room in one of the ``budgets``. ``renews_at`` is when an allowance comes, None
    where waiting brings nothing.
    """

    account_id: UUID
    credit_type: str
    since: datetime | None
    until: datetime | None
    now: datetime
    period_end: datetime | None
    renews_at: datetime | None = None
    unlimited: bool
    allowance: int | None
    balance: int
    reserved: int
    available: int
    opening: int
    granted: int
    refunded: int
    spent: int
    spent_unlimited: int
    expired: int
    voided: int
    closing: int
    denied: int
    denied_by_budget: int
    frozen: int
    grants: tuple[Flow, ...]
    spends: tuple[Flow, ...]
    losses: tuple[Flow, ...]
    largest: tuple[Spend, ...]
    holds: tuple[OpenHold, ...]
    budgets: tuple[Budget, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundOperation:
    """Whose operation it is."""

    operation_id: UUID
    account_id: UUID
    user_id: UUID | None
    workspace_id: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEnd:
    """Up to where the history of one account and credit type is meant."""

    account_id: UUID
    credit_type: str
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestEntry(LedgerEnd):
    """The SHA-256, in hex, of the ``rows`` ledger rows of one stretch of 10,000 versions that ends with ``version``."""

    rows: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerDigest:
    """One page of digests. ``is_last``: there is nothing after it."""

    entries: tuple[DigestEntry, ...]
    is_last: bool
