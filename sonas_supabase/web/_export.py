"""The history as a file for a spreadsheet, line by line: it may be longer than what fits into one answer."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterable
from datetime import UTC

from sonas_supabase.web._context import Context
from sonas_supabase.web._history import Wanted, operations
from sonas_supabase.web._lines import OperationLine
from sonas_supabase.web._scope import Scope

HEAD = ("time", "what", "credit_type", "kind", "credits", "balance_after", "asked", "available", "plan", "operation")
_PAGE = 1000
# A spreadsheet takes a text that begins so for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


async def history_csv(context: Context, scope: Scope, wanted: Wanted) -> AsyncIterator[str]:
    """The text of the file, a page at a time. Times are in UTC."""
    yield _rows([HEAD])
    cursor = None
    while True:
        page = await operations(context, scope, _PAGE, cursor, wanted)
        yield _rows(_row(line) for line in page.operations)
        cursor = page.next_cursor
        if cursor is None:
            return


def _row(line: OperationLine) -> tuple[object, ...]:
    return (
        line.created_at.astimezone(UTC).isoformat(),
        f"'{line.title}" if line.title.startswith(_FORMULA) else line.title,
        line.credit_type,
        line.kind,
        0 if line.refused else line.amount,
        line.balance_after,
        line.required,
        line.available,
        line.plan,
        line.operation_id,
    )


def _rows(rows: Iterable[Iterable[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue()
