"""Walks subscriptions through the real database, by the clock of a test account, beside the plain model.

`python -m tests.database.walk_subscriptions --seconds 60` walks for a minute and prints its seed; `--seed` walks the
same ways again.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import psycopg
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from hypothesis.stateful import get_state_machine_test as as_test

from tests.support.database import Database, copied_database, make_template
from tests.support.server import start_server
from tests.support.subscription_model import MICROSECOND, Happening, Standing, Subscription, Terms, standing

TERMS = {
    "free": Terms(False, {"message": 10, "integration": 100, "project": 3}),
    "starter": Terms(True, {"message": 100, "integration": 2000, "project": None}),
    "builder": Terms(True, {"message": 250, "integration": 10000, "project": None}),
    "pro": Terms(True, {"message": 500, "integration": 20000, "project": None}),
    # Counted projects and messages without number: the other way round.
    "vast": Terms(True, {"message": None, "integration": 5, "project": 4}),
}
TYPES = ("message", "integration")
OPENED = datetime(2060, 1, 31, 6, tzinfo=UTC)
PLANS = st.sampled_from(["starter", "starter", "pro", "pro", "builder", "vast", "free"])
SEATS = st.sampled_from([None, None, 1, 2, 3, 5])
STATUSES = st.sampled_from(["active", "active", "past_due", "unpaid", "paused", "canceled"])
# What falls together with a moment of the calendar is tried more often than chance would.
LATE = st.one_of(
    st.just(timedelta(0)),
    st.integers(0, 60).map(lambda hours: timedelta(hours=hours)),
    st.integers(0, 65).map(lambda days: timedelta(days=days)),
)
AHEAD = st.one_of(
    st.sampled_from([timedelta(seconds=1), timedelta(days=3), timedelta(days=30)]),
    st.integers(1, 80).map(lambda hours: timedelta(hours=hours)),
    st.integers(1, 70).map(lambda days: timedelta(days=days)),
)
SPELLS = """
    select jsonb_agg(to_jsonb(s) - '{account_id,revision,replaced_at,n,event_n}'::text[] order by s.n)
    from credits.subscription_spells s where s.account_id = %s and s.replaced_at is null
