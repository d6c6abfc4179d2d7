"""What a route declares: checked when the module is imported, worked out for each request."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, TypeVar, cast, get_args
from uuid import UUID

from starlette.requests import HTTPConnection

from sonas_supabase.charging import (
    LARGEST_AMOUNT,
    ChargeMode,
    check_amounts,
    check_credit_type,
    is_whole,
    wrong,
)
from sonas_supabase.fastapi.errors import Misconfigured, NoAccount

T = TypeVar("T")
OnUnavailable = Literal["deny", "allow"]
AskedOf = Callable[[Any], T | Awaitable[T]]
Amount = int | AskedOf[int]
Quantities = Mapping[str, int | Decimal | float | str]
Payer = AskedOf[UUID | str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """What one spend of a route is to be. A function is asked with the request, and may be a coroutine function.

    Raises:
        WrongDeclaration: it can never work.
    """

    credit_type: str
    amount: Amount
    charge: ChargeMode
    at_least: int
    description: str | AskedOf[str] | None
    ttl_seconds: int
    on_unavailable: OnUnavailable
    workspace: UUID | str | Payer | None
    actor: AskedOf[str | None] | None
    exempt: AskedOf[bool] | None
    operation: str | AskedOf[str] | None = None
    quantities: Quantities | AskedOf[Quantities] | None = None
    book: str | None = None

    def __post_init__(self) -> None:
        self._check_values()
        self._check_functions()

    def _check_values(self) -> None:
        if self.operation is not None:
            self._check_operation()
        else:
            check_credit_type(self.credit_type)
        check_amounts(self.amount, at_least=self.at_least, ttl_seconds=self.ttl_seconds, charge=self.charge)
        if self.on_unavailable not in get_args(OnUnavailable):
            raise wrong("on_unavailable", self.on_unavailable, "one of " + ", ".join(get_args(OnUnavailable)))
        self._check_texts()

    def _check_operation(self) -> None:
        """What it costs is in the price book, and what it has used is charged when that is known."""
        if not (callable(self.operation) or (isinstance(self.operation, str) and self.operation.strip())):
            raise wrong("operation", self.operation, "the name of an operation, or a function of the request")
        if not (self.quantities is None or callable(self.quantities) or isinstance(self.quantities, Mapping)):
            raise wrong("quantities", self.quantities, "a mapping of quantities, or a function of the request")
        if self.credit_type or self.amount != 1 or self.at_least:
            raise wrong("operation", self.operation, "alone: the price book says the credits and how many")
        if self.on_unavailable == "allow":
            raise wrong("on_unavailable", self.on_unavailable, "deny: without the database nothing has a price")

    def _check_texts(self) -> None:
        if not (self.description is None or callable(self.description) or isinstance(self.description, str)):
            raise wrong("description", self.description, "a text, or a function of the request")
        if isinstance(self.workspace, str):
            object.__setattr__(self, "workspace", _declared_id(self.workspace))
        elif not (self.workspace is None or callable(self.workspace) or isinstance(self.workspace, UUID)):
            raise wrong("workspace", self.workspace, "the id of a workspace, or a function of the request")

    def _check_functions(self) -> None:
        for name in ("actor", "exempt"):
            value = getattr(self, name)
            if value is not None and not callable(value):
                raise wrong(name, value, "a function of the request")
        for name in ("amount", "description", "workspace", "actor", "exempt", "operation", "quantities"):
            value = getattr(self, name)
            if callable(value):
                _check_function(name, value)

    async def is_exempt(self, connection: HTTPConnection) -> bool:
        """Whether this request costs nothing."""
        return self.exempt is not None and bool(await asked(self.exempt, connection))

    async def amount_for(self, connection: HTTPConnection) -> int:
        """Credits to hold; 0 for nothing. Raises Misconfigured."""
        amount: int = await asked(self.amount, connection)
        if not is_whole(amount, 0, LARGEST_AMOUNT):
            raise Misconfigured(f"The function of amount= answered {amount!r}, which is no number of credits.")
        return amount

    async def workspace_for(self, connection: HTTPConnection) -> UUID | None:
        """Which workspace pays; None for the user. Raises NoAccount."""
        named = await asked(self.workspace, connection)
        if named is None or isinstance(named, UUID):
            return named
        try:
            return UUID(named)
        except (ValueError, AttributeError, TypeError) as error:
            raise NoAccount("The workspace that is to pay is not known.") from error

    async def actor_for(self, connection: HTTPConnection) -> str | None:
        """Which agent or key acts for the user, for budgets and the ledger."""
        actor = await asked(self.actor, connection)
        return None if actor is None else str(actor)

    async def description_for(self, connection: HTTPConnection) -> str | None:
        """What the ledger says; None for the method and the path."""
        described: str | None = await asked(self.description, connection)
        return described


async def asked(value: Any, connection: HTTPConnection) -> Any:
    """The value itself, or what the function answers for this request."""
    if not callable(value):
        return value
    answer = value(connection)
    return await answer if inspect.isawaitable(answer) else answer


def _declared_id(value: str) -> UUID:
    try:
        return UUID(value)
    except ValueError:
        raise wrong("workspace", value, "the id of a workspace, or a function of the request") from None


def _check_function(name: str, function: Callable[..., object]) -> None:
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise wrong(name, function, "a function that answers; this one yields")
    try:
        inspect.signature(function).bind(cast(object, None))
    except TypeError:
        raise wrong(name, function, "a function of one argument, the request") from None
    except ValueError:
        # Some builtins have no signature that can be read.
        return
