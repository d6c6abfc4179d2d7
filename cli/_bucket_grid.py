"""Where a bucket stands among all buckets of its window, those included in which nothing happened."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from sonas_supabase.models.metrics import MetricWindow

_ORDINALS: dict[str, Callable[[datetime], int]] = {
    "hour": lambda at: int(at.timestamp() // 3600),
    "day": lambda at: at.toordinal(),
    # Day 1 was a Monday.
    "week": lambda at: (at.toordinal() - 1) // 7,
    "month": lambda at: at.year * 12 + at.month,
    "quarter": lambda at: at.year * 4 + (at.month - 1) // 3,
    "year": lambda at: at.year,
}


def zone_of(name: str) -> tzinfo:
    """The time zone of that name; UTC also where Python has no time zones at all. `KeyError` if there is none."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ValueError, OSError) as error:
        raise KeyError(name) from error


def places(window: MetricWindow, seen: Iterable[datetime]) -> tuple[dict[datetime, int], int]:
    """The place of each bucket that was seen, and how many there are; for such as '6 hours', only those seen."""
    buckets = sorted(set(seen))
    ordinal = _ORDINALS.get(window.bucket)
    if ordinal is None:
        return {at: nth for nth, at in enumerate(buckets)}, len(buckets)
    zone = zone_of(window.time_zone)
    first = ordinal(window.since.astimezone(zone))
    last = ordinal((window.until - timedelta(microseconds=1)).astimezone(zone))
    return {at: ordinal(at.astimezone(zone)) - first for at in buckets}, last - first + 1
