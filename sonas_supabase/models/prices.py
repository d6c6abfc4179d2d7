"""What prices answer: quotes, priced spends and holds, and what was set."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sonas_supabase.models.holds import Capture, Reservation
from sonas_supabase.models.spending import Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceLine:
    """A line of a receipt: ``quantity`` of a ``dimension`` at ``nano_per_unit`` billionths for ``per`` units.

    ``pattern`` and ``version`` say which price it was; ``measure`` is what has chosen its step, where it has some.
    """

    dimension: str
    quantity: Decimal
    nano_per_unit: Decimal
    per: int
    pattern: str
    version: int
    cost: Decimal
    measure: Decimal | None = None
    minimum_nano: int | None = None
    maximum_nano: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What an operation would cost: ``estimate`` exactly, ``maximum`` in whole credits."""

    operation: str
    book: str
    credit_type: str
    quantities: dict[str, Any]
    cost: Decimal
    estimate: Decimal
    maximum: int
    price_version: int
    lines: tuple[PriceLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedAnswer(Answer):
    """A priced spend: ``cost`` is exact, ``amount`` the whole credits that it took from the ledger."""

    cost: Decimal
    price_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedReservation(Reservation):
    """A hold for an operation: ``cost`` is its largest cost, by the prices that it will be captured by."""

    cost: Decimal
    price_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedCapture(Capture):
    """A hold that was charged with what was used. ``unpaid`` is what neither hold nor balance had."""

    cost: Decimal
    price_version: int
    unpaid: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """A price, from ``valid_from`` (UTC) on. ``nano_per_unit`` is None where it is the end of one."""

    book: str
    operation: str
    dimension: str
    nano_per_unit: Decimal | None
    per: int
    minimum_nano: int | None
    maximum_nano: int | None
    valid_from: datetime
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceBook:
    """A price book: in which credits its prices are, and what a unit of its currency is worth in them."""

    book: str
    name: str
    credit_type: str
    currency: str
    credits_per_unit: Decimal | None
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeRate:
    """What ``per`` units of an asset are worth; ``prices`` is how many prices followed it."""

    asset: str
    currency: str
    worth: Decimal
    per: int
    valid_from: datetime
    prices: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPrice:
    """A price of a book, until ``valid_to`` (UTC) where it has ended or another one is planned.

    What the provider charges (``asset``, ``cost_per_unit``, ``cost_per``, ``markup``, ``cost_steps``) is there only
    where it was asked for.
    """

    operation: str
    dimension: str
    nano_per_unit: Decimal
    per: int
    minimum_nano: int | None
    maximum_nano: int | None
    steps: tuple[dict[str, Any], ...] | None
    steps_by: tuple[str, ...] | None
    valid_from: datetime
    valid_to: datetime | None
    version: int
    source: str | None
    asset: str | None = None
    cost_per_unit: Decimal | None = None
    cost_per: int | None = None
    markup: Decimal | None = None
    cost_steps: tuple[dict[str, Any], ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PricePage:
    """Prices of a book; while ``more`` is True, there are others after the last one's ``version``."""

    book: str
    name: str
    credit_type: str
    currency: str
    credits_per_unit: Decimal | None
    version: int
    more: bool
    prices: tuple[ListedPrice, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceChanges:
    """What was set, or with ``dry_run`` would be: each change with the price before and after it."""

    book: str
    dry_run: bool
    changed: int
    unchanged: int
    changes: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class X402Claim:
    """An agent's payment for a request. ``claim_id`` is None where another one works on it, or it was used up."""

    state: str
    claim_id: UUID | None
    user_id: UUID
    same_request: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class X402Payment:
    """How a payment stands."""

    state: str
    transaction: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class X402Pending:
    """A payment of which it is not known whether it was settled, claimed to ask again."""

    payment_key: str
    claim_id: UUID
    presented: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class X402Unknown:
    """Payments of which it is not known whether they were settled."""

    payments: tuple[X402Pending, ...]
