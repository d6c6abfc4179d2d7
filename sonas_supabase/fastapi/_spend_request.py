"""What a request asks of the books, written down so that it can be asked now, again, or later, and costs once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendRequest:
    """``amount`` credits to be held. Everything here is part of what its key stands for."""

    key: str
    user_id: UUID
    workspace_id: UUID | None
    credit_type: str
    amount: int
    description: str
    metadata: Mapping[str, Any]
    ttl_seconds: int
    # A priced operation: the largest quantities, and once the work is done what was used.
    operation: str | None = None
    quantities: Mapping[str, Any] | None = None
    used: Mapping[str, Any] | None = None
    book: str | None = None
    # A part of a hold, of which nobody knows whether it was charged.
    part_of: UUID | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        ids = {name: getattr(self, name) for name in ("user_id", "workspace_id", "part_of")}
        return {**asdict(self), **{name: id and str(id) for name, id in ids.items()}}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> SpendRequest:
        """What :meth:`to_json` wrote."""
        others = {name: UUID(values[name]) if values.get(name) else None for name in ("workspace_id", "part_of")}
        return cls(**{**values, "user_id": UUID(values["user_id"]), **others})

    def __str__(self) -> str:
        return f"{self.description} ({self.credit_type}, key {self.key}, user {self.user_id})"