"""


class Walk(RuleBasedStateMachine):
    """Tells the database what happened, some of it late, and compares what it shows with what the model says."""

    database: Database

    @initialize(is_managed=st.booleans())
    def sign_up(self, is_managed: bool) -> None:
        self.told: list[tuple[datetime, str, dict[str, Any]]] = []
        self.user = self.open()
        self.model = Subscription(TERMS, OPENED)
        self.now = OPENED + timedelta(hours=1)
        self.spent: dict[str, list[tuple[datetime, int, int]]] = {t: [] for t in TYPES}
        self.bought = dict.fromkeys(TYPES, 0)
        self.restarts: dict[str, list[datetime]] = {t: [] for t in TYPES}
        self.counted_anew: dict[str, list[datetime]] = {t: [] for t in TYPES}
        self.projects = 0
        self.times = {OPENED}
        self.earliest = self.now
        self.wait_for(timedelta(0))
        if is_managed:
            self.cover(timedelta(0), None)

    def open(self) -> UUID:
        """A new user, as if signed up at one and the same instant: at a month's end."""
        user = self.database.new_user()
        self.database.call("mark_test_account", user)
        with psycopg.connect(self.database.superuser_url) as connection:
            connection.execute("set session_replication_role = replica")
            connection.execute(
                "update credits.subscription_events set happened_at = %s where account_id = %s", [OPENED, user]
            )
            connection.execute("set session_replication_role = default")
            connection.execute("select credits.refold(%s, clock_timestamp())", [user])
        return user

    def call(self, function: str, **named: Any) -> Any:
        return self.database.call(function, user_id=self.user, **named)

    # Time.

    def wait_for(self, step: timedelta) -> None:
        self.now += step
        self.call("set_test_clock", now=self.now)

    def tick(self) -> Standing:
        """What is spent falls to no instant at which something else happens, or a period begins."""
        self.wait_for(MICROSECOND)
        while self.now in self.times or self.now == self.expected().start:
            self.wait_for(MICROSECOND)
        self.times.add(self.now)
        return self.expected()

    @rule(step=AHEAD)
    def wait(self, step: timedelta) -> None:
        self.wait_for(step)

    @rule(before=st.sampled_from([timedelta(0), MICROSECOND]))
    def wait_for_the_end_of_the_period(self, before: timedelta) -> None:
        self.wait_for(max(self.expected().end - before - self.now, timedelta(0)))

    def moment(self, late: timedelta) -> datetime:
        """A time of its own: of two things at one instant the order is that in which they are heard of."""
        at = max(self.now - late, self.earliest)
        while at in self.times:
            at += MICROSECOND
        self.times.add(at)
        if at > self.now:
            self.wait_for(at - self.now)
        return at

    # News.

    def tell(self, at: datetime, function: str, **named: Any) -> None:
        self.told.append((at, function, named))
        tell(self.database, self.user, at, function, named)

    @rule(late=LATE, plan=PLANS, seats=SEATS, at_period_end=st.sampled_from([False, False, False, True]))
    def change_plan(self, late: timedelta, plan: str, seats: int | None, at_period_end: bool) -> None:
        at = self.moment(late)
        self.model.hear(Happening(at, "plan", plan, seats, at_period_end))
        self.tell(at, "change_plan", plan_id=plan, quantity=seats, effective="period_end" if at_period_end else "now")

    @rule(late=LATE, status=STATUSES)
    def set_status(self, late: timedelta, status: str) -> None:
        at = self.moment(late)
        self.model.hear(Happening(at, "status", status=status))
        self.tell(at, "set_subscription_status", status=status)

    @rule(status=st.sampled_from(["past_due", "paused", "active", "canceled"]), which=st.integers(0, 3))
    def set_status_at_the_start_of_the_period(self, status: str, which: int) -> None:
        starts = [stretch.period(self.now)[0] for stretch in self.model.replay(self.now)][-4:]
        at = starts[which % len(starts)]
        if self.earliest <= at <= self.now and at not in self.times:
            self.times.add(at)
            self.model.hear(Happening(at, "status", status=status))
            self.tell(at, "set_subscription_status", status=status)

    @rule(late=LATE, length=AHEAD)
    def try_out(self, late: timedelta, length: timedelta) -> None:
        at = self.moment(late)
        self.model.hear(Happening(at, "status", status="trialing", ends=at + length))
        self.tell(at, "set_subscription_status", status="trialing", ends_at=at + length)

    @rule(ahead=AHEAD)
    def cancel_later(self, ahead: timedelta) -> None:
        at = self.moment(timedelta(0))
        ends = self.now + ahead
        self.model.hear(Happening(at, "status", status="canceled", ends=ends))
        self.tell(at, "cancel_later", ends=ends)

    @rule(paid=AHEAD, late=st.one_of(st.none(), LATE))
    def cover(self, paid: timedelta, late: timedelta | None) -> None:
        until = self.now - timedelta(days=20) + paid if self.model.is_managed else None
        start = None if late is None else self.moment(late)
        self.model.cover(until, start)
        self.tell(start or self.now, "cover_period", until=until, start=start)

    @rule()
    def pay_for_the_period(self) -> None:
        if self.model.is_managed:
            until = self.expected().end
            self.model.cover(until, None)
            self.tell(self.now, "cover_period", until=until, start=None)

    # Credits.

    @rule(credit_type=st.sampled_from(TYPES), share=st.sampled_from([0.1, 0.6, 1.0, 1.1]))
    def consume(self, credit_type: str, share: float) -> None:
        expected = self.tick()
        remaining = self.remaining(expected, credit_type)
        amount = max(1, int((200 if remaining is None else remaining) * share))
        answer = self.call("consume_credits", credit_type=credit_type, amount=amount)
        assert answer["success"] is (remaining is None or amount <= remaining)
        if answer["success"]:
            of_plan = 0 if remaining is None else min(amount, self.left_of_plan(expected, credit_type))
            self.spent[credit_type].append((self.now, of_plan, amount))
            self.bought[credit_type] -= 0 if remaining is None else amount - of_plan

    @rule()
    def make_a_project(self) -> None:
        remaining = self.remaining(self.expected(), "project")
        assert self.call("consume_credits", credit_type="project")["success"] is (remaining != 0)
        self.projects += remaining != 0

    @rule(credit_type=st.sampled_from(TYPES))
    def top_up(self, credit_type: str) -> None:
        self.call("grant_credits", credit_type=credit_type, amount=7, source="top_up")
        self.bought[credit_type] += 7

    @rule()
    def restart(self) -> None:
        expected = self.tick()
        restarted = self.call("reset_monthly_credits")["restarted"]
        grants = expected.is_earning and not expected.is_frozen and expected.status != "canceled"
        assert sorted(restarted) == (sorted(TYPES) if grants else [])
        for credit_type in restarted:
            self.counted_anew[credit_type].append(self.now)
            # What is unlimited has no stock to restart, and what a counted plan left is not touched by it.
            if expected.allowance[credit_type] is not None:
                self.restarts[credit_type].append(self.now)

    # What must be seen.

    def expected(self) -> Standing:
        return standing(self.model, self.now, self.restarts, self.spent)

    def left_of_plan(self, expected: Standing, credit_type: str) -> int:
        if expected.is_frozen:
            return 0
        since = max([expected.start, *self.restarts[credit_type]])
        spent = sum(of_plan for at, of_plan, _ in self.spent[credit_type] if at > since)
        return max(0, expected.entitled[credit_type] - spent)

    def remaining(self, expected: Standing, credit_type: str) -> int | None:
        allowance = expected.allowance[credit_type]
        if allowance is None:
            return None
        if credit_type == "project":
            return max(0, allowance - self.projects)
        return self.left_of_plan(expected, credit_type) + self.bought[credit_type]

    @invariant()
    def it_shows_what_the_model_says(self) -> None:
        expected = self.expected()
        [row] = self.database.query(
            "select plan_id, status, quantity from public.subscriptions where account_id = %s", self.user
        )
        assert row == (expected.plan, expected.status, expected.seats)
        for credit_type in (*TYPES, "project"):
            balance = self.database.balance(self.user, credit_type)
            seen = [balance[key] for key in ("allowance", "used", "remaining")]
            if credit_type == "project":
                used = self.projects
            else:
                since = max([expected.start, *self.counted_anew[credit_type]])
                used = sum(amount for at, _, amount in self.spent[credit_type] if at > since)
                period = tuple(datetime.fromisoformat(balance[key]) for key in ("period_start", "period_end"))
                assert period == (expected.start, expected.end)
            assert seen == [expected.allowance[credit_type], used, self.remaining(expected, credit_type)], credit_type

    def teardown(self) -> None:
        if not self.told:
            return
        self.call("consume_credits", credit_type="message", amount=10**9)
        self.database.verify(self.user)
        [on_time, late] = self.open(), self.open()
        # What is planned is heard of when it is planned; all else as it happened, or after all of it, in any order.
        self.hear(on_time, sorted(self.told, key=lambda news: news[0]), is_late=False)
        others = [news for news in self.told if news[1] != "cancel_later"]
        random.Random(len(self.told)).shuffle(others)
        self.hear(late, [news for news in self.told if news[1] == "cancel_later"] + others, is_late=True)
        [first, second, third] = (self.database.value(SPELLS, user) for user in (self.user, on_time, late))
        differing = [n for n, rows in enumerate(zip(first, second, third, strict=False)) if len({*map(str, rows)}) > 1]
        assert first == second == third, differing
        for credit_type in (*TYPES, "project"):
            [one, other] = (self.database.balance(user, credit_type) for user in (on_time, late))
            ids = ("account_id", "user_id")
            assert {k: v for k, v in one.items() if k not in ids} == {k: v for k, v in other.items() if k not in ids}
        self.database.verify(late)

    def hear(self, user: UUID, news: list[tuple[datetime, str, dict[str, Any]]], *, is_late: bool) -> None:
        for at, function, named in news:
            self.database.call("set_test_clock", user, self.now if is_late and function != "cancel_later" else at)
            tell(self.database, user, at, function, named)
        self.database.call("set_test_clock", user, self.now)
        self.database.call("consume_credits", user, "message", 10**9)


