"""By when a call must have its answer, however silent the other side is. No I/O."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from time import monotonic
from typing import Any, TypeVar

from sonas_supabase.errors import CreditsUnavailable, InvalidArgument

T = TypeVar("T")

DEADLINE: ContextVar[float | None] = ContextVar("sonas_supabase_deadline", default=None)
"""The monotonic time at which the call of this thread gives up; the hooks of the sync HTTP client ask it."""

SLOW = 3600.0
"""Seconds that a call over everything may take where the caller does not say: an import, a check of all books."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a call may go on: until the deadline, and to reach the database at all until ``reach_by``.

    Both are monotonic times. ``probes``: the database is known to be away, so one attempt to reach it is enough.
    """

    deadline: float
    reach_by: float
    probes: bool = False


class TimeIsUp(Exception):
    """The deadline has passed in the middle of a step."""


def remaining(deadline: float) -> float:
    """Seconds that are left. Raises CreditsUnavailable when there are none."""
    seconds = deadline - monotonic()
    if seconds <= 0:
        raise CreditsUnavailable(
            "The time for the call is over.",
            details={"may_have_taken_effect": False},
            hint="Try again later, or give the call a longer timeout.",
        )
    return seconds


def bounded(steps: Generator[Any, Any, T], deadline: float) -> Generator[Any, Any, T]:
    """The same steps of psycopg, which asks after each interval whether to go on; TimeIsUp after the deadline."""
    try:
        step = next(steps)
        while True:
            ready = yield step
            if monotonic() >= deadline:
                steps.close()
                raise TimeIsUp
            step = steps.send(ready)
    except StopIteration as end:
        result: T = end.value
        return result


def in_time(chunks: Iterator[bytes], deadline: float) -> Iterator[bytes]:
    """The same chunks; TimeIsUp when the next one comes after the deadline."""
    for chunk in chunks:
        if monotonic() >= deadline:
            raise TimeIsUp
        yield chunk


def checked_timeout(value: object) -> float:
    """A number of seconds above 0."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf"):
        return float(value)
    raise InvalidArgument(
        f"timeout cannot be {value!r}.",
        details={"argument": "timeout"},
        hint="Pass a number of seconds above 0.",
    )


def checked_retries(value: object) -> int:
    """A whole number from 0."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise InvalidArgument(
        f"retries cannot be {value!r}.", details={"argument": "retries"}, hint="Pass a whole number from 0."
    )
