"""The history of a user by pages: operations of the ledger and refused attempts, each of them once."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Self
from uuid import UUID

from sonas_supabase import HistoryEntry, InvalidArgument
from sonas_supabase.web._context import Context
from sonas_supabase.web._report import OperationPage, operation_page


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
            ledger, is_at_the_end, denied_at, denied_id = json.loads(base64.urlsafe_b64decode(cursor))
            if not isinstance(ledger, str | None) or not isinstance(is_at_the_end, bool):
                raise TypeError
            return cls(
                ledger,
                is_at_the_end,
                denied_at and datetime.fromisoformat(denied_at),
                denied_id and UUID(denied_id),
            )
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise InvalidArgument(
                "This is no cursor of a page.",
                details={"argument": "cursor"},
                hint="Pass next_cursor of the page before, unchanged.",
            ) from error

    def write(self) -> str:
        denied_at = self.denied_at and self.denied_at.isoformat()
        parts = [self.ledger, self.is_at_the_end, denied_at, self.denied_id and str(self.denied_id)]
        return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()


async def operations(context: Context, user_id: UUID, limit: int, cursor: str | None) -> OperationPage:
    """A page of at least ``limit`` lines where there are as many, with the cursor of the next one."""
    place = Place.read(cursor)
    rows, ledger = ([], None) if place.is_at_the_end else await _ledger(context, user_id, limit, place.ledger)
    # What was refused before the oldest row belongs to a later page.
    since = rows[-1].created_at if ledger else None
    found = await context.store.denials(user_id, limit + 1, place.denied_at, place.denied_id, since)
    denials = found[:limit]
    if ledger is None and len(found) <= limit:
        return operation_page(rows, denials, None)
    denied = (denials[-1].created_at, denials[-1].operation_id) if denials else (place.denied_at, place.denied_id)
    return operation_page(rows, denials, Place(ledger, ledger is None, *denied).write())


async def _ledger(
    context: Context, user_id: UUID, limit: int, cursor: str | None
) -> tuple[list[HistoryEntry], str | None]:
    """Rows of whole operations: the last one may have more rows than the page."""
    page = await context.credits.get_credit_history(user_id, limit=limit, cursor=cursor)
    rows, next_cursor = list(page.rows), page.next_cursor
    while next_cursor is not None:
        page = await context.credits.get_credit_history(user_id, limit=1, cursor=next_cursor)
        if not page.rows or _line(page.rows[0]) != _line(rows[-1]):
            break
        rows, next_cursor = [*rows, *page.rows], page.next_cursor
    return rows, next_cursor


def _line(entry: HistoryEntry) -> tuple[UUID, str, str]:
    return entry.operation_id, entry.kind, entry.credit_type
