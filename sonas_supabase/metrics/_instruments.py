"""What is counted: calls as they happen, the state of the database when it is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sonas_supabase import CreditsClient, CreditsError
from sonas_supabase.metrics._patience import Patience
from sonas_supabase.models import Health
from sonas_supabase.observe import ObservedCall, on_call, on_uncollected

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class CallMetrics:
    """Counts every call of every client in this process, from now until ``close``."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._calls = Counter(
            "sonas_calls", "Calls by SQL function and outcome.", ("function", "outcome"), registry=registry
        )
        self._denials = Counter(
            "sonas_denials", "Refused attempts by credit type and code.", ("credit_type", "code"), registry=registry
        )
        self._seconds = Histogram(
            "sonas_call_seconds",
            "Duration of calls by SQL function, retries included.",
            ("function",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._uncollected = Counter(
            "sonas_uncollected_credits",
            "Credits for work that was done and could not be charged.",
            ("credit_type", "reason"),
            registry=registry,
        )
        self._ends = (on_call(self._seen), on_uncollected(self._not_charged))

    def close(self) -> None:
        """Count no more."""
        for end in self._ends:
            end()

    def _not_charged(self, credit_type: str, credits: int, reason: str) -> None:
        self._uncollected.labels(credit_type, reason).inc(credits)

    def _seen(self, call: ObservedCall) -> None:
        self._calls.labels(call.function, call.outcome).inc()
        self._seconds.labels(call.function).observe(call.seconds)
        if call.denied:
            self._denials.labels(call.credit_type or "", call.outcome).inc()


class HealthCollector(Collector):
    """Asks ``metrics_health`` at every scrape. Without an answer in time ``sonas_up`` is 0; the scrape does not fail.

    ``patience``, in seconds, has to be shorter than Prometheus' ``scrape_timeout`` (10 unless said).
    """

    def __init__(self, client: CreditsClient, *, patience: float = 5) -> None:
        self._health = Patience(client.metrics_health, patience)

    def describe(self) -> list[Metric]:
        """Nothing: registering must not ask the database."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The gauges as they are now."""
        try:
            health = self._health.ask()
        except (CreditsError, TimeoutError):
            health = None
        yield from health_metrics(health)


class Found(Collector):
    """Metrics that are there already."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = list(metrics)

    def describe(self) -> list[Metric]:
        """Nothing."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The metrics."""
        yield from self._metrics


def health_metrics(health: Health | None) -> Iterator[Metric]:
    """The gauges that say how the database is; None for one that has not answered."""
    if health is None:
        yield GaugeMetricFamily("sonas_up", "Whether the credit system answered.", value=0)
        return
    yield GaugeMetricFamily("sonas_up", "Whether the credit system answered.", value=1)
    for name, text, value in (
        ("sonas_accounts", "Accounts that are not closed, test accounts left out.", health.accounts),
        ("sonas_due_accounts", "Accounts with something due that nobody has booked.", health.due_accounts),
        ("sonas_renewal_lag_seconds", "How long the oldest of them has been due.", health.renewal_lag_seconds),
        ("sonas_open_reservations", "Holds that are open.", health.open_reservations),
        ("sonas_overdue_reservations", "Holds past their expiry, not booked yet.", health.overdue_reservations),
        ("sonas_unread_balances", "Balances with ledger rows that no rollup has.", health.unread_balances),
        ("sonas_roll_up_age_seconds", "Since when the rollups were up to date.", health.roll_up_age_seconds),
    ):
        if value is not None:
            yield GaugeMetricFamily(name, text, value=value)
    operations = GaugeMetricFamily(
        "sonas_recent_operations", "Spends in the database in the last five minutes.", labels=("credit_type",)
    )
    denials = GaugeMetricFamily(
        "sonas_recent_denials", "Denials in the database in the last five minutes.", labels=("credit_type",)
    )
    for recent in health.recent:
        operations.add_metric((recent.credit_type,), recent.operations)
        denials.add_metric((recent.credit_type,), recent.denials)
    yield operations
    yield denials