def tell(database: Database, user: UUID, at: datetime, function: str, named: dict[str, Any]) -> None:
    if function == "cover_period":
        database.run("select credits.cover_period(%s, %s, %s)", user, named["until"], named["start"])
    elif function == "cancel_later":
        database.call("set_subscription_status", user, "canceled", at=named["ends"])
    else:
        database.call(function, user, at=at, **named)


def prepare(database: Database) -> None:
    """A plan that is the other way round: messages without number, counted projects."""
    database.run("insert into plans (id, name, rank, price_cents) values ('vast', 'Vast', 60, 100)")
    database.run(
        "insert into plan_limits (plan_id, credit_type, allowance) "
        "values ('vast', 'message', null), ('vast', 'integration', 5), ('vast', 'project', 4)"
    )


def walk(database: Database, number: int, *, examples: int, steps: int, shrink: bool = True) -> None:
    """Walks `examples` ways of `steps` steps that follow from a seed."""
    machine = type("SubscriptionWalk", (Walk,), {"database": database})
    profile = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        print_blob=False,
        phases=[Phase.generate, *([Phase.shrink] if shrink else [])],
        suppress_health_check=list(HealthCheck),
    )
    seed(number)(as_test(machine, settings=profile))()


@contextmanager
def fresh_database() -> Iterator[Database]:
    with TemporaryDirectory(prefix="sonas-walk-") as folder:
        Path(folder).chmod(0o755)
        with start_server(Path(folder) / "cluster") as server:
            make_template(server)
            with copied_database(server) as database:
                yield database


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=None, help="the seed that a run has printed")
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--no-shrink", action="store_true")
    options = parser.parse_args()
    first = int.from_bytes(os.urandom(4)) if options.seed is None else options.seed
    sys.stdout.write(f"seed {first}\n")
    with fresh_database() as database:
        prepare(database)
        end = time.monotonic() + options.seconds
        walks = 0
        while time.monotonic() < end:
            sys.stdout.flush()
            try:
                walk(database, first + walks, examples=10, steps=options.steps, shrink=not options.no_shrink)
            except BaseException:
                sys.stdout.write(f"failed: --seed {first + walks}\n")
                raise
            walks += 1
        sys.stdout.write(f"{walks * 10} ways, nothing found; the same again: --seed {first}\n")


if __name__ == "__main__":
    main()
