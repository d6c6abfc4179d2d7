"""What the metrics answer: a window, its buckets, and a row per bucket and group.

Amounts are whole credits, times are aware. A rate or a share is None where there is nothing to divide by. What each
figure means is written down in ``docs/metrics.md``, one paragraph each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricWindow:
    """The half-open window ``[since, until)`` that was asked for, and its buckets."""

    since: datetime
    until: datetime
    bucket: str
    time_zone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumptionRow:
    """What moved in one bucket, on one plan, of one credit type. ``rate`` is net spent per credit granted."""

    bucket: datetime
    plan: str
    credit_type: str
    granted: int
    spent: int
    refunded: int
    expired: int
    voided: int
    operations: int
    rate: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumption(MetricWindow):
    """Spent against granted, by plan."""

    rows: tuple[ConsumptionRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionRow:
    """Free spells that were open in one bucket, and how many of them ended there in an upgrade."""

    bucket: datetime
    free: int
    upgrades: int
    rate: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UpgradedAfter:
    """Free spells in which something happened, and how many upgraded soon after its last time."""

    spells: int
    within_24_hours: int
    within_7_days: int
    rate_24_hours: float | None
    rate_7_days: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion(MetricWindow):
    """From free to paid."""

    free: int
    upgrades: int
    rate: float | None
    after_denial: UpgradedAfter
    after_80_percent: UpgradedAfter
    rows: tuple[ConversionRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRow:
    """What one value of the segment spent in one bucket. ``value`` None is all others."""

    bucket: datetime
    value: str | None
    spent: int
    operations: int
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage(MetricWindow):
    """Who spends, when, and on what."""

    by: str
    metadata_key: str | None
    rows: tuple[UsageRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExhaustionRow:
    """Account-periods that began in one bucket. ``days`` counts on which day of the period they ran dry."""

    bucket: datetime
    plan: str
    credit_type: str
    periods: int
    crossed_80_percent: int
    ran_dry: int
    denied: int
    share: float
    days: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class DenialToUpgrade:
    """Free spells with a denial, how many of them ended in an upgrade, and how long that took from the first one."""

    denied_spells: int
    upgraded: int
    median_hours: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhaustion(MetricWindow):
    """How often allowances do not last."""

    rows: tuple[ExhaustionRow, ...]
    first_denial_to_upgrade: DenialToUpgrade


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakageRow:
    """Credits of one source that ended unspent. ``share`` is their part of all that ended."""

    bucket: datetime
    plan: str
    credit_type: str
    source: str
    granted: int
    spent: int
    expired: int
    voided: int
    share: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakage(MetricWindow):
    """What was granted and never spent."""

    rows: tuple[BreakageRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveAccountsRow:
    """Accounts that spent in one bucket: all of them (``plan`` None), or those that did on one plan."""

    bucket: datetime
    plan: str | None
    active: int
    opened: int | None
    closed: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveAccounts(MetricWindow):
    """How many accounts are in use."""

    rows: tuple[ActiveAccountsRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LiabilityRow:
    """Credits of one source that were owed at an instant, the end of a bucket."""

    bucket: datetime
    at: datetime
    credit_type: str
    source: str
    owed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OwedNow:
    """Credits of one source that are owed now; ``held`` and ``frozen`` are parts of ``owed``."""

    credit_type: str
    source: str
    owed: int
    held: int
    frozen: int
    accounts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Liability(MetricWindow):
    """Credits that people have and have not spent."""

    rows: tuple[LiabilityRow, ...]
    now: tuple[OwedNow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RollUp:
    """How many balances were read; ``finished`` is False when more remain."""

    balances: int
    finished: bool
    rolled_up_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedKeys:
    """The keys of metadata that are rolled up."""

    tracked: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentCalls:
    """Operations and denials of one credit type in the last five minutes."""

    credit_type: str
    operations: int
    denials: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What an operator watches. Balances are right whatever it says; lags are in seconds."""

    accounts: int
    due_accounts: int
    renewal_lag_seconds: float
    open_reservations: int
    overdue_reservations: int
    unread_balances: int
    roll_up_age_seconds: float | None
    recent: tuple[RecentCalls, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginRow:
    """What one operation of a book was charged in one bucket, and what its provider charged.

    ``worth`` and ``margin`` are None where the book does not say what a credit is worth; ``margin`` also while the cost
    of some operations is ``unknown``.
    """

    bucket: datetime
    credit_type: str
    book: str
    operation: str
    operations: int
    unknown: int
    credits: Decimal
    currency: str
    provider_cost: Decimal
    worth: Decimal | None
    margin: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin(MetricWindow):
    """What priced operations bring and cost."""

    rows: tuple[MarginRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RevenueRow:
    """What selling brought in one bucket, in the smallest unit of ``currency``, tax excluded.

    ``minor_units`` is how many of these make a whole one: 100 cents a dollar.

    ``deferred_before + paid - refunded - earned`` is ``deferred``, and ``mrr_before + mrr_new + mrr_expansion -
    mrr_contraction - mrr_churned`` is ``mrr``. ``churn`` is the share of the payers at the beginning that had stopped
    to pay at the end, ``per_credit`` what was earned per credit that was spent. ``margin`` is None while the cost of
    some operations is unknown, or where none has one.
    """

    bucket: datetime
    at: datetime
    currency: str
    minor_units: int
    paid: int
    paid_subscriptions: int
    paid_purchases: int
    refunded: int
    earned: int
    deferred_before: int
    deferred: int
    deferred_subscriptions: int
    deferred_purchases: int
    mrr: int
    mrr_before: int
    mrr_new: int
    mrr_expansion: int
    mrr_contraction: int
    mrr_churned: int
    mrr_churn: float | None
    payers: int
    payers_before: int
    payers_new: int
    payers_churned: int
    churn: float | None
    credits_spent: int
    per_credit: Decimal | None
    provider_cost: int
    unknown_costs: int
    margin: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchasesRow:
    """Credits of one type that were bought in one bucket, ``spent`` of what was bought, and ``owed`` after it.

    ``paid`` and ``deferred`` are money, in the smallest unit of ``currency``; ``per_credit`` is ``paid`` by ``sold``.
    """

    bucket: datetime
    at: datetime
    currency: str
    credit_type: str
    paid: int
    sold: int
    spent: int
    owed: int
    deferred: int
    per_credit: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Revenue(MetricWindow):
    """What selling brings."""

    livemode: bool
    rows: tuple[RevenueRow, ...]
    purchases: tuple[PurchasesRow, ...]
