"""What moving in and out answers: imports, exports, and what was forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID


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
class ImportUndone:
    """An import that was taken back: how many ``grants``, and the credits (``total``) that they had left.

    ``code`` is ok or spent; nothing has changed unless ``success`` is True.
    """

    success: bool
    code: str
    credit_type: str
    grants: int
    total: int
    dry_run: bool
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
