"""What the fake keeps of an account: grants, holds, operations, keys and the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

PRIORITIES = {
    "rollover": 10,
    "trial": 20,
    "promotion": 20,
    "compensation": 20,
    "plan": 30,
    "top_up": 50,
    "goodwill": 60,
}


@dataclass
class Grant:
    """Credits with a window, a source and a place in the burn order."""

    id: str
    source: str
    amount: int
    remaining: int
    expires_at: datetime | None
    description: str | None
    held: int = 0
    voided: bool = False
    revoked: int = 0
    starts_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def order(self) -> tuple[int, datetime, datetime, str]:
        """The place in the burn order."""
        last = datetime.max.replace(tzinfo=UTC)
        priority = PRIORITIES[self.source]
        if self.source == "goodwill" and self.expires_at is not None:
            priority = PRIORITIES["promotion"]
        return priority, self.expires_at or last, self.starts_at, self.id

    @property
    def is_open(self) -> bool:
        """Whether it may be spent."""
        return not self.voided and (self.expires_at is None or self.expires_at > datetime.now(UTC))


@dataclass
class Slice:
    """What a hold has of a grant."""

    grant: Grant
    left: int


@dataclass
class Operation:
    """A spend, and what it took of which grant."""

    id: str
    credit_type: str
    amount: int
    taken: list[tuple[Grant, int]]
    refunded: int = 0
    made_at: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass
class Hold:
    """A hold; ``left`` is what is still held of it."""

    id: str
    operation_id: str
    credit_type: str
    amount: int
    left: int
    slices: list[Slice]
    expires_at: datetime
    description: str | None
    metadata: Mapping[str, Any]
    status: str = "open"
    captured: int = 0
    released: int = 0
    shortfall: int = 0
    reason: str | None = None
    answer: dict[str, Any] | None = None


@dataclass
class Account:
    """One account."""

    id: str
    plan: str = "free"
    status: str = "active"
    actor: str = ""
    used: dict[str, int] = field(default_factory=dict)
    grants: dict[str, list[Grant]] = field(default_factory=dict)
    operations: dict[str, Operation] = field(default_factory=dict)
    holds: dict[str, Hold] = field(default_factory=dict)
    keys: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    ledger: list[dict[str, Any]] = field(default_factory=list)
    answers: dict[str, Any] = field(default_factory=dict)
    uncollected: list[dict[str, Any]] = field(default_factory=list)
    period_start: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def period_end(self) -> datetime:
        """When the allowances would be renewed."""
        return self.period_start + timedelta(days=31)

    def free(self, hold: Hold) -> None:
        """Give all that is held back to its grants; what is of one that has ended expires at once."""
        for one in hold.slices:
            one.grant.held -= one.left
            one.left = 0
            self.expire(hold.credit_type, one.grant)
        hold.released, hold.left = hold.left, 0

    def expire(self, credit_type: str, grant: Grant) -> None:
        """Take what an ended grant has left, but for what is held of it."""
        ended = grant.expires_at is not None and grant.expires_at <= datetime.now(UTC)
        if ended and (rest := grant.remaining - grant.held) > 0:
            grant.remaining = grant.held
            self.post(credit_type, "expire", -rest, str(uuid4()), grant=grant)

    def post(
        self,
        credit_type: str,
        kind: str,
        amount: int,
        operation_id: str,
        *,
        grant: Grant | None,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        related: str | None = None,
    ) -> None:
        """Write a row of the ledger; one of an unlimited type is of no grant."""
        rows = [row for row in self.ledger if row["credit_type"] == credit_type]
        balance = sum(one.remaining for one in self.grants[credit_type])
        self.ledger.append(
            {
                "version": len(rows) + 1,
                "credit_type": credit_type,
                "operation_id": operation_id,
                "kind": kind,
                "grant_id": grant and grant.id,
                "user_id": self.actor or self.id,
                "amount": amount,
                "balance_after": None if grant is None else balance,
                "related_operation_id": related,
                "description": description,
                "metadata": dict(metadata or {}),
                "created_at": datetime.now(UTC).isoformat(),
            }
        )
