"""Who pays: how a request ended, and what each way to charge makes of it. ``docs/fastapi.md`` shows this as a table."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal, get_args

from sonas_supabase.fastapi.errors import FAILED_FROM, INTERNAL_FROM, REDIRECTED_FROM

ChargeMode = Literal["held", "cost", "on_start"]
CHARGE_MODES: tuple[ChargeMode, ...] = get_args(ChargeMode)


class Outcome(Enum):
    """How a request ended."""

    SERVED = "served"
    """The handler has run: the response has gone out, or its client has left meanwhile."""
    NOT_BEGUN = "not begun"
    """It was refused, or its client has left, before all was held that it costs: its handler has not run."""
    REDIRECTED = "redirected"
    REFUSED = "refused"
    """A status from 400 to 499, or a client that left before the handler had all of its request."""
    FAILED = "failed"
    """The server's fault: an exception, or a status from 500 on."""
    BROKEN = "broken half-way"
    """The server's fault, after the response had begun."""

    @classmethod
    def of_status(cls, status: int) -> Outcome:
        """What a response with this status comes to, if it goes out."""
        if status >= INTERNAL_FROM:
            return cls.FAILED
        if status >= FAILED_FROM:
            return cls.REFUSED
        return cls.REDIRECTED if status >= REDIRECTED_FROM else cls.SERVED


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a handler has said of the cost by now: the cost as a whole, None for nothing, and the part it has added."""

    cost: int | None
    added: int


def credits_to_charge(mode: ChargeMode, outcome: Outcome, said: Said, *, amount: int, at_least: int) -> int:
    """Credits that a request costs which ended like this."""
    if outcome is Outcome.FAILED:
        return 0
    if outcome is Outcome.BROKEN:
        # A handler that has set the cost to nothing says so of what it had added as well.
        return min(said.added, said.cost or 0)
    if outcome is Outcome.SERVED:
        unsaid = 0 if mode == "cost" else amount
        return max(unsaid if said.cost is None else said.cost, at_least)
    if said.cost is not None:
        return said.cost
    return amount if outcome is Outcome.REFUSED and mode == "on_start" else 0
