"""What the client's calls come to: a listener for each, and a span where OpenTelemetry is installed.

Neither knows who calls: user ids, keys, descriptions and metadata stay out. A denial is an outcome, not a failure.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sonas_supabase.errors import DENIALS, CreditsError

if TYPE_CHECKING:
    from sonas_supabase._call import Call

try:
    from opentelemetry import trace
except ModuleNotFoundError:
    trace = None  # type: ignore[assignment]


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedCall:
    """A call that has ended, with all its attempts.

    ``outcome`` is ``ok``, the slug of a denial or an error, ``cancelled`` when the caller did not wait for the answer
    (what was asked for may have happened), or ``error`` for what is none of ours.
    """

    function: str
    credit_type: str | None
    outcome: str
    seconds: float

    @property
    def denied(self) -> bool:
        """Whether it was refused for want of credits."""
        return self.outcome in DENIALS


Listener = Callable[[ObservedCall], None]
_listeners: list[Listener] = []
_logger = logging.getLogger("sonas_supabase")


def on_call(listener: Listener) -> Callable[[], None]:
    """Hand every call of every client in this process to ``listener``, and return what ends that.

    It runs where the call ran, before the caller has its answer: it should be quick. What it raises is logged and goes
    no further: a spend that has been booked is not to look like one that failed.
    """
    _listeners.append(listener)
    return lambda: _listeners.remove(listener)


UncollectedListener = Callable[[str, int, str], None]
_uncollected_listeners: list[UncollectedListener] = []


def on_uncollected(listener: UncollectedListener) -> Callable[[], None]:
    """Hand what could not be charged in this process to ``listener``, and return what ends that.

    It is called with credit type, credits and a slug that says why.
    """
    _uncollected_listeners.append(listener)
    return lambda: _uncollected_listeners.remove(listener)


def tell_uncollected(credit_type: str, credits: int, reason: str) -> None:
    """Tell the listeners of work that was done and could not be charged."""
    for listener in tuple(_uncollected_listeners):
        try:
            listener(credit_type, credits, reason)
        except Exception:
            _logger.exception("A listener of on_uncollected failed.")


@contextmanager
def observed(call: Call[Any]) -> Iterator[None]:
    """Tell the listeners how a call ends, and put a span around it."""
    if trace is None and not _listeners:
        yield
        return
    began = time.perf_counter()
    outcome = "ok"
    with _span(call) as span:
        try:
            yield
        except CreditsError as error:
            outcome = error.code
            raise
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        except BaseException:
            outcome = "error"
            raise
        finally:
            _end(span, outcome)
            seen = ObservedCall(
                function=call.function,
                credit_type=call.arguments.get("credit_type"),
                outcome=outcome,
                seconds=time.perf_counter() - began,
            )
            _tell(seen)


def _tell(seen: ObservedCall) -> None:
    for listener in tuple(_listeners):
        try:
            listener(seen)
        except Exception:
            _logger.exception(
                "A listener of on_call failed; the call itself is not touched by that. Mend the listener."
            )


@contextmanager
def _span(call: Call[Any]) -> Iterator[Any]:
    if trace is None:
        yield None
        return
    attributes = {"credits.function": call.function}
    attributes |= {
        f"credits.{name}": call.arguments[name]
        for name in ("credit_type", "amount")
        if call.arguments.get(name) is not None
    }
    with trace.get_tracer("sonas_supabase").start_as_current_span(
        f"credits.{call.function}",
        kind=trace.SpanKind.CLIENT,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        yield span


def _end(span: Any, outcome: str) -> None:
    if span is None:
        return
    span.set_attribute("credits.outcome", outcome)
    if outcome != "ok" and outcome not in DENIALS:
        span.set_attribute("error.type", outcome)
        span.set_status(trace.StatusCode.ERROR)
