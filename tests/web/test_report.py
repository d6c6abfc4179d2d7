"""How the parts of the usage panel are put together."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sonas_supabase import HistoryEntry
from sonas_supabase.web._report import operation_page, usage_series
from sonas_supabase.web._store import DayOfUse, Denial

START = datetime(2027, 1, 1, tzinfo=UTC)


def entry(minute: int, version: int, amount: int, operation: UUID | None = None, **fields: Any) -> HistoryEntry:
    return HistoryEntry(
        version=version,
        credit_type="message",
        operation_id=operation or uuid4(),
        kind=fields.get("kind", "consume"),
        grant_id=uuid4(),
        user_id=None,
        amount=amount,
        balance_after=100 + amount,
        related_operation_id=fields.get("related"),
        description=fields.get("description"),
        metadata={},
        created_at=START + timedelta(minutes=minute),
    )


def denial(minute: int) -> Denial:
    return Denial(
        operation_id=uuid4(), credit_type="message", description="no", created_at=START + timedelta(minutes=minute)
    )


def test_an_operation_out_of_several_grants_is_one_line() -> None:
    operation = uuid4()
    [line] = operation_page([entry(1, 3, -4, operation), entry(1, 2, -6, operation)], [], None).operations
    assert (line.amount, line.balance_after) == (-10, 96)


def test_a_refund_and_what_is_lost_of_it_is_one_thing() -> None:
    refund = uuid4()
    parts = [
        entry(1, 4, -1, kind="void", related=refund),
        entry(1, 3, 1, refund, kind="refund"),
        entry(1, 2, -2, kind="expire", related=refund),
        entry(1, 1, 2, refund, kind="refund"),
    ]
    lines = operation_page([entry(2, 5, -9, kind="void", related=refund), *parts], [], None).operations
    assert [(line.kind, line.amount) for line in lines] == [("void", -9), ("void", -1), ("refund", 3), ("expire", -2)]
    assert len({line.group for line in lines}) == 2


def test_refusals_stand_where_they_happened() -> None:
    lines = operation_page([entry(3, 2, -1), entry(1, 1, -1)], [denial(2)], None).operations
    assert [line.refused for line in lines] == [False, True, False]


def test_a_page_says_where_the_next_one_begins() -> None:
    page = operation_page([entry(3, 2, -1)], [], "there")
    assert (page.has_older, page.next_cursor) == (True, "there")
    assert not operation_page([entry(3, 2, -1)], [], None).has_older


def test_lines_have_titles_that_people_read() -> None:
    titles = {
        operation_page([entry(1, 1, -1, description=description, kind=kind)], [], None).operations[0].title
        for description, kind in [
            ("public.projects", "consume"),
            ("public.projects deleted", "refund"),
            ("plan allowance", "grant"),
            (None, "expire"),
        ]
    }
    assert titles == {"Project created", "Project deleted", "Plan allowance", "Credits expired"}


def test_days_without_use_are_zero() -> None:
    rows = [DayOfUse(day=date(2027, 1, 2), credit_type="message", credits=7, denied=1)]
    series = usage_series(rows, ["message", "integration"], date(2027, 1, 3), 3, "UTC")
    assert series.days == (date(2027, 1, 1), date(2027, 1, 2), date(2027, 1, 3))
    assert series.credits == {"message": (0, 7, 0), "integration": (0, 0, 0)}
    assert series.refused["message"] == (0, 1, 0)
