"""What a call of a SQL function is: what is sent, how its answer is read, and whether it may be sent twice. No I/O.

An argument that is None is not sent, so that the defaults of the SQL functions are the only defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Generic, TypeVar
from uuid import UUID, uuid4

from sonas_supabase.errors import DENIALS, ERRORS

T = TypeVar("T")
Id = UUID | str
Item = Mapping[str, Any]
Number = int | Decimal | str
Quantities = Mapping[str, int | Decimal | float | str]


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A call of ``public.<function>`` with ``p_<name>`` for each of ``arguments``.

    ``repeatable``: sending it twice has the effect of sending it once. ``keyed``: it has, with an idempotency key.
    ``denies``: running out is one of its answers. ``slow``: it may take longer than a client usually waits.
    """

    function: str
    arguments: Mapping[str, Any]
    read_answer: Callable[[Any], T]
    repeatable: bool = False
    keyed: bool = False
    denies: bool = False
    slow: bool = False

    @property
    def params(self) -> dict[str, Any]:
        """The named parameters of the SQL function, as JSON values."""
        return {f"p_{name}": value for name, value in self.arguments.items() if value is not None}

    def with_key(self) -> Call[T]:
        """The same call, safe to send again: with a key of its own where the caller gave none."""
        if not self.keyed:
            return self
        arguments = dict(self.arguments)
        if "items" in arguments:
            arguments["items"] = [{"idempotency_key": str(uuid4()), **item} for item in arguments["items"]]
        elif arguments["idempotency_key"] is None:
            arguments["idempotency_key"] = str(uuid4())
        return Call(self.function, arguments, self.read_answer, repeatable=True, denies=self.denies, slow=self.slow)

    def read(self, answer: Any) -> T:
        """The result. Raises the denial that a call which spends was answered with."""
        if self.denies and isinstance(answer, Mapping) and answer.get("code") in DENIALS:
            raise ERRORS[answer["code"]](
                answer.get("message", ""),
                details=answer.get("details"),
                hint=answer.get("hint", ""),
            )
        return self.read_answer(answer)
