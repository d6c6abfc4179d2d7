"""The calendar, worked out without the database."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime
from zoneinfo import ZoneInfo


def boundary(anchor: datetime, zone: str, n: int) -> datetime:
    """The n-th month from the anchor."""
    if n == 0:
        return anchor
    local = anchor.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    years, month = divmod(local.month - 1 + n, 12)
    year = local.year + years
    day = min(local.day, calendar.monthrange(year, month + 1)[1])
    moment = local.replace(year=year, month=month + 1, day=day)
    early, late = (moment.replace(tzinfo=ZoneInfo(zone), fold=fold) for fold in (0, 1))
    # A time that does not exist is read on the clock before the change, one that exists twice on the clock after it.
    exists = early.astimezone(UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None) == moment
    return (late if exists else early).astimezone(UTC)


def period(anchor: datetime, zone: str, at: datetime) -> tuple[datetime, datetime]:
    """The period that contains a moment."""
    n = (at.year - anchor.year) * 12 + at.month - anchor.month - 3
    while boundary(anchor, zone, n + 1) <= at:
        n += 1
    return boundary(anchor, zone, n), boundary(anchor, zone, n + 1)
