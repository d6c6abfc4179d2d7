"""A plain model of one account: what the books must say, worked out eagerly and without a database."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from uuid import UUID

from tests.support.months import period

MICROSECOND = timedelta(microseconds=1)
NO_ID = UUID(int=0)
DAY = timedelta(hours=24)
GRACE = timedelta(days=3)

PRIORITIES = {"rollover": (10, 10), "promotion": (20, 20), "compensation": (20, 20), "plan": (30, 30),
              "top_up": (50, 50), "goodwill": (60, 20)}  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """`allowances` by credit type, None for unlimited."""

    is_paid: bool
    allowances: dict[str, int | None]
    rollover_cap: int = 0


@dataclass(eq=False)
class Grant:
    source: str
    remaining: int
    starts: datetime
    expires: datetime | None
    period_start: datetime | None = None
    id: UUID = NO_ID
    held: int = 0
    spent: int = 0
    lapsed: int = 0
    voided: bool = False
    # For what rolled over out of a period that is not paid for: since when it is owed.
    owed_since: datetime | None = None

    @property
    def priority(self) -> int:
        return PRIORITIES[self.source][self.expires is not None]

    @property
    def free(self) -> int:
        return self.remaining - self.held

    def order(self) -> tuple[int, float, datetime, UUID]:
        return self.priority, self.expires.timestamp() if self.expires else math.inf, self.starts, self.id

    def lapse(self) -> None:
        self.lapsed += self.free
        self.remaining = self.held


@dataclass(eq=False)
class Hold:
    balance: Balance
    amount: int
    expires: datetime
    slices: dict[Grant, int] = field(default_factory=dict)
    status: str = "open"


@dataclass(eq=False)
class Spend:
    balance: Balance
    at: datetime
    rows: list[tuple[Grant, int]]
    refunded: dict[Grant, int] = field(default_factory=dict)

    def refundable(self, grant: Grant, amount: int) -> int:
        return amount - self.refunded.get(grant, 0)

    @property
    def left(self) -> int:
        return sum(self.refundable(*row) for row in self.rows)


@dataclass(eq=False)
class Balance:
    """One credit type. A limit has no periods, and its plan grant has free what the plan leaves free."""

    credit_type: str
    used_since: datetime
    start: datetime | None = None
    end: datetime | None = None
    granted: int = 0
    restarted: tuple[datetime, int] | None = None
    used: int = 0
    grants: list[Grant] = field(default_factory=list)
    # Of periods that a purchase cut short: when they would have ended, and what was had of an allowance for nothing.
    taken: list[tuple[datetime, int]] = field(default_factory=list)

    @property
    def is_limit(self) -> bool:
        return self.start is None

    @property
    def reserved(self) -> int:
        return sum(g.held for g in self.grants)

    def allowance_grant(self) -> Grant | None:
        return next(
            (g for g in self.grants if g.source == "plan" and g.period_start == self.start and not g.voided), None
        )


class Account:
    """Every method is what the SQL function of the same name does, at `now`."""

    def __init__(self, plans: dict[str, Plan], now: datetime, anchor: datetime, types: Iterable[str]) -> None:
        self.plans = plans
        self.now = now
        self.anchor = anchor
        self.plan = "free"
        self.pending: tuple[str, datetime] | None = None
        self.past_due_since: datetime | None = None
        self.owed_from = 0
        # Of which plan something was heard, if at the very start of a period, which had begun by then.
        self.begun: dict[int, datetime] = {}
        self.frozen_at: datetime | None = None
        # Which plans were in force, from when on, in the periods of this anchor.
        self.steps: list[tuple[datetime, str]] = [(anchor, "free")]
        # Each plan from when on it applied; `steps` is what allowances come from, and forgets what was never paid for.
        self.history: list[tuple[datetime, str]] = [(anchor, "free")]
        self.holds: list[Hold] = []
        self.balances: dict[str, Balance] = {}
        for credit_type in types:
            balance = Balance(credit_type, anchor)
            if credit_type == "project":
                balance.grants.append(Grant("plan", 0, anchor, None))
            else:
                balance.start, balance.end = period(anchor, "UTC", now)
            self.balances[credit_type] = balance
        self.settle()

    # What holds at a moment.

    def plan_at(self, at: datetime) -> Plan:
        return self.plans[self.pending[0] if self.pending and self.pending[1] <= at else self.plan]

    def renews(self, at: datetime) -> bool:
        return not self.plan_at(at).is_paid or self.past_due_since is None or self.past_due_since > at

    def is_past_grace(self, at: datetime) -> bool:
        since = self.past_due_since
        return self.plan_at(at).is_paid and since is not None and since + GRACE <= at

    def allowance(self, balance: Balance, at: datetime | None = None) -> int | None:
        at = at or self.now
        plan = self.plans["free"] if self.is_past_grace(at) else self.plan_at(at)
        return plan.allowances[balance.credit_type]

    def free_in(self, balance: Balance, grant: Grant) -> float:
        """What one grant has to give now."""
        allowance = self.allowance(balance)
        if grant.source == "plan" and balance.is_limit:
            return math.inf if allowance is None else max(0, allowance - grant.spent - grant.held)
        if allowance is None or grant.voided or grant.starts > self.now:
            return 0
        if grant.owed_since and self.past_due_since is None:
            return 0
        if grant.expires is not None and grant.expires <= self.now:
            return 0
        if grant.source in ("plan", "rollover") and not balance.is_limit and self.is_past_grace(self.now):
            return 0
        return grant.free

    def remaining(self, credit_type: str) -> int | None:
        balance = self.balances[credit_type]
        total = sum(self.free_in(balance, grant) for grant in balance.grants)
        return None if total == math.inf else int(total)

    def can_have(self, credit_type: str, amount: int) -> bool:
        remaining = self.remaining(credit_type)
        return remaining is None or amount <= remaining

    # Time.

    def set_clock(self, now: datetime) -> None:
        self.now = now
        self.settle()

    def settle(self) -> None:
        if self.pending and self.pending[1] <= self.now:
            self.steps.append((self.pending[1], self.pending[0]))
        rollovers = {b.credit_type: self.rollover(b) for b in self.balances.values()}
        owed_since = self.past_due_since
        start = period(self.anchor, "UTC", self.now)[0]
        if owed_since and (owed_since >= start or not self.plan_at(start - MICROSECOND).is_paid):
            owed_since = None
        for hold in self.holds:
            if hold.status == "open" and hold.expires <= self.now:
                hold.status = "expired"
                self.unpin(hold)
        if self.pending and self.pending[1] <= self.now:
            self.history.append((self.pending[1], self.pending[0]))
            self.plan, self.pending = self.pending[0], None
            if not self.plans[self.plan].is_paid:
                self.past_due_since = None
        for balance in self.balances.values():
            self.lapse_ended(balance)
            if not balance.is_limit:
                if self.now >= balance.end:  # type: ignore[operator]
                    self.enter_period(balance, rollovers[balance.credit_type], owed_since)
                self.adjust_allowance(balance)

    def enter_period(self, balance: Balance, rolled: int, owed_since: datetime | None = None) -> None:
        balance.start, balance.end = period(self.anchor, "UTC", self.now)
        balance.used, balance.used_since = 0, balance.start
        balance.granted, balance.restarted = 0, None
        if rolled:
            balance.grants.append(Grant("rollover", rolled, balance.start, balance.end, owed_since=owed_since))

    def entitled(self, balance: Balance, start: datetime, end: datetime, at: datetime) -> int:
        """The allowance that the period began with, and of each larger one since the difference for the share left."""
        restarted = balance.restarted if start == balance.start else None
        began, first = restarted or (start, 0)
        granted = peak = 0
        for nth, (since, plan) in enumerate(self.steps):
            until = self.steps[nth + 1][0] if nth + 1 < len(self.steps) else at + DAY
            is_over = since < began and until <= began and not (restarted and nth == first)
            # What is heard of at the very start of a period comes once it has begun.
            if self.begun.get(nth) == began:
                is_over = False
            if nth < first or since > at or is_over:
                continue
            owed = self.past_due_since
            # What began after a payment failed is due when it is made up for.
            if owed and self.plans[plan].is_paid and (nth >= self.owed_from or max(since, began) > owed):
                continue
            allowance = self.plans[plan].allowances[balance.credit_type]
            assert allowance is not None
            if not self.plans[plan].is_paid and not restarted and start == self.anchor:
                # To pass through plans that were not paid for brings no second one within the month.
                allowance -= sum(taken for ends, taken in balance.taken if ends > start)
            if allowance > peak:
                share = Fraction((end - since) // MICROSECOND, (end - start) // MICROSECOND) if since > began else 1
                granted += math.ceil((allowance - peak) * share)
                peak = allowance
        return granted

    def adjust_allowance(self, balance: Balance) -> None:
        assert balance.start is not None
        assert balance.end is not None
        due = self.entitled(balance, balance.start, balance.end, self.now)
        if due > balance.granted:
            self.add_allowance(balance, due - balance.granted)
            balance.granted = due
        elif due < balance.granted and (grant := balance.allowance_grant()):
            taken = min(grant.free, balance.granted - due)
            grant.remaining -= taken
            grant.lapsed += taken
            balance.granted -= taken

    def rollover(self, balance: Balance) -> int:
        if balance.is_limit or self.now < balance.end:  # type: ignore[operator]
            return 0
        start, _ = period(self.anchor, "UTC", self.now)
        before = start - MICROSECOND
        cap = 0 if self.is_past_grace(before) else self.plan_at(before).rollover_cap
        if balance.end == start:
            grant = balance.allowance_grant()
            pinned = sum(
                h.slices.get(grant, 0) for h in self.holds if grant and h.status == "open" and h.expires > start
            )
            return min(cap, grant.remaining - pinned) if grant else 0
        missed, end = period(self.anchor, "UTC", before)
        return min(cap, self.entitled(balance, missed, end, before))

    def add_allowance(self, balance: Balance, amount: int) -> None:
        assert balance.start is not None
        if grant := balance.allowance_grant():
            grant.remaining += amount
        else:
            balance.grants.append(Grant("plan", amount, balance.start, balance.end, balance.start))

    def lapse_ended(self, balance: Balance) -> None:
        for grant in balance.grants:
            if grant.voided or (grant.expires is not None and grant.expires <= self.now):
                grant.lapse()

    def unpin(self, hold: Hold) -> None:
        for grant, amount in hold.slices.items():
            grant.held -= amount
            if grant.source == "plan" and hold.balance.is_limit:
                grant.remaining -= amount

    # Operations. The caller has asked can_have.

    def burn(self, balance: Balance, amount: int) -> list[tuple[Grant, int]]:
        """Slices of grants in burn order."""
        slices = []
        for grant in sorted(balance.grants, key=Grant.order):
            if take := int(min(amount, self.free_in(balance, grant))):
                slices.append((grant, take))
                amount -= take
        assert amount == 0
        return slices

    def consume(self, credit_type: str, amount: int) -> Spend:
        balance = self.balances[credit_type]
        slices = self.burn(balance, amount)
        for grant, take in slices:
            grant.spent += take
            if not (grant.source == "plan" and balance.is_limit):
                grant.remaining -= take
        balance.used += amount
        return Spend(balance, self.now, slices)

    def reserve(self, credit_type: str, amount: int, ttl: int) -> Hold:
        hold = Hold(self.balances[credit_type], amount, self.now + timedelta(seconds=ttl))
        self.pin(hold, amount)
        self.holds.append(hold)
        return hold

    def pin(self, hold: Hold, amount: int) -> None:
        for grant, take in self.burn(hold.balance, amount):
            grant.held += take
            if grant.source == "plan" and hold.balance.is_limit:
                grant.remaining += take
            hold.slices[grant] = hold.slices.get(grant, 0) + take

    def capture(self, hold: Hold, wanted: int) -> tuple[Spend, int]:
        """The spend, and the shortfall."""
        extra = max(0, wanted - hold.amount)
        remaining = self.remaining(hold.balance.credit_type)
        extra = extra if remaining is None else min(extra, remaining)
        self.pin(hold, extra)
        captured = left = min(wanted, hold.amount + extra)
        self.unpin(hold)
        rows = []
        for grant, amount in sorted(hold.slices.items(), key=lambda s: s[0].order()):
            if take := min(left, amount):
                grant.spent += take
                if not (grant.source == "plan" and hold.balance.is_limit):
                    grant.remaining -= take
                rows.append((grant, take))
                left -= take
        hold.balance.used += captured
        hold.status = "captured"
        self.lapse_ended(hold.balance)
        return Spend(hold.balance, self.now, rows), wanted - captured

    def release(self, hold: Hold) -> None:
        hold.status = "released"
        self.unpin(hold)
        self.lapse_ended(hold.balance)

    def refund(self, spend: Spend, amount: int) -> None:
        balance, left, late = spend.balance, amount, 0
        for grant, taken in reversed(spend.rows):
            back = min(left, spend.refundable(grant, taken))
            left -= back
            spend.refunded[grant] = spend.refunded.get(grant, 0) + back
            grant.spent -= back
            if grant.source == "plan" and balance.is_limit:
                continue
            grant.remaining += back
            if not grant.voided and grant.expires and grant.expires <= self.now < grant.expires + DAY:
                late += back
        self.lapse_ended(balance)
        if late:
            balance.grants.append(Grant("compensation", late, self.now, self.now + DAY))
        if balance.is_limit or spend.at >= balance.used_since:
            balance.used = max(0, balance.used - amount)
        if not balance.is_limit:
            # What was spent though it was not due does not come back.
            self.adjust_allowance(balance)

    def grant(self, credit_type: str, amount: int, source: str, expires: datetime | None, grant_id: UUID) -> Grant:
        grant = Grant(source, amount, self.now, expires, id=grant_id)
        self.balances[credit_type].grants.append(grant)
        return grant

    def revoke(self, grant: Grant) -> None:
        grant.voided = True
        grant.lapse()

    def reset(self) -> None:
        for balance in self.balances.values():
            if balance.is_limit or not self.renews(self.now):
                continue
            if grant := balance.allowance_grant():
                self.revoke(grant)
            balance.used, balance.used_since = 0, self.now
            balance.granted, balance.restarted = 0, (self.now, len(self.steps) - 1)
            balance.taken.clear()
            self.adjust_allowance(balance)

    def change_plan(self, plan: str, effective: str) -> None:
        if plan == self.plan:
            self.pending = None
            return
        counted = [b for b in self.balances.values() if not b.is_limit]
        if effective == "period_end":
            assert counted[0].end is not None
            self.pending = (plan, counted[0].end)
            self.begun[len(self.steps) - 1] = self.now
            return
        was_paid, is_paid = self.plans[self.plan].is_paid, self.plans[plan].is_paid
        owed = self.past_due_since
        before = self.now - MICROSECOND
        in_force = [name for since, name in self.history if since <= before] or [self.history[0][1]]
        if owed is not None and self.is_past_grace(before):
            self.frozen_at = self.now
        cap = 0 if self.frozen_at == self.now else self.plans[in_force[-1]].rollover_cap
        rolled = {
            b.credit_type: min(cap, g.free) if (g := b.allowance_grant()) and b.start != self.now else 0
            for b in counted
        }
        self.history.append((self.now, plan))
        self.plan, self.pending = plan, None
        if not (was_paid and is_paid):
            self.past_due_since = None
        if is_paid and not was_paid:
            # Each way from free to paid is a purchase: a new period, with the full allowance.
            for balance in counted:
                self.note_taken(balance, rolled[balance.credit_type])
            self.anchor, self.steps, self.begun = self.now, [(self.now, plan)], {}
            for balance in counted:
                self.cut(balance)
                self.enter_period(balance, rolled[balance.credit_type])
        elif was_paid and not is_paid and (owed is not None or self.anchor < self.now == counted[0].start):
            # What was not paid for gives way to the allowance of the new plan, less what was spent; a period that
            # begins at this instant is the new plan's.
            assert counted[0].start is not None
            self.steps, self.begun = [(counted[0].start, plan)], {}
            for balance in counted:
                balance.restarted = None
        else:
            self.steps.append((self.now, plan))
        self.settle()

    def note_taken(self, balance: Balance, rolled: int) -> None:
        """What was spent, is held or rolls over of a period that costs nothing, and is cut short now."""
        assert balance.start is not None
        assert balance.end is not None
        ends = [since for since, _ in self.steps[1:]]
        in_period = [
            plan
            for (_, plan), until in zip(self.steps, [*ends, None], strict=True)
            if not until or until > balance.start
        ]
        if not any(self.plans[plan].is_paid for plan in in_period):
            grant = balance.allowance_grant()
            balance.taken.append((balance.end, rolled + (grant.spent + grant.held if grant else 0)))

    def cut(self, balance: Balance) -> None:
        if grant := balance.allowance_grant():
            grant.expires = self.now
            grant.lapse()
            grant.voided = balance.start == self.now

    def set_status(self, status: str) -> None:
        if self.plans[self.plan].is_paid:
            if self.is_past_grace(self.now - MICROSECOND):
                self.frozen_at = self.now
            if self.past_due_since is None:
                self.owed_from = len(self.steps)
            for grant in (g for b in self.balances.values() for g in b.grants if status == "active"):
                if grant.owed_since == self.past_due_since:
                    grant.owed_since = None
            if (status == "past_due") is (self.past_due_since is None):
                self.begun[len(self.steps) - 1] = self.now
            self.past_due_since = (self.past_due_since or self.now) if status == "past_due" else None
        self.settle()
