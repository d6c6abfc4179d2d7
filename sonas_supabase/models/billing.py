"""Selling: prices, orders, customers of a payment provider, and what it has said."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
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
    """Credits that are sold beside the plans, for ``unit_amount`` in the smallest unit of ``currency``.

    That is what its price at the payment provider costs; ``price_cents`` is what its row says, and the next price will
    cost. ``expires_after`` is an interval in Postgres's words, None for never.
    """

    id: str
    name: str
    credit_type: str
    credits: int
    price_cents: int
    unit_amount: int
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


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingOutcome:
    """What became of an event: ``outcome`` is applied, replayed, ignored, waiting or needs_attention.

    ``note`` says why, ``waits_for`` what is missing, ``effects`` what changed.
    """

    event_id: str
    outcome: str
    note: str | None
    waits_for: tuple[str, ...]
    effects: tuple[dict[str, Any], ...]
    replayed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingEvent:
    """An event as the inbox has it. ``body`` is None once its retention is over."""

    event_id: str
    type: str
    happened_at: datetime
    livemode: bool
    api_version: str | None
    outcome: str
    note: str | None
    waits_for: tuple[str, ...]
    facts: tuple[dict[str, Any], ...]
    body: dict[str, Any] | None
    tries: int
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingEventList:
    """What list_billing_events answers; the client hands out its events."""

    events: tuple[BillingEvent, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingReplay:
    """How many events ended how; ``unsettled`` wait or need attention, whenever they were created."""

    outcomes: dict[str, int]
    unsettled: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingDebt:
    """Credits that the next purchase pays first: they were spent, and their payment was taken back."""

    credit_type: str
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingSubscription:
    """A living subscription at the provider. ``plan_id`` is None for a price that is not registered."""

    subscription_id: str
    plan_id: str | None
    quantity: int | None
    status: str
    cancel_at: datetime | None
    covered_until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingAccount:
    """How an account pays. ``may_buy`` is whether the person may open a checkout or the portal."""

    account_id: UUID
    may_buy: bool
    customer_id: str | None
    subscriptions: tuple[BillingSubscription, ...]
    is_subscribed: bool
    debts: tuple[BillingDebt, ...]
    top_ups: tuple[AutoTopUp, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TopUpOrder:
    """An automatic top-up to be charged: ``quantity`` of ``price_id`` to ``customer_id``."""

    order_id: UUID
    account_id: UUID
    customer_id: str
    livemode: bool
    pack_id: str
    quantity: int
    price_id: str | None
    currency: str
    unit_amount: int
    amount: int
    credits: int
    invoice_id: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TopUpList:
    """What list_top_ups answers; the client hands out its orders."""

    orders: tuple[TopUpOrder, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingFinding:
    """Something that does not agree: ``finding`` says what, ``id`` of which object, ``since`` when."""

    finding: str
    id: str
    account_id: UUID | None
    since: datetime | None
    note: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingFindings:
    """What reconcile_billing answers."""

    findings: tuple[BillingFinding, ...]
