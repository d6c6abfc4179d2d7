"""A plain model of subscriptions: all that happened is played again in the order of time, whenever something is asked.

So it cannot know what was heard of late. The database hears of the same happenings in any order, and must say the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction

from tests.support.months import period

MICROSECOND = timedelta(microseconds=1)
GRACE = timedelta(days=3)
FREE = "free"


@dataclass(frozen=True)
class Terms:
    """What one seat of a plan has, by credit type; None is unlimited."""

    is_paid: bool
    allowances: dict[str, int | None]

    def of(self, credit_type: str, seats: int) -> int | None:
        allowance = self.allowances[credit_type]
        return None if allowance is None else allowance * seats


@dataclass(frozen=True)
class Happening:
    """A change of plan or seats, a status, or a period that a payment provider began."""

    at: datetime
    kind: str
    plan: str = ""
    seats: int | None = None
    at_period_end: bool = False
    status: str = ""
    ends: datetime | None = None
    keeps: bool = True


@dataclass
class Stretch:
    """From `at` until the next one's."""

    at: datetime
    plan: str
    seats: int
    status: str
    epoch: int
    earns: bool
    is_frozen: bool
    is_whole: bool
    anchor: datetime
    trial_end: datetime | None
    is_forfeited: bool = False

    def period(self, at: datetime) -> tuple[datetime, datetime]:
        if self.trial_end:
            return self.anchor, self.trial_end
        return period(self.anchor, "UTC", at)


