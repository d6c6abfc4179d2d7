"""What is on sale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanLimit:
    """What a plan includes of one credit type, per period; ``rollover_cap`` of it may move into the next one."""

    credit_type: str
    kind: str
    allowance: int | None
    unlimited: bool
    rollover_cap: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanPrice:
    """What a plan costs per ``interval`` (month or year), in the smallest unit of ``currency``.

    ``price_id`` is the payment provider's; None while none is registered.
    """

    interval: str
    currency: str
    unit_amount: int | None
    price_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A plan as a pricing page shows it. ``price_cents`` is per month, in the smallest unit of ``currency``."""

    id: str
    name: str
    description: str
    rank: int
    price_cents: int
    currency: str
    prices: tuple[PlanPrice, ...]
    per_seat: bool
    is_default: bool
    version: int | None
    limits: tuple[PlanLimit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanList:
    """What list_plans answers; the client hands out its plans."""

    plans: tuple[Plan, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanChanges:
    """What of the plans was changed, or with ``dry_run`` would be: figure by figure, before and after."""

    dry_run: bool
    changes: tuple[dict[str, Any], ...]
