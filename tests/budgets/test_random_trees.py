"""Random trees of budgets, random spends, holds, refunds and hours that pass: what a plain model says, to the credit.

`SONAS_BUDGET_TREES=500` tries that many.
"""

from __future__ import annotations

import os
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.budgets.model import Held, Model, Rule, Spent
from tests.support.database import Database
from tests.support.teams import Team, new_team

TREES = int(os.environ.get("SONAS_BUDGET_TREES", "25"))
WINDOWS = ("draw", "rolling", "day", "week", "month", "period", "in_flight")
AGENTS = ("bob", "eve")


class Walk:
    """One tree, and what happens under it, in the database and in the model."""

    def __init__(self, database: Database, seed: int) -> None:
        self.random = random.Random(seed)
        self.team: Team = new_team(database, 10_000)
        self.database = database
        self.team.call("mark_test_account", self.team.owner)
        self.now = datetime(2027, 1, 1, tzinfo=UTC) + timedelta(hours=self.random.randrange(24 * 40))
        self.clock()
        # The period that runs now began in the past of the test's clock.
        self.people = {"owner": self.team.owner, "admin": self.team.admin, "member": self.team.member}
        self.model = Model({name: name for name in self.people}, self.period_start())
        self.open: dict[str, Held] = {}
        self.operations: list[tuple[str, Spent]] = []

    def period_start(self) -> datetime:
        return datetime.fromisoformat(str(self.database.balance(self.team.workspace)["period_start"])).astimezone(UTC)

    def clock(self) -> None:
        self.team.call("set_test_clock", self.team.owner, now=self.now)

    def set_rule(self) -> None:
        pick = self.random.choice
        scope = pick(("workspace", "role", "member", "member", "metadata"))
        value = {
            "workspace": None,
            "role": pick(("owner", "admin", "member")),
            "member": pick([None, *self.people]),
            "metadata": f"actor={pick(AGENTS)}",
        }[scope]
        window = pick(WINDOWS)
        hours = self.random.choice((1, 3, 30)) if window == "rolling" else None
        rule = Rule(scope, value, window, hours, self.random.randrange(0, 40))
        known = str(self.people[value]) if scope == "member" and value else value
        self.team.call(
            "set_credit_budget", self.team.owner, credit_type="message", limit=rule.limit, window=window,
            scope=scope, scope_value=known, hours=hours,
        )  # fmt: skip
        same = [r for r in self.model.rules if (r.scope, r.value, r.window, r.hours) == (scope, value, window, hours)]
        self.model.rules = [r for r in self.model.rules if r not in same] + [rule]

    def draw(self) -> tuple[str, dict[str, str], int]:
        metadata = {"actor": self.random.choice(AGENTS)} if self.random.random() < 0.6 else {}
        return self.random.choice([*self.people]), metadata, self.random.randrange(1, 12)

    def check(self, answer: dict[str, Any], refusing: list[Rule], user: str) -> bool:
        assert answer["success"] is (not refusing), (answer, refusing)
        if refusing:
            budget = answer["details"]["budget"]
            assert answer["code"] == "member_cap_reached"
            assert (budget["window"], budget["hours"], budget["limit"], budget["used"]) in {
                (rule.window, rule.hours, rule.limit, self.model.used(rule, self.now, user)) for rule in refusing
            }
        return not refusing

    def spend(self) -> None:
        user, metadata, amount = self.draw()
        answer = self.team.spend(self.people[user], amount, metadata=metadata)
        if self.check(answer, self.model.refusing(self.now, user, metadata, amount, hold=False), user):
            self.model.spent.append(Spent(self.now, user, metadata, amount))
            self.operations.append((answer["operation_id"], self.model.spent[-1]))

    def batch(self) -> None:
        user, metadata, first = self.draw()
        items = [(metadata, first), ({}, self.random.randrange(1, 8))]
        before, refusing = len(self.model.spent), []
        for each, amount in items:
            refusing = self.model.refusing(self.now, user, each, amount, hold=False)
            if refusing:
                break
            self.model.spent.append(Spent(self.now, user, each, amount))
        answer = self.team.call(
            "consume_credits_batch", self.people[user],
            items=[{"credit_type": "message", "amount": a, "metadata": m} for m, a in items],
        )  # fmt: skip
        self.check(answer, refusing, user)
        if refusing:
            del self.model.spent[before:]
        else:
            ids = [item["operation_id"] for item in answer["items"]]
            self.operations += list(zip(ids, self.model.spent[before:], strict=True))

    def hold(self) -> None:
        user, metadata, amount = self.draw()
        seconds = self.random.choice((60, 7200, 86400))
        answer = self.team.call(
            "reserve_credits", self.people[user], credit_type="message", amount=amount, ttl_seconds=seconds,
            metadata=metadata,
        )  # fmt: skip
        if self.check(answer, self.model.refusing(self.now, user, metadata, amount, hold=True), user):
            held = Held(self.now + timedelta(seconds=seconds), user, metadata, amount)
            self.model.held.append(held)
            self.open[answer["reservation_id"]] = held

    def close(self) -> None:
        live = [key for key, held in self.open.items() if held.until > self.now and held.amount]
        if not live:
            return
        reservation = self.random.choice(live)
        held = self.open[reservation]
        if self.random.random() < 0.3:
            self.team.call("release_credits", self.people[held.user], reservation_id=reservation)
            held.amount = 0
            return
        final = self.random.random() < 0.7
        amount = self.random.randrange(1, held.amount + (8 if final else 1))
        answer = self.team.call(
            "capture_credits", self.people[held.user], reservation_id=reservation, amount=amount, final=final
        )
        captured = min(amount, held.amount) + self.extra(held, amount - held.amount)
        assert answer["captured"] == captured
        self.model.spent.append(Spent(self.now, held.user, held.metadata, captured))
        self.operations.append((answer["operation_id"], self.model.spent[-1]))
        held.amount = 0 if final else held.amount - captured

    def extra(self, held: Held, wanted: int) -> int:
        """What a capture may take above its hold."""
        room = [
            rule.limit - (held.amount if rule.window == "draw" else self.model.used(rule, self.now, held.user))
            for rule in self.model.rules
            if rule.window != "in_flight" and self.model.applies(rule, held.user, held.metadata, held.user)
        ]
        return max(0, min([wanted, *room]))

    def refund(self) -> None:
        left = [(operation, s) for operation, s in self.operations if s.amount > s.refunded]
        if left:
            operation, spent = self.random.choice(left)
            amount = self.random.randrange(1, spent.amount - spent.refunded + 1)
            self.team.call("refund_credits", self.people[spent.user], operation_id=operation, amount=amount)
            spent.refunded += amount

    def move(self) -> None:
        """Somebody has another role from now on."""
        user = self.random.choice(("admin", "member"))
        role = self.random.choice(("owner", "admin", "member"))
        self.team.call("set_workspace_role", self.team.owner, member_id=self.people[user], role=role)
        self.model.roles[user] = role

    def wait(self) -> None:
        self.now += self.random.choice(
            (timedelta(minutes=1), timedelta(hours=1), timedelta(hours=5), timedelta(hours=26), timedelta(days=9))
        )
        self.clock()
        start = self.period_start()
        if start > self.now:
            raise AssertionError(start)
        self.model.period_start = start

    def compare(self) -> None:
        listed = self.team.call("list_credit_budgets", self.team.owner)["budgets"]
        found = {
            (b["scope"], b["scope_value"], b["window"], b["hours"]): (b["limit"], b["used"], b["members"])
            for b in listed
        }
        assert len(found) == len(self.model.rules)
        for rule in self.model.rules:
            value = str(self.people[rule.value]) if rule.scope == "member" and rule.value else rule.value
            limit, used, members = found[rule.scope, value, rule.window, rule.hours]
            assert (limit, used) == (rule.limit, self.model.used(rule, self.now, "owner")), rule
            for name, user in self.people.items():
                if members:
                    assert {m["user_id"]: m["used"] for m in members}[str(user)] == self.model.used(
                        rule, self.now, name
                    )

    def run(self, steps: int) -> None:
        for _ in range(self.random.randrange(1, 6)):
            self.set_rule()
        kinds = [self.spend] * 6 + [self.batch, self.hold, self.hold, self.close, self.close, self.refund]
        kinds += [self.wait, self.wait, self.set_rule, self.move, self.compare]
        for _ in range(steps):
            self.random.choice(kinds)()
        self.compare()
        self.database.verify(self.team.workspace)


@pytest.mark.parametrize("part", range(5))
def test_a_tree_does_what_the_model_says(database: Database, part: int) -> None:
    for seed in range(part, TREES, 5):
        try:
            Walk(database, seed).run(25)
        except BaseException as error:
            error.add_note(f"the tree of seed {seed}")
            raise