@dataclass
class Replay:
    """The subscription on its way through what happened."""

    terms: dict[str, Terms]
    covered_until: datetime | None
    is_managed: bool
    anchor: datetime
    plan: str = FREE
    seats: int = 1
    status: str = "active"
    epoch: int = 1
    owed_since: datetime | None = None
    paused_since: datetime | None = None
    trial_end: datetime | None = None
    trial_is_paid: bool = False
    is_whole: bool = False
    follows: tuple[datetime, str, int] | None = None
    fewer: tuple[datetime, int] | None = None
    ends: tuple[datetime, bool] | None = None
    blocked_until: datetime | None = None
    bought_at: datetime | None = None
    unpaid_at: datetime | None = None
    stretches: list[Stretch] = field(default_factory=list)

    # What holds.

    @property
    def is_paid_plan(self) -> bool:
        return self.terms[self.plan].is_paid

    def period(self, at: datetime) -> tuple[datetime, datetime]:
        return (self.anchor, self.trial_end) if self.trial_end else period(self.anchor, "UTC", at)

    def period_before(self, at: datetime) -> tuple[datetime, datetime]:
        """The period that runs, or at its very end the one that ends."""
        return self.period(at - MICROSECOND if at > self.anchor else at)

    def is_covered(self, end: datetime) -> bool:
        return self.covered_until is not None and self.covered_until >= end

    def period_is_paid(self, end: datetime) -> bool:
        if self.owed_since or self.trial_end:
            return False
        return not self.is_managed or self.is_covered(end)

    def provisional_end(self) -> datetime | None:
        """Where a managed subscription stops earning: one period beyond what is covered."""
        if not (self.is_paid_plan and self.is_managed):
            return None
        assert self.bought_at is not None
        if self.unpaid_at and not self.trial_end and not (self.covered_until and self.covered_until > self.unpaid_at):
            return self.anchor
        base = max(self.bought_at, self.covered_until or self.bought_at)
        if base < self.anchor:
            ends = [*(s.at for s in self.stretches[1:]), self.anchor]
            if any(
                s.earns and s.epoch < self.epoch and end > base for s, end in zip(self.stretches, ends, strict=True)
            ):
                return self.anchor
        return self.period(max(base, self.anchor))[1]

    def record(self, at: datetime) -> None:
        frozen = self.is_paid_plan and bool(self.paused_since or (self.owed_since and self.owed_since + GRACE <= at))
        earns = self.blocked_until is None
        if self.is_paid_plan:
            end = self.provisional_end()
            earns = earns and not self.owed_since and not self.paused_since and (end is None or at < end)
        self.stretches.append(
            Stretch(
                at,
                self.plan,
                self.seats,
                self.status,
                self.epoch,
                earns,
                frozen,
                self.is_whole,
                self.anchor,
                self.trial_end,
            )
        )

    # Time.

    def next_change(self) -> datetime | None:
        last = self.stretches[-1]
        moments = [self.blocked_until, self.trial_end]
        moments += [x[0] for x in (self.follows, self.fewer, self.ends) if x]
        if self.is_paid_plan and self.owed_since and not last.is_frozen:
            moments.append(self.owed_since + GRACE)
        provisional_end = self.provisional_end()
        if provisional_end and provisional_end > last.at:
            moments.append(provisional_end)
        return min((moment for moment in moments if moment), default=None)

    def pass_time(self, until: datetime, is_event: bool) -> None:
        while True:
            at = self.next_change()
            if at is None or at > until or (is_event and at == until == self.trial_end):
                return
            self.change_by_time(at)
            self.record(max(at, self.stretches[-1].at))

    def change_by_time(self, at: datetime) -> None:
        if self.blocked_until and self.blocked_until <= at:
            self.blocked_until = None
        if self.follows and self.follows[0] <= at:
            _, plan, seats = self.follows
            self.enter(plan, seats, at)
        elif self.ends and self.ends[0] <= at:
            self.cancel(self.ends[1], at)
        elif self.fewer and self.fewer[0] <= at:
            self.seats, self.fewer = self.fewer[1], None
        elif self.trial_end and self.trial_end <= at:
            if self.trial_is_paid or (self.is_managed and self.covered_until and self.covered_until > at):
                self.status, self.trial_end = "active", None
            else:
                self.enter(FREE, 1, at)
            self.begin_period(at)

    # What happens.

    def enter(self, plan: str, seats: int, at: datetime) -> None:
        was_paid = self.is_paid_plan
        if was_paid and not self.terms[plan].is_paid and self.is_managed and not self.trial_end:
            # Who leaves without having paid for the period gets the next one when it is paid.
            self.unpaid_at = self.unpaid_at if self.is_covered(self.period_before(at)[1]) else at
        self.plan, self.seats = plan, seats
        self.follows = self.fewer = self.ends = self.blocked_until = None
        self.is_whole = False
        if not self.is_paid_plan or not was_paid or self.status == "canceled":
            self.status = "active"
            self.owed_since = self.paused_since = self.trial_end = None
        if self.is_paid_plan and not was_paid:
            self.bought_at = at

    def begin_period(self, at: datetime) -> None:
        self.anchor = at
        self.epoch += 1
        self.blocked_until = None
        if self.fewer:
            self.seats, self.fewer = self.fewer[1], None

    def forfeit(self, since: datetime, at: datetime) -> None:
        """What the plan gave since then is not due."""
        ends = [*(s.at for s in self.stretches[1:]), at]
        for stretch, end in zip(self.stretches, ends, strict=True):
            if stretch.at >= since or end > since:
                stretch.earns = False
                stretch.is_forfeited = True

    def leave(self, keeps: bool, plan: str, seats: int, at: datetime) -> None:
        start, end = self.period_before(at)
        is_paid = self.period_is_paid(end)
        was_trial = self.trial_end is not None
        self.enter(plan, seats, at)
        if at >= end:
            self.forfeit(at, at)
        elif not (is_paid and keeps):
            self.forfeit(start, at)
            self.is_whole = not is_paid
            if is_paid:
                self.blocked_until = end
            elif was_trial:
                self.epoch += 1

    def cancel(self, keeps: bool, at: datetime) -> None:
        self.ends = None
        _, end = self.period_before(at)
        if not keeps or not self.period_is_paid(end) or at >= end:
            self.leave(keeps, FREE, 1, at)
        else:
            self.status = "canceled"
            self.follows = (end, FREE, 1)

    def happen(self, news: Happening) -> None:
        self.pass_time(news.at, True)
        # A payment fails, and a pause begins, in the period that begins at that instant.
        if (
            news.status in ("past_due", "unpaid", "paused")
            and self.stretches[-1].at < news.at
            and self.period(news.at)[0] == news.at
        ):
            self.record(news.at)
        getattr(self, f"on_{news.kind}")(news)
        self.record(news.at)

    def on_plan(self, news: Happening) -> None:
        is_same = news.plan == self.plan
        is_paid = self.terms[news.plan].is_paid
        seats = news.seats or (self.seats if self.is_paid_plan and is_paid else 1)
        _, end = self.period(news.at)
        if news.at_period_end and not (is_same and seats == self.seats):
            self.ends = self.fewer = None
            self.follows = (end, news.plan, seats)
            self.status = "active" if self.status == "canceled" else self.status
        elif is_same:
            self.ends = self.fewer = self.follows = None
            self.status = "active" if self.status == "canceled" else self.status
            if seats < self.seats:
                self.fewer = (end, seats)
            self.seats = max(seats, self.seats)
        elif is_paid and not self.is_paid_plan:
            self.enter(news.plan, seats, news.at)
            self.begin_period(news.at)
        elif self.is_paid_plan and not is_paid:
            self.leave(True, news.plan, seats, news.at)
        else:
            now = max(seats, self.seats) if self.is_paid_plan else seats
            self.enter(news.plan, now, news.at)
            if seats < now:
                self.fewer = (end, seats)

    def on_period(self, news: Happening) -> None:
        if self.is_paid_plan and not self.trial_end and self.period(news.at)[0] != news.at:
            self.begin_period(news.at)

    def on_status(self, news: Happening) -> None:
        if self.is_paid_plan:
            getattr(self, f"on_{news.status}")(news)

    def on_active(self, news: Happening) -> None:
        self.ends = None
        if self.status == "canceled":
            self.follows = None
        if self.trial_end:
            self.trial_is_paid = True
            return
        if not self.is_managed:
            since = min((x for x in (self.owed_since, self.paused_since) if x), default=None)
            for stretch in self.stretches:
                if since and stretch.at >= since:
                    stretch.earns = True
            self.owed_since = None
        self.paused_since = None
        self.status = "active"

    def on_past_due(self, news: Happening) -> None:
        if self.trial_end:
            self.trial_is_paid = False
        elif self.status != "canceled" and not (self.is_managed and self.is_covered(self.period(news.at)[1])):
            self.status = news.status
            self.paused_since = None
            self.owed_since = self.owed_since or news.at

    on_unpaid = on_past_due

    def on_paused(self, news: Happening) -> None:
        if self.trial_end:
            self.trial_is_paid = False
        elif self.status != "canceled":
            self.status = "paused"
            self.paused_since = self.paused_since or news.at

    def on_trialing(self, news: Happening) -> None:
        if self.trial_end:
            # A trial that is prolonged is the same trial.
            self.trial_end = news.ends
            return
        self.begin_period(news.at)
        self.status = "trialing"
        self.paused_since = None
        self.trial_end = news.ends
        self.trial_is_paid = False

    def on_canceled(self, news: Happening) -> None:
        if news.ends is not None:
            if self.status != "canceled":
                self.ends = (news.ends, news.keeps)
        elif self.status != "canceled":
            self.cancel(news.keeps, news.at)
        elif not news.keeps:
            self.leave(False, FREE, 1, news.at)


