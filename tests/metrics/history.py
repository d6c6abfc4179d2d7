"""A random history of a few dozen accounts over some months, made through the real functions with test clocks.

Which plan an account was on when is written down here too, from what was asked for: the oracle does not take the
database's word for it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg

from tests.support.database import Database
from tests.support.timed import Timed

PLANS = ("free", "starter", "builder")
MODELS = ("small", "large", "vision")


@dataclass
class Story:
    """One account: its clock, its plans, and what it may still do something with."""

    timed: Timed
    plans: list[tuple[datetime, str]]
    pending: tuple[datetime, str] | None = None
    spends: list[str] = field(default_factory=list)
    holds: list[str] = field(default_factory=list)

    @property
    def id(self) -> UUID:
        return self.timed.id

    def wait(self, seconds: float) -> None:
        self.timed.wait(seconds=seconds)
        if self.pending and self.pending[0] <= self.timed.now:
            self.plans.append(self.pending)
            self.pending = None

    def change_plan(self, plan: str, effective: str) -> None:
        answer = self.timed.call("change_plan", plan, effective=effective)
        self.pending = None
        if answer["pending_plan"]:
            self.pending = (datetime.fromisoformat(answer["pending_at"]), answer["pending_plan"])
        if answer["plan"] != self.plans[-1][1]:
            self.plans.append((self.timed.now, answer["plan"]))


def begin(database: Database, accounts: int) -> list[Story]:
    stories = []
    for _ in range(accounts):
        timed = Timed(database)
        stories.append(Story(timed, [(timed.now - timedelta(days=1), "free")]))
    return stories


def live(story: Story, steps: int, chance: random.Random) -> None:
    """Some actions, each at an instant of its own."""
    for _ in range(steps):
        story.wait(chance.choice([1, 60, 3700, 3700, 40_000, 90_000, 400_000]) * (0.5 + chance.random()))
        _act(story, chance)


def _act(story: Story, chance: random.Random) -> None:
    call = story.timed.call
    credit_type = chance.choice(["message", "message", "message", "integration"])
    amount = chance.randint(1, 12) if credit_type == "message" else chance.randint(1, 90)
    metadata: dict[str, Any] = (
        {"model": chance.choice(MODELS), "n": chance.randint(1, 3)} if chance.random() < 0.8 else {}
    )
    match chance.choices(
        ["consume", "project", "reserve", "capture", "release", "refund", "grant", "plan", "restart"],
        [60, 4, 8, 6, 2, 6, 5, 7, 1],
    )[0]:
        case "consume":
            answer = call("consume_credits", credit_type, amount, metadata=metadata)
            if answer["success"]:
                story.spends.append(answer["operation_id"])
            elif chance.random() < 0.2:
                story.wait(chance.choice([60, 50_000, 300_000]))
                story.change_plan(chance.choice(PLANS), "now")
        case "project":
            answer = call("consume_credits", "project", 1)
            if answer["success"]:
                story.spends.append(answer["operation_id"])
        case "reserve":
            answer = call("reserve_credits", credit_type, amount, metadata=metadata, ttl_seconds=86400)
            if answer["success"]:
                story.holds.append(answer["reservation_id"])
        case "capture" | "release" as how if story.holds:
            hold = story.holds.pop()
            try:
                answer = call(f"{how}_credits", hold)
            except psycopg.Error as error:
                assert "reservation_closed" in str(error)  # noqa: PT017
                return
            if how == "capture":
                story.spends.append(answer["operation_id"])
        case "refund" if story.spends:
            call("refund_credits", story.spends.pop(chance.randrange(len(story.spends))))
        case "grant":
            expires = story.timed.now + timedelta(days=chance.randint(1, 40)) if chance.random() < 0.5 else None
            source = chance.choice(["promotion", "top_up", "goodwill"])
            call("grant_credits", credit_type, amount * 3, source, expires_at=expires)
        case "plan":
            story.change_plan(chance.choice(PLANS), chance.choice(["now", "period_end"]))
        case "restart":
            call("reset_monthly_credits")


def become_real(database: Database, stories: list[Story]) -> None:
    """Takes the mark of a test account away, which no function does: only real accounts are rolled up."""
    for story in stories:
        # A pending plan whose time has come is written down, for the real clock is behind.
        story.timed.call("set_subscription_status", "active")
    ids = [story.id for story in stories]
    database.run("update credits.accounts set is_test = false, test_now = null where account_id = any(%s)", ids)
    database.run("update credits.balances set test_now = null where account_id = any(%s)", ids)


def resume(database: Database, stories: list[Story]) -> None:
    """Gives real accounts their clocks back without anything noticing."""
    with psycopg.connect(database.superuser_url) as connection:
        connection.execute("set session_replication_role = replica")
        for story in stories:
            for table, mark in (("accounts", "is_test = true, "), ("balances", "")):
                connection.execute(
                    f"update credits.{table} set {mark}test_now = %s where account_id = %s".encode(),
                    [story.timed.now, story.id],
                )
