"""What the billing routes are asked for, and what they answer."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

_Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")]


class CheckoutRequest(BaseModel):
    """What to buy: a plan by the month or year, or packs. A workspace pays where one is named."""

    model_config = ConfigDict(extra="forbid")

    plan_id: _Id | None = None
    interval: Literal["month", "year"] = "month"
    pack_id: _Id | None = None
    quantity: int = Field(default=1, ge=1, le=1000)
    workspace_id: UUID | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> CheckoutRequest:
        if (self.plan_id is None) == (self.pack_id is None):
            raise ValueError("Name either plan_id or pack_id.")
        return self


class PortalRequest(BaseModel):
    """Whose subscription and payments to manage: one's own, or a workspace's."""

    model_config = ConfigDict(extra="forbid")

    workspace_id: UUID | None = None


class CheckoutAnswer(BaseModel):
    """Where to pay, and the order to ask for afterwards."""

    url: str
    order_id: UUID


class PortalAnswer(BaseModel):
    """Where to manage what was bought."""

    url: str


class OrderAnswer(BaseModel):
    """What became of an order. Its ``state`` is open, pending, paid, failed, expired or mismatch."""

    order_id: UUID
    state: str
    kind: str
    plan_id: str | None
    interval: str | None
    pack_id: str | None
    quantity: int
    credit_type: str | None
    credits: int | None
    currency: str
    amount: int | None
    created_at: datetime
    paid_at: datetime | None


class WebhookAnswer(BaseModel):
    """What became of an event: applied, replayed, ignored, waiting or needs_attention."""

    received: Literal[True] = True
    event: str
    outcome: str
    note: str | None = None
