"""What views of web frameworks hold, from the first hold to the end of the response; Flask and Django use it.

A view may cost several kinds of credits: it gets all of them or does not run. When the response is known, or has ended
where its body is produced while it goes out, each hold is settled by :mod:`sonas_supabase.charging`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sonas_supabase._async.view_hold import AsyncViewHold
from sonas_supabase._sync.view_hold import ViewHold
from sonas_supabase.charging import Outcome, ViewCharge, WrongDeclaration, check_amounts, check_credit_type

__all__ = [
    "AsyncViewHold",
    "SettledBody",
    "ViewCharge",
    "ViewHold",
    "ViewSpends",
    "WrongDeclaration",
    "check_amounts",
    "check_credit_type",
]

Settle = Callable[[Outcome], None]
T = TypeVar("T")


@dataclass(slots=True)
class ViewSpends:
    """The holds of one request.

    Attributes:
        holds: in the order in which they were made.
        has_begun: whether the view had all that it costs, and ran.
        is_answered: whether the response is known.
        is_installed: whether the framework tells how the response ends.
    """

    holds: list[ViewHold | AsyncViewHold] = field(default_factory=list)
    has_begun: bool = True
    is_answered: bool = False
    is_installed: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _running: int = 0
    _was_left: bool = False

    def enter(self) -> None:
        """A view begins in a thread, which no cancellation reaches."""
        with self._lock:
            self._running += 1
            self.has_begun = False

    def exit(self) -> bool:
        """It has ended. Answers whether it has to settle, since its client has left and nothing else will."""
        with self._lock:
            self._running -= 1
            return self._was_left and not self._running

    def leave(self) -> bool:
        """The client has left. Answers whether a view is still at work, which then settles at its end."""
        with self._lock:
            self._was_left = True
            return self._running > 0

    def outcome(self, status: int) -> Outcome:
        """What a response with this status comes to. What was held for a view that did not run is given back."""
        self.is_answered = True
        outcome = Outcome.of_status(status)
        return Outcome.NOT_BEGUN if outcome is Outcome.REFUSED and not self.has_begun else outcome


class SettledBody(Iterator[T]):
    """A body that is produced while it goes out. It settles when it has ended, has failed, or was closed before.

    A server closes it early when the client has left (PEP 3333).
    """

    def __init__(self, body: Iterable[T], settle: Settle, outcome: Outcome) -> None:
        self._body = body
        self._pieces: Iterator[T] | None = None
        self._settle = settle
        self._outcome = outcome

    def __next__(self) -> T:
        try:
            if self._pieces is None:
                self._pieces = iter(self._body)
            return next(self._pieces)
        except StopIteration:
            self._settle(self._outcome)
            raise
        except BaseException:
            self._break()
            raise

    def close(self) -> None:
        """Close the body, which may say a last word on the cost, and settle."""
        close: Any = getattr(self._body, "close", None)
        try:
            if close is not None:
                close()
        except BaseException:
            self._break()
            raise
        self._settle(self._outcome)

    def _break(self) -> None:
        self._outcome = Outcome.BROKEN
        self._settle(self._outcome)
