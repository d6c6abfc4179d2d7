"""The definitions of docs/metrics.md once more, in plain Python over the rows of the ledger, usage and accounts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from statistics import median
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from tests.support.database import Database

FOREVER = datetime.max.replace(tzinfo=UTC)
FREE = {"free"}
Row = dict[str, Any]


@dataclass(frozen=True)
class Entry:
    account: UUID
    credit_type: str
    version: int
    operation: UUID
    grant: UUID | None
    kind: str
    amount: int
    balance_after: int | None
    at: datetime
    description: str | None
    metadata: dict[str, Any]
    source: str
    plan: str


@dataclass(frozen=True)
class Spell:
    account: UUID
    plan: str
    start: datetime
    end: datetime
    next_plan: str | None

    @property
    def upgraded(self) -> bool:
        return self.next_plan is not None and self.next_plan not in FREE


@dataclass
class Period:
    account: UUID
    credit_type: str
    plan: str
    start: datetime
    crossed: datetime | None = None
    dry: datetime | None = None
    end: datetime = FOREVER


def rate(part: int, whole: int) -> float | None:
    if whole <= 0:
        return None
    return float((Decimal(part) / Decimal(whole)).quantize(Decimal("0.0001"), ROUND_HALF_UP))


@dataclass(frozen=True)
class Window:
    since: datetime
    until: datetime
    bucket: str
    time_zone: str

    def has(self, at: datetime | None) -> bool:
        return at is not None and self.since <= at < self.until

    def bucket_of(self, at: datetime) -> datetime:
        zone = ZoneInfo(self.time_zone)
        local = at.astimezone(zone)
        if self.bucket == "all":
            return self.since
        if self.bucket == "hour":
            return at - timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
        day = local.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
        starts = {
            "day": day,
            "week": day - timedelta(days=day.weekday()),
            "month": day.replace(day=1),
            "quarter": day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1),
        }
        if self.bucket in starts:
            return starts[self.bucket].replace(tzinfo=zone).astimezone(UTC)
        number, unit = self.bucket.split()
        width = timedelta(**{unit: int(number)})
        first = self.since.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
        origin = first.replace(tzinfo=zone).astimezone(UTC)
        return origin + (at - origin) // width * width

    def buckets(self) -> list[tuple[datetime, datetime, datetime]]:
        """Label, start and end of each, found by walking through the window in steps that no bucket is shorter than."""
        starts: dict[datetime, datetime] = {}
        at = self.since
        while at < self.until:
            starts.setdefault(self.bucket_of(at), at)
            at += timedelta(minutes=15)
        starts.setdefault(self.bucket_of(self.until - timedelta(microseconds=1)), self.until)
        labels = sorted(starts)
        bounds = [max(label, self.since) for label in labels] + [self.until]
        return [(label, start, end) for label, (start, end) in zip(labels, pairwise(bounds), strict=True)]


class Books:
    """All that has happened to these accounts."""

    def __init__(self, database: Database, plans: dict[UUID, list[tuple[datetime, str]]]) -> None:
        self.plans = plans
        ids = list(plans)
        self.entries = [
            Entry(*(*row, self.plan_at(row[0], row[8])))
            for row in database.query(
                "select t.account_id, t.credit_type, t.version, t.operation_id, t.grant_id, t.kind::text, t.amount, "
                "t.balance_after, t.created_at, t.description, t.metadata, "
                "coalesce(g.source, 'unlimited') from public.credit_transactions t "
                "left join public.credit_grants g on g.account_id = t.account_id and g.id = t.grant_id "
                "where t.account_id = any(%s) order by t.account_id, t.credit_type, t.version",
                ids,
            )
        ]
        self.denials = database.query(
            "select account_id, credit_type, created_at from public.usage "
            "where status = 'denied' and account_id = any(%s)",
            ids,
        )
        self.opened = dict(
            database.query("select account_id, created_at from credits.accounts where account_id = any(%s)", ids)
        )
        self.spells = [
            Spell(account, plan, start, *(following[0] if following else (FOREVER, None)))
            for account, changes in plans.items()
            for nth, (start, plan) in enumerate(changes)
            for following in [changes[nth + 1 : nth + 2]]
        ]
        self.periods = list(self._periods())

    def plan_at(self, account: UUID, at: datetime) -> str:
        return [plan for since, plan in self.plans[account] if since <= at][-1]

    def _periods(self) -> Iterator[Period]:
        by_balance: dict[Any, list[Entry]] = defaultdict(list)
        for entry in self.entries:
            if entry.credit_type != "project":
                by_balance[entry.account, entry.credit_type].append(entry)
        for (account, credit_type), entries in by_balance.items():
            period: Period | None = None
            grant, used = None, 0
            for entry in entries:
                if entry.kind == "grant" and entry.source == "plan" and entry.grant != grant:
                    if period:
                        period.end = entry.at
                        yield period
                    period = Period(account, credit_type, entry.plan, entry.at)
                    grant, used = entry.grant, 0
                if entry.balance_after is None:
                    continue
                if entry.kind in ("consume", "capture", "refund"):
                    used -= entry.amount
                if period and entry.kind in ("consume", "capture"):
                    if used >= 0.8 * (used + entry.balance_after):
                        period.crossed = period.crossed or entry.at
                    if entry.balance_after == 0:
                        period.dry = period.dry or entry.at
            if period:
                yield period

    def spends(self, window: Window, keep: Callable[[Entry], bool] = lambda _: True) -> Iterator[Entry]:
        for entry in self.entries:
            if entry.kind in ("consume", "capture") and window.has(entry.at) and keep(entry):
                yield entry

    # One method per metric, each answering its rows.

    def consumption(self, window: Window) -> list[Row]:
        groups = self._grouped(window, lambda e: (window.bucket_of(e.at), e.plan, e.credit_type))
        return [
            {"bucket": bucket, "plan": plan, "credit_type": credit_type} | {k: v for k, v in sums.items() if k != "net"}
            | {"operations": operations, "rate": rate(sums["net"], sums["granted"])}
            for (bucket, plan, credit_type), (sums, operations) in groups.items()
        ]  # fmt: skip

    def breakage(self, window: Window) -> list[Row]:
        groups = self._grouped(window, lambda e: (window.bucket_of(e.at), e.plan, e.credit_type, e.source))
        return [
            {
                "bucket": bucket, "plan": plan, "credit_type": credit_type, "source": source,
                "granted": sums["granted"], "spent": sums["net"], "expired": sums["expired"], "voided": sums["voided"],
                "share": rate(sums["expired"] + sums["voided"], sums["net"] + sums["expired"] + sums["voided"]),
            }
            for (bucket, plan, credit_type, source), (sums, _) in groups.items()
        ]  # fmt: skip

    def _grouped(self, window: Window, key: Callable[[Entry], Any]) -> dict[Any, tuple[Counter[str], int]]:
        groups: dict[Any, list[Entry]] = defaultdict(list)
        for entry in self.entries:
            if window.has(entry.at):
                groups[key(entry)].append(entry)
        answer = {}
        first_of: dict[UUID, int] = {}
        for entry in self.entries:
            first_of.setdefault(entry.operation, entry.version)
        for name, entries in groups.items():
            sums = Counter({k: 0 for k in ("granted", "spent", "refunded", "expired", "voided", "net")})
            operations = 0
            for entry in entries:
                match entry.kind:
                    case "grant":
                        sums["granted"] += entry.amount
                    case "consume" | "capture":
                        sums["spent"] -= entry.amount
                        sums["net"] -= entry.amount
                        operations += first_of[entry.operation] == entry.version
                    case "refund":
                        sums["refunded"] += entry.amount
                        sums["net"] -= entry.amount
                    case "expire" if entry.description != "above the allowance":
                        sums["expired"] -= entry.amount
                    case "void":
                        sums["voided"] -= entry.amount
            answer[name] = (sums, operations)
        return answer

    def usage(self, window: Window, value: Callable[[Entry], str | None], limit: int = 20) -> list[Row]:
        spent: dict[Any, Counter[Any]] = defaultdict(Counter)
        operations: dict[Any, set[UUID]] = defaultdict(set)
        first: dict[UUID, Entry] = {}
        for entry in self.entries:
            first.setdefault(entry.operation, entry)
        for entry in self.spends(window):
            if (of := value(entry)) is not None:
                bucket = window.bucket_of(entry.at)
                spent[bucket][of] -= entry.amount
                if first[entry.operation] is entry:
                    operations[bucket, of].add(entry.operation)
        totals: Counter[Any] = sum(spent.values(), Counter())
        largest = sorted(totals, key=lambda of: (-totals[of], of))[:limit]
        rows = []
        for bucket, values in spent.items():
            shown = {of: [of] for of in values if of in largest}
            others = [of for of in values if of not in largest]
            for of, members in (shown | ({None: others} if others else {})).items():
                amount = sum(values[member] for member in members)
                rows.append({
                    "bucket": bucket, "value": of, "spent": amount,
                    "operations": sum(len(operations[bucket, member]) for member in members),
                    "share": rate(amount, values.total()),
                })  # fmt: skip
        return rows

    def active_accounts(self, window: Window) -> list[Row]:
        active: dict[Any, set[UUID]] = defaultdict(set)
        for entry in self.spends(window):
            active[window.bucket_of(entry.at), None].add(entry.account)
            active[window.bucket_of(entry.at), entry.plan].add(entry.account)
        rows: list[Row] = [
            {"bucket": bucket, "plan": plan, "active": len(accounts), "opened": None, "closed": None}
            for (bucket, plan), accounts in active.items()
            if plan
        ]
        for bucket, start, end in window.buckets():
            opened = sum(start <= at < end for at in self.opened.values())
            rows.append({
                "bucket": bucket, "plan": None, "active": len(active[bucket, None]), "opened": opened, "closed": 0
            })  # fmt: skip
        return rows

    def liability(self, window: Window) -> list[Row]:
        rows = []
        for bucket, _, end in window.buckets():
            owed: Counter[Any] = Counter()
            for entry in self.entries:
                if entry.at < end and entry.credit_type != "project" and entry.grant:
                    owed[entry.credit_type, entry.source] += entry.amount
            rows += [
                {"bucket": bucket, "at": end, "credit_type": credit_type, "source": source, "owed": amount}
                for (credit_type, source), amount in owed.items()
                if amount
            ]
        return rows

    def free_spells(self) -> Iterable[Spell]:
        return (spell for spell in self.spells if spell.plan in FREE and spell.start < spell.end)

    def conversion(self, window: Window) -> Row:
        rows = []
        for bucket, start, end in (*window.buckets(), (None, window.since, window.until)):
            free = sum(s.start < end and s.end > start for s in self.free_spells())
            upgrades = sum(s.upgraded and start <= s.end < end for s in self.free_spells())
            rows.append({"bucket": bucket, "free": free, "upgrades": upgrades, "rate": rate(upgrades, free)})
        total = {k: v for k, v in rows.pop().items() if k != "bucket"}
        events: dict[str, list[tuple[UUID, datetime]]] = {
            "after_denial": [(account, at) for account, _, at in self.denials if window.has(at)],
            "after_80_percent": [(p.account, p.crossed) for p in self.periods if p.crossed and window.has(p.crossed)],
        }
        return {"rows": rows} | total | {name: self._after(found) for name, found in events.items()}

    def _after(self, events: list[tuple[UUID, datetime]]) -> Row:
        spells = day = week = 0
        for spell in self.free_spells():
            times = [at for account, at in events if account == spell.account and spell.start <= at <= spell.end]
            if times:
                spells += 1
                day += spell.upgraded and spell.end - max(times) <= timedelta(hours=24)
                week += spell.upgraded and spell.end - max(times) <= timedelta(days=7)
        return {
            "spells": spells, "within_24_hours": day, "within_7_days": week,
            "rate_24_hours": rate(day, spells), "rate_7_days": rate(week, spells),
        }  # fmt: skip

    def exhaustion(self, window: Window) -> Row:
        groups: dict[Any, list[Period]] = defaultdict(list)
        for period in self.periods:
            if window.has(period.start):
                groups[window.bucket_of(period.start), period.plan, period.credit_type].append(period)
        rows = []
        for (bucket, plan, credit_type), periods in groups.items():
            dry = [period for period in periods if period.dry]
            denied = sum(
                any(
                    (account, kind) == (p.account, p.credit_type) and p.start <= at < p.end and window.has(at)
                    for account, kind, at in self.denials
                )
                for p in periods
            )
            days = Counter(str((p.dry - p.start) // timedelta(days=1) + 1) for p in dry if p.dry)
            rows.append({
                "bucket": bucket, "plan": plan, "credit_type": credit_type, "periods": len(periods), "denied": denied,
                "crossed_80_percent": sum(p.crossed is not None for p in periods), "ran_dry": len(dry),
                "share": rate(len(dry), len(periods)), "days": dict(days),
            })  # fmt: skip
        took = []
        denied_spells = 0
        for spell in self.free_spells():
            times = [
                at for account, _, at in self.denials
                if account == spell.account and window.has(at) and spell.start <= at <= spell.end
            ]  # fmt: skip
            denied_spells += bool(times)
            if times and spell.upgraded:
                took.append((spell.end - min(times)).total_seconds() / 3600)
        return {
            "rows": rows,
            "first_denial_to_upgrade": {
                "denied_spells": denied_spells, "upgraded": len(took),
                "median_hours": round(median(took), 4) if took else None,
            },
        }  # fmt: skip
