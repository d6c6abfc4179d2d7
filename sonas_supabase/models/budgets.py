"""Budgets: how much may be spent of an account by whom, and in which window."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetUse:
    """What one member has used of a budget of each member, live holds included."""

    user_id: UUID
    used: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A budget and how it stands: ``used`` counts live holds, ``resets_at`` is when its window ends."""

    budget_id: UUID
    credit_type: str
    scope: str
    scope_value: str | None
    window: str
    hours: int | None
    limit: int
    used: int
    remaining: int
    resets_at: datetime | None
    members: tuple[BudgetUse, ...] = ()
    workspace_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetList:
    """The budgets of an account, from the widest to the narrowest."""

    budgets: tuple[Budget, ...]
    workspace_id: UUID | None = None
