"""What a route costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from starlette.requests import Request

OnUnavailable = Literal["deny", "allow"]
Payer = Callable[[Request], UUID | str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """``amount`` credits of one type, held for at most ``ttl_seconds``."""

    credit_type: str
    amount: int
    description: str | None
    ttl_seconds: int
    on_unavailable: OnUnavailable
    workspace: Payer | None