@dataclass
class Subscription:
    terms: dict[str, Terms]
    opened: datetime
    is_managed: bool = False
    covered_until: datetime | None = None
    happenings: list[Happening] = field(default_factory=list)

    def hear(self, news: Happening) -> None:
        self.happenings.append(news)

    def cover(self, until: datetime | None, start: datetime | None) -> None:
        self.is_managed = True
        if until:
            self.covered_until = max(self.covered_until or until, until)
        if start:
            self.hear(Happening(start, "period"))

    def replay(self, now: datetime) -> list[Stretch]:
        replay = Replay(self.terms, self.covered_until, self.is_managed, self.opened)
        replay.record(self.opened)
        for news in sorted(self.happenings, key=lambda news: news.at):
            replay.happen(news)
        replay.pass_time(now, False)
        return [stretch for stretch in replay.stretches if stretch.at <= now]


@dataclass
class Standing:
    """What must be seen at a moment."""

    plan: str
    status: str
    seats: int
    is_frozen: bool
    is_earning: bool
    start: datetime
    end: datetime
    allowance: dict[str, int | None]
    entitled: dict[str, int]


Spends = dict[str, list[tuple[datetime, int, int]]]


def standing(subscription: Subscription, now: datetime, restarts: dict[str, list[datetime]], spent: Spends) -> Standing:
    """`spent` has by credit type: when, how much of an allowance, how much in all."""
    stretches = subscription.replay(now)
    last = stretches[-1]
    start, end = last.period(now)
    terms = subscription.terms[FREE if last.is_frozen else last.plan]
    seats = 1 if last.is_frozen else last.seats
    allowance = {t: terms.of(t, seats) for t in terms.allowances}
    if last.status == "canceled":
        allowance["project"] = subscription.terms[FREE].allowances["project"]
    entitled = {
        t: _entitled(
            subscription.terms,
            stretches,
            t,
            start,
            end,
            [r for r in restarts.get(t, []) if r > start],
            _spent_before(subscription.terms, stretches, start, spent[t], max(restarts.get(t, []), default=None)),
        )
        for t in terms.allowances
        if t != "project"
    }
    return Standing(last.plan, last.status, last.seats, last.is_frozen, last.earns, start, end, allowance, entitled)


