"""What the calls answer that tell, prove, take over and forget: frozen dataclasses like those of the models module.

Amounts are whole credits, times are aware and in UTC, ids are :class:`uuid.UUID`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID


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
    spent now, ``reserved`` what live holds have pinned, ``frozen`` what is there and cannot be spent.
    """

    account_id: UUID
    credit_type: str
    since: datetime | None
    until: datetime | None
    now: datetime
    period_end: datetime | None
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
    frozen: int
    grants: tuple[Flow, ...]
    spends: tuple[Flow, ...]
    losses: tuple[Flow, ...]
    largest: tuple[Spend, ...]
    holds: tuple[OpenHold, ...]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportProblem:
    """What keeps ``rows`` rows from being imported, and the first ten of their users."""

    problem: str
    rows: int
    users: tuple[str | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceImport:
    """Balances that were taken over, or the reason why none was.

    ``code`` is ok, unusable_rows or totals_differ; nothing has changed unless ``success`` is True. ``total`` is what
    the table says, ``granted_total`` what the ledger says after the import, in credits. ``replayed`` of the
    ``granted`` rows had been imported before, ``empty`` rows have a balance of 0. ``elsewhere`` says how many of the
    users have an opening balance of this type already, by the table and column it came from.
    """

    success: bool
    code: str
    credit_type: str
    rows: int
    empty: int
    total: int
    expected_total: int | None
    granted: int
    replayed: int
    granted_total: int
    dry_run: bool
    elsewhere: dict[str, int]
    problems: tuple[ImportProblem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountExport:
    """Every row that the credit system has about one user, by table.

    ``names`` are all tables there are. Of a single table ``more`` says whether there are rows behind these.
    """

    account_id: UUID
    exported_at: datetime
    tables: dict[str, Any]
    names: tuple[str, ...]
    more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """A closed account whose words are gone. ``rows`` counts them by table; ``replayed``: it was forgotten before."""

    account_id: UUID
    forgotten_at: datetime
    rows: dict[str, Any]
    replayed: bool
