"""A second, plain implementation of budgets: everything is added up anew from a list of what happened."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any


@dataclass
class Spent:
    """A spend that was booked, and what was refunded of it."""

    at: datetime
    user: str
    metadata: dict[str, str]
    amount: int
    refunded: int = 0


@dataclass
class Held:
    """A hold that is open."""

    until: datetime
    user: str
    metadata: dict[str, str]
    amount: int


@dataclass(frozen=True)
class Rule:
    """A budget."""

    scope: str
    value: str | None
    window: str
    hours: int | None
    limit: int


@dataclass
class Model:
    """An account in UTC whose period began at `period_start`."""

    roles: dict[str, str]
    period_start: datetime
    rules: list[Rule] = field(default_factory=list)
    spent: list[Spent] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)

    def applies(self, rule: Rule, user: str, metadata: dict[str, str], actor: str) -> bool:
        """Whether what `user` did counts in a rule that is asked about by `actor`."""
        if rule.scope == "workspace":
            return True
        if rule.scope == "role":
            return self.roles.get(user) == rule.value
        if rule.scope == "member":
            return user == (rule.value or actor)
        key, _, value = (rule.value or "").partition("=")
        return metadata.get(key) == value

    def start(self, rule: Rule, now: datetime) -> datetime:
        """The first instant that counts."""
        day = now.replace(hour=0, minute=0, second=0, microsecond=0)
        if rule.window == "rolling":
            return now - timedelta(hours=rule.hours or 0) + timedelta(microseconds=1)
        if rule.window == "day":
            return day
        if rule.window == "week":
            return day - timedelta(days=day.weekday())
        if rule.window == "month":
            return day.replace(day=1)
        return self.period_start

    def used(self, rule: Rule, now: datetime, actor: str) -> int:
        """Spends less refunds in the window, and live holds."""
        if rule.window == "draw":
            return 0
        live = sum(h.amount for h in self.held if h.until > now and self.applies(rule, h.user, h.metadata, actor))
        if rule.window == "in_flight":
            return live
        start = self.start(rule, now)
        return live + sum(
            s.amount - s.refunded for s in self.spent if s.at >= start and self.applies(rule, s.user, s.metadata, actor)
        )

    def refusing(self, now: datetime, user: str, metadata: dict[str, str], amount: int, *, hold: bool) -> list[Rule]:
        """The rules that have no room."""
        return [
            rule
            for rule in self.rules
            if (hold or rule.window != "in_flight")
            and self.applies(rule, user, metadata, user)
            and self.used(rule, now, user) + amount > rule.limit
        ]


def at(value: Any) -> datetime:
    """A time of an answer, in UTC."""
    return datetime.fromisoformat(str(value)).astimezone(UTC)
