"""What the calls answer: frozen dataclasses with the keys of the SQL functions' JSON objects.

Amounts are whole credits, times are aware and in UTC, ids are :class:`uuid.UUID`. ``None`` for ``remaining``,
``limit`` or ``allowance`` means unlimited.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
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
class Reservation(Answer):
    """Credits that are held until ``expires_at`` (UTC)."""

    reservation_id: UUID
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture(Answer):
    """A hold that was charged: ``captured`` was spent, ``released`` went back, ``shortfall`` could not be had."""

    reservation_id: UUID
    captured: int
    released: int
    shortfall: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Release(Answer):
    """A hold that was given back."""

    reservation_id: UUID
    released: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund(Answer):
    """Credits given back of an earlier operation."""

    refunds_operation_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant(Answer):
    """Credits given beside the allowance, or taken back again."""

    grant_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Several operations that took effect together, one answer each."""

    operation_id: UUID
    amount: int
    replayed: bool
    items: tuple[Answer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DenialDetails:
    """What was required, what could be spent, and what would help: the renewal (UTC) or a larger plan."""

    required: int
    available: int
    resets_at: datetime | None
    plan: str | None
    upgrade_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice(Answer):
    """What ``consume_credits`` would answer now. ``success`` is False when it would be denied.

    ``message``, ``hint`` and ``details`` are then what to tell the user; else they are None.
    """

    message: str | None = None
    hint: str | None = None
    details: DenialDetails | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """What an account has of one credit type.

    ``percent_used`` counts top-ups as much as the allowance; ``warning`` is ``low`` from 80 %, ``exhausted`` at nothing
    left, else None. ``kind`` is ``credit`` or ``limit``.
    """

    credit_type: str
    kind: str
    allowance: int | None
    used: int
    reserved: int
    remaining: int | None
    unlimited: bool
    percent_used: int
    warning: str | None
    period_start: datetime | None
    period_end: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountAnswer:
    """An operation on a whole account, and all its balances after it."""

    operation_id: UUID | None
    period_end: datetime | None
    replayed: bool
    balances: tuple[Balance, ...]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusChange(AccountAnswer):
    """The status that the subscription or the account has now."""

    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeZoneChange(AccountAnswer):
    """The time zone whose wall clock the account's periods follow."""

    time_zone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock(AccountAnswer):
    """The time (UTC) that a test account lives in."""

    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenGrant:
    """A grant that still has credits. The lower the ``priority``, the earlier it is spent."""

    grant_id: UUID
    credit_type: str
    source: str
    amount: int
    remaining: int
    held: int
    priority: int
    starts_at: datetime
    expires_at: datetime | None
    frozen: bool
    description: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Everything that a usage page shows of one account."""

    account_id: UUID
    user_id: UUID
    plan: str
    plan_name: str
    status: str
    upgrade_url: str
    pending_plan: str | None
    pending_at: datetime | None
    period_start: datetime | None
    period_end: datetime | None
    now: datetime
    balances: tuple[Balance, ...]
    grants: tuple[OpenGrant, ...]

    def balance(self, credit_type: str) -> Balance:
        """The balance of one credit type. Raises KeyError when the account has none of it."""
        for balance in self.balances:
            if balance.credit_type == credit_type:
                return balance
        raise KeyError(credit_type)


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
    created_at: datetime
    entries: tuple[Entry, ...]
    related_operation_id: UUID | None
    refunded: int
    refunds: tuple[dict[str, Any], ...]
    related: tuple[dict[str, Any], ...]
    reservation: dict[str, Any] | None


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
class PlanLimit:
    """What a plan includes of one credit type, per period; ``rollover_cap`` of it may move into the next one."""

    credit_type: str
    kind: str
    allowance: int | None
    unlimited: bool
    rollover_cap: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A plan as a pricing page shows it. ``price_cents`` is per month, in the smallest unit of ``currency``."""

    id: str
    name: str
    description: str
    rank: int
    price_cents: int
    currency: str
    is_default: bool
    limits: tuple[PlanLimit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemStatus:
    """How the system is doing. ``due`` accounts have something to be booked; nothing depends on when that happens."""

    accounts: int
    due: int
    oldest_due_at: datetime | None
    open_reservations: int
    transactions_estimate: int
    scheduler: str | None
    server_version: str
    now: datetime


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
class Finding:
    """Something about a database that somebody should look at: what it means, and how to try and to mend it.

    ``severity`` is critical, high, medium, low or info.
    """

    code: str
    severity: str
    object: str | None
    meaning: str
    how_to_try: str | None
    how_to_mend: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What was inspected and found, the worst first. ``success`` is False when a finding is critical or high."""

    success: bool
    functions: int
    tables: int
    server_version: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryPage:
    """What get_credit_history answers; the client hands out its entries."""

    entries: tuple[HistoryEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanList:
    """What list_plans answers; the client hands out its plans."""

    plans: tuple[Plan, ...]