def _entitled(
    terms: dict[str, Terms], stretches: list[Stretch], credit_type: str, start: datetime, end: datetime,
    since: list[datetime], spent_before: int) -> int:  # fmt: skip
    """The allowance that the period began with, and of each larger one the difference for the share that was left."""
    began = max([start, *since])
    epoch = stretches[-1].epoch
    granted = peak = 0
    for nth, stretch in enumerate(stretches):
        until = stretches[nth + 1].at if nth + 1 < len(stretches) else None
        is_over = until is not None and until <= began and (stretch.at < began or bool(since))
        allowance = terms[stretch.plan].of(credit_type, stretch.seats)
        if allowance and not since and not terms[stretch.plan].is_paid:
            allowance = max(0, allowance - spent_before)
        if stretch.epoch != epoch or is_over or not stretch.earns or allowance is None or allowance <= peak:
            continue
        is_full = stretch.at <= began or stretch.is_whole or stretch.trial_end is not None
        share = Fraction(1) if is_full else Fraction((end - stretch.at) // MICROSECOND, (end - start) // MICROSECOND)
        granted += math.ceil((allowance - peak) * share)
        peak = allowance
    return granted


def _spent_before(
    terms: dict[str, Terms],
    stretches: list[Stretch],
    start: datetime,
    spent: list[tuple[datetime, int, int]],
    restarted: datetime | None,
) -> int:
    """What was spent for nothing in a period of an earlier anchor that would not be over yet, since a restart of it."""
    total = 0
    if any(stretch.epoch == stretches[-1].epoch and stretch.at < start for stretch in stretches):
        return 0
    for nth, stretch in enumerate(stretches[:-1]):
        until = min(stretches[nth + 1].at, start)
        is_for_nothing = stretch.is_forfeited or (stretch.earns and not terms[stretch.plan].is_paid)
        if stretch.epoch < stretches[-1].epoch and is_for_nothing and stretch.at < until:
            began, ends = stretch.period(until - MICROSECOND)
            if ends > start:
                total += sum(
                    of_plan for at, of_plan, _ in spent if max(began, stretch.at, restarted or began) < at <= until
                )
    return total
