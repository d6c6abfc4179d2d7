"""Selling: prices, orders, customers of a payment provider, and what it has said."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingPrice:
    """What a payment provider's price buys: a plan per ``billing_interval``, or a pack.

    ``unit_amount`` is in the smallest unit of ``currency``, tax excluded. ``is_current`` is False
    once another price has taken its place; who subscribed at it renews at it.
    """

    price_id: str
    plan_id: str | None
    pack_id: str | None
    billing_interval: str | None
    currency: str
    unit_amount: int | None
    livemode: bool
    is_current: bool
    valid_from: datetime
    valid_to: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditPack:
    """Credits that are sold beside the plans, for ``price_cents`` in the smallest unit of ``currency``.

    ``expires_after`` is an interval in Postgres's words, None for never.
    """

    id: str
    name: str
    credit_type: str
    credits: int
    price_cents: int
    currency: str
    expires_after: str | None
    rank: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingCatalog:
    """Every price that was registered, and the packs."""

    prices: tuple[BillingPrice, ...]
    packs: tuple[CreditPack, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingCustomer:
    """Which account a payment provider's customer is."""

    account_id: UUID
    customer_id: str
    livemode: bool
    replayed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingOrder:
    """What an account is about to buy, or has bought.

    ``state`` is open, pending, paid, failed, expired or mismatch; ``kind`` is pack, plan or
    auto_top_up. ``credits`` are those of all packs together. ``unit_amount`` and ``amount`` are in
    the smallest unit of ``currency``, tax excluded.
    """

    order_id: UUID
    account_id: UUID
    kind: str
    state: str
    pack_id: str | None
    plan_id: str | None
    interval: str | None
    quantity: int
    credit_type: str | None
    credits: int | None
    currency: str
    unit_amount: int | None
    amount: int | None
    price_id: str | None
    session_id: str | None
    invoice_id: str | None
    grant_id: UUID | None
    paid_at: datetime | None
    created_at: datetime
    note: str | None
    replayed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoTopUp:
    """The automatic top-up of a credit type. ``state`` is ready, in_flight or stopped.

    ``threshold`` is in credits, ``monthly_cap`` in packs per calendar month (UTC).
    """

    account_id: UUID
    credit_type: str
    threshold: int
    pack_id: str
    monthly_cap: int
    enabled: bool
    state: str
    order_id: UUID | None
    stopped_at: datetime | None
    note: str | None
