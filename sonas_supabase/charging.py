"""Who pays: how a request ended, and what each way to charge makes of it. ``docs/fastapi.md`` shows this as a table.

FastAPI, Flask and Django ask the same functions.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import Literal, get_args

from sonas_supabase._call import Id
from sonas_supabase.errors import InvalidAmount, InvalidArgument

ChargeMode = Literal["held", "cost", "on_start"]
CHARGE_MODES: tuple[ChargeMode, ...] = get_args(ChargeMode)

LARGEST_AMOUNT = 2**53
LONGEST_HOLD = 86400


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
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return cls.FAILED
        if status >= HTTPStatus.BAD_REQUEST:
            return cls.REFUSED
        return cls.REDIRECTED if status >= HTTPStatus.MULTIPLE_CHOICES else cls.SERVED


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewCharge:
    """What one view is to cost: who pays, how much is held, and who pays when the client leaves or the work fails."""

    user_id: Id
    credit_type: str
    amount: int
    description: str
    ttl_seconds: int
    workspace_id: Id | None
    charge: ChargeMode
    at_least: int


class WrongDeclaration(InvalidArgument, ValueError):
    """A route or a rule declares what can never work. Raised where it is declared, when the module is imported."""


def wrong(argument: str, value: object, wanted: str) -> WrongDeclaration:
    """The error that names the argument, and what it has to be."""
    return WrongDeclaration(
        f"{argument}={value!r} cannot be declared: it has to be {wanted}.",
        details={"argument": argument},
        hint=f"Mend {argument} where the route or the rule is declared.",
    )


def check_amounts(amount: object, *, at_least: object, ttl_seconds: object, charge: object) -> None:
    """Check what every declaration has. ``amount`` may be a function. Raises WrongDeclaration."""
    if not (callable(amount) or is_whole(amount, 1, LARGEST_AMOUNT)):
        raise wrong("amount", amount, "a whole number of credits from 1 on, or a function of the request")
    most = amount if isinstance(amount, int) else LARGEST_AMOUNT
    if not is_whole(at_least, 0, most):
        raise wrong("at_least", at_least, "a whole number of credits from 0 to the amount")
    if not is_whole(ttl_seconds, 1, LONGEST_HOLD):
        raise wrong("ttl_seconds", ttl_seconds, f"a whole number of seconds from 1 to {LONGEST_HOLD}")
    if charge not in CHARGE_MODES:
        raise wrong("charge", charge, "one of " + ", ".join(CHARGE_MODES))


def check_credit_type(credit_type: object) -> None:
    """Check that it is a name. Raises WrongDeclaration."""
    if not (isinstance(credit_type, str) and credit_type.strip()):
        raise wrong("credit_type", credit_type, "the name of a credit type")


def is_whole(value: object, least: int, most: int) -> bool:
    """Whether it is a whole number within bounds."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def checked_cost(value: object) -> int:
    """A cost that a handler may say. Raises InvalidAmount."""
    if is_whole(value, 0, LARGEST_AMOUNT):
        assert isinstance(value, int)  # noqa: S101 - is_whole has asked
        return int(value)
    raise InvalidAmount(
        f"{value!r} is not a cost.", hint=f"A cost is a whole number of credits from 0 to {LARGEST_AMOUNT}."
    )
