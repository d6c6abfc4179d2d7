"""The history of a user by pages: operations of the ledger and refused attempts, each of them once."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self
from uuid import UUID

from sonas_supabase import HistoryEntry, HistoryPage, InvalidArgument
from sonas_supabase.untrusted import read_json
from sonas_supabase.web._context import Context
from sonas_supabase.web._lines import Grants, joins
from sonas_supabase.web._report import OperationPage, operation_page
from sonas_supabase.web._scope import Scope

_LONGEST = 200
_NEXT_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ended: in the ledger (None before its first row), and among the refused attempts."""

    ledger: str | None = None
    is_at_the_end: bool = False
    denied_at: datetime | None = None
    denied_id: UUID | None = None

    @classmethod
    def read(cls, cursor: str | None) -> Self:
        """The place that a cursor names.

        Raises:
            InvalidArgument: it is none that a page has answered.
        """
        if cursor is None:
            return cls()
        try:
            ledger, is_at_the_end, denied_at, denied_id = read_json(base64.urlsafe_b64decode(cursor).decode())
            if not isinstance(ledger, str | None) or not isinstance(is_at_the_end, bool):
                raise TypeError
            return cls(
                ledger,
                is_at_the_end,
                denied_at and datetime.fromisoformat(denied_at),
                denied_id and UUID(denied_id),
            )
        except (ValueError, TypeError, AttributeError) as error:
            raise InvalidArgument(
                "This is no cursor of a page.",
                details={"argument": "cursor"},
                hint="Pass next_cursor of the page before, unchanged.",
            ) from error

    def write(self) -> str:
        denied_at = self.denied_at and self.denied_at.isoformat()
        parts = [self.ledger, self.is_at_the_end, denied_at, self.denied_id and str(self.denied_id)]
        return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which part of the history: one credit type, from ``since`` on and before ``until``; None is all of it."""

    credit_type: str | None = None
    since: datetime | None = None
    until: datetime | None = None


EVERYTHING = Wanted()


async def operations(
    context: Context, scope: Scope, limit: int, cursor: str | None, wanted: Wanted = EVERYTHING
) -> OperationPage:
    """A page of at least ``limit`` lines where there are as many, with the cursor of the next one."""
    place = Place.read(cursor)
    plans = {plan.id: plan.name for plan in await context.credits.list_plans()}
    rows, ledger = ([], None) if place.is_at_the_end else await _ledger(context, scope, limit, place.ledger, wanted)
    is_at_the_end = ledger is None
    # What was refused at the instant of the oldest row, or before, belongs to a later page: more rows of that instant
    # may come first.
    since = rows[-1].created_at + _NEXT_INSTANT if ledger else wanted.since
    found = await context.store.denials(
        scope,
        limit + 1,
        before=place.denied_at,
        before_id=place.denied_id,
        since=since,
        until=wanted.until,
        credit_type=wanted.credit_type,
    )
    denials = found[:limit]
    if len(found) > limit:
        # What is older than the last of them comes with the others, behind them.
        newer = sum(row.created_at > denials[-1].created_at for row in rows)
        if newer == 0 < len(rows):
            rows, ledger, is_at_the_end = [], place.ledger, False
        elif newer < len(rows):
            rows, ledger = await _ledger(context, scope, newer, place.ledger, wanted)
            is_at_the_end = ledger is None
    grants = await _grants(context, scope, rows)
    if is_at_the_end and len(found) <= limit:
        return operation_page(rows, denials, None, grants, plans)
    denied = (denials[-1].created_at, denials[-1].operation_id) if denials else (place.denied_at, place.denied_id)
    return operation_page(rows, denials, Place(ledger, is_at_the_end, *denied).write(), grants, plans)


async def _ledger(
    context: Context, scope: Scope, limit: int, cursor: str | None, wanted: Wanted
) -> tuple[list[HistoryEntry], str | None]:
    """Entries of whole groups: what is one thing that happened is on one page."""

    async def read(limit: int, cursor: str | None) -> HistoryPage:
        return await context.credits.get_credit_history(
            scope.user_id,
            credit_type=wanted.credit_type,
            limit=limit,
            cursor=cursor,
            since=wanted.since,
            until=wanted.until,
            workspace_id=scope.workspace_id,
        )

    page = await read(limit, cursor)
    rows, next_cursor = list(page.rows), page.next_cursor
    while next_cursor is not None:
        page = await read(1, next_cursor)
        grants = await _grants(context, scope, [*rows[-_LONGEST:], *page.rows])
        if not page.rows or not _is_one(rows, page.rows[0], grants):
            break
        rows, next_cursor = [*rows, *page.rows], page.next_cursor
    return rows, next_cursor


def _is_one(rows: list[HistoryEntry], entry: HistoryEntry, grants: Grants) -> bool:
    """Whether the entry belongs to the group that the rows end with."""
    group: list[HistoryEntry] = []
    for row in rows[-_LONGEST:]:
        group = [*group, row] if group and joins(group, row, grants) else [row]
    return joins(group, entry, grants)


async def _grants(context: Context, scope: Scope, rows: Sequence[HistoryEntry]) -> Grants:
    ids = {row.grant_id for row in rows if row.grant_id is not None}
    return await context.store.grants(scope.account_id, ids) if ids else {}
