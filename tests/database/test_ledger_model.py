"""Any sequence of operations leaves the balances that a plain model works out, and books that agree.

`SONAS_PROFILE=long` runs fifty times as many sequences, `SONAS_PROFILE=quick` does not shrink; a failure prints the
sequence and the seed, which `--hypothesis-seed` takes.
"""

from __future__ import annotations

import os
import sys
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule
from hypothesis.stateful import run_state_machine_as_test as run

from tests.support.database import Database, copied_database
from tests.support.model import Account, Grant, Hold, Plan, Spend
from tests.support.server import Server

PLANS = {
    "free": Plan(False, {"message": 10, "integration": 100, "project": 3}, rollover_cap=4),
    "starter": Plan(True, {"message": 100, "integration": 2000, "project": None}, rollover_cap=30),
    "builder": Plan(True, {"message": 250, "integration": 10000, "project": None}),
    "pro": Plan(True, {"message": 500, "integration": 20000, "project": None}, rollover_cap=1000),
    "elite": Plan(True, {"message": 1200, "integration": 50000, "project": None}),
}

PROFILES = {
    # The same walks each time; the longer forms walk on.
    "ci": settings(max_examples=25, stateful_step_count=40, derandomize=True),
    "quick": settings(max_examples=25, stateful_step_count=40, phases=[Phase.generate]),
    "long": settings(max_examples=1200, stateful_step_count=80),
}
PROFILE = settings(
    PROFILES[os.environ.get("SONAS_PROFILE", "ci")],
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)

TYPES = st.sampled_from(["message", "message", "message", "integration", "project"])
AMOUNTS = st.one_of(st.integers(1, 12), st.integers(1, 600))
STEPS = st.one_of(
    st.sampled_from([timedelta(0), timedelta(microseconds=1), timedelta(seconds=61), timedelta(hours=23)]),
    st.timedeltas(timedelta(0), timedelta(hours=30)),
    st.timedeltas(timedelta(0), timedelta(days=45)),
    st.timedeltas(timedelta(0), timedelta(days=200)),
)


class Ledger(RuleBasedStateMachine):
    """Each rule does the same to the database and to the model, and compares the answers."""

    database: Database

    holds: Bundle[Hold] = Bundle("holds")
    spends: Bundle[Spend] = Bundle("spends")
    grants: Bundle[Grant] = Bundle("grants")

    @initialize()
    def sign_up(self) -> None:
        self.user = self.database.new_user()
        self.database.call("mark_test_account", self.user)
        anchor, now = self.database.query(
            "select s.anchor_at, date_trunc('second', clock_timestamp()) + interval '1 second' "
            "from public.subscriptions s where s.account_id = %s",
            self.user,
        )[0]
        self.call("set_test_clock", now)
        self.model = Account(PLANS, now, anchor, ("message", "integration", "project"))
        self.reservations: dict[Hold, str] = {}
        self.operations: dict[Spend, str] = {}

    def call(self, function: str, *positional: Any, **named: Any) -> dict[str, Any]:
        return dict(self.database.call(function, self.user, *positional, **named))

    def refused(self, function: str, *positional: Any) -> str:
        try:
            self.call(function, *positional)
        except psycopg.Error as error:
            return str(error.diag.message_primary)
        raise AssertionError(f"{function}{positional} was not refused")

    # Time.

    @rule(step=STEPS)
    def wait(self, step: timedelta) -> None:
        now = self.model.now + step
        self.call("set_test_clock", now)
        self.model.set_clock(now)

    @rule(before=st.sampled_from([timedelta(0), timedelta(microseconds=1)]))
    def wait_for_the_end_of_the_period(self, before: timedelta) -> None:
        end = self.model.balances["message"].end
        assert end is not None
        self.wait(max(end - before, self.model.now) - self.model.now)

    @rule()
    def run_the_job(self) -> None:
        assert self.database.call("reset_monthly_credits")["success"] is True

    # Spending.

    @rule(target=spends, credit_type=TYPES, amount=AMOUNTS)
    def consume(self, credit_type: str, amount: int) -> Any:
        possible = self.model.can_have(credit_type, amount)
        answer = self.call("consume_credits", credit_type, amount)
        assert answer["success"] is possible
        if not possible:
            assert answer["details"]["available"] == self.model.remaining(credit_type)
            return multiple()
        spend = self.model.consume(credit_type, amount)
        self.operations[spend] = answer["operation_id"]
        return spend

    @rule(target=spends, messages=st.integers(1, 8), integrations=st.integers(1, 80), reverse=st.booleans())
    def consume_batch(self, messages: int, integrations: int, reverse: bool) -> Any:
        items = [("message", messages), ("integration", integrations)]
        items = items[::-1] if reverse else items
        possible = all(self.model.can_have(*item) for item in items)
        answer = self.call("consume_credits_batch", [{"credit_type": t, "amount": n} for t, n in items])
        assert answer["success"] is possible
        if not possible:
            return multiple()
        spends = [self.model.consume(*item) for item in items]
        self.operations |= {spend: part["operation_id"] for spend, part in zip(spends, answer["items"], strict=True)}
        return multiple(*spends)

    # Holding.

    @rule(target=holds, credit_type=TYPES, amount=AMOUNTS, ttl=st.sampled_from([1, 60, 900, 86400]))
    def reserve(self, credit_type: str, amount: int, ttl: int) -> Any:
        possible = self.model.can_have(credit_type, amount)
        answer = self.call("reserve_credits", credit_type, amount, ttl_seconds=ttl)
        assert answer["success"] is possible
        if not possible:
            return multiple()
        hold = self.model.reserve(credit_type, amount, ttl)
        assert datetime.fromisoformat(answer["expires_at"]) == hold.expires
        self.reservations[hold] = answer["reservation_id"]
        self.operations[hold] = answer["operation_id"]  # type: ignore[index]
        return hold

    @rule(target=spends, hold=holds, share=st.sampled_from([0.1, 0.5, 1, 1, 1.5, 20]))
    def capture(self, hold: Hold, share: float) -> Any:
        wanted = max(1, int(hold.amount * share))
        if hold.status in ("released", "expired"):
            assert self.refused("capture_credits", self.reservations[hold], wanted) == "reservation_closed"
            return multiple()
        if hold.status == "captured":
            return multiple()
        answer = self.call("capture_credits", self.reservations[hold], wanted)
        spend, shortfall = self.model.capture(hold, wanted)
        assert (answer["captured"], answer["shortfall"]) == (sum(n for _, n in spend.rows), shortfall)
        self.operations[spend] = answer["operation_id"]
        again = self.call("capture_credits", self.reservations[hold], wanted)
        assert again == answer | {"replayed": True}
        return spend

    @rule(hold=holds)
    def release(self, hold: Hold) -> None:
        if hold.status == "open":
            assert self.call("release_credits", self.reservations[hold])["released"] == hold.amount
            self.model.release(hold)
        else:
            assert self.refused("release_credits", self.reservations[hold]) == "reservation_closed"

    # Giving and taking back.

    @rule(spend=spends, share=st.sampled_from([0.3, 1, 1]))
    def refund(self, spend: Spend, share: float) -> None:
        amount = max(1, int(spend.left * share))
        if spend.left:
            assert self.call("refund_credits", self.operations[spend], amount)["amount"] == amount
            self.model.refund(spend, amount)
        assert self.refused("refund_credits", self.operations[spend], spend.left + 1) == "invalid_amount"

    @rule(
        target=grants,
        credit_type=TYPES,
        amount=AMOUNTS,
        source=st.sampled_from(["promotion", "top_up", "goodwill"]),
        days=st.one_of(st.none(), st.floats(0.001, 60)),
    )
    def grant(self, credit_type: str, amount: int, source: str, days: float | None) -> Grant:
        expires = self.model.now + timedelta(days=days) if days and credit_type != "project" else None
        answer = self.call("grant_credits", credit_type, amount, source, expires_at=expires)
        return self.model.grant(credit_type, amount, source, expires, UUID(answer["grant_id"]))

    @rule(grant=grants)
    def revoke(self, grant: Grant) -> None:
        answer = self.call("revoke_grant", str(grant.id))
        assert answer["replayed"] is grant.voided
        if not grant.voided:
            assert answer["amount"] == grant.free
            self.model.revoke(grant)

    @rule()
    def reset(self) -> None:
        self.call("reset_monthly_credits")
        self.model.reset()

    # Plans.

    @rule(plan=st.sampled_from([*PLANS]), effective=st.sampled_from(["now", "now", "period_end"]))
    def change_plan(self, plan: str, effective: str) -> None:
        self.model.change_plan(plan, effective)
        answer = self.call("change_plan", plan, effective)
        assert answer["plan"] == self.model.plan
        assert answer["pending_plan"] == (self.model.pending[0] if self.model.pending else None)

    @rule(status=st.sampled_from(["past_due", "active"]))
    def set_status(self, status: str) -> None:
        self.call("set_subscription_status", status)
        self.model.set_status(status)

    # What always holds.

    @invariant()
    def the_balances_are_those_of_the_model(self) -> None:
        seen = {
            credit_type: rest
            for credit_type, *rest in self.database.query(
                "select credit_type, remaining, reserved, used, allowance, period_start, period_end "
                "from public.credit_balances where account_id = %s",
                self.user,
            )
        }
        expected = {
            name: [
                self.model.remaining(name),
                balance.reserved,
                balance.used,
                self.model.allowance(balance),
                balance.start,
                balance.end,
            ]
            for name, balance in self.model.balances.items()
        }
        assert seen == expected

    def teardown(self) -> None:
        # After a failure its own message is the one to read.
        if sys.exc_info()[0] is not None:
            return
        self.database.verify(self.user)
        # Booked at last, each grant is what the model says, too. The job leaves limits to their next operation.
        self.database.call("reset_monthly_credits")
        self.database.run("select credits.lock_account(%s)", self.user)
        self.the_balances_are_those_of_the_model()
        seen = self.database.query(
            "select credit_type, source, sum(remaining)::bigint, sum(held)::bigint, sum(spent)::bigint "
            "from public.credit_grants where account_id = %s and not (source = 'plan' and credit_type = 'project') "
            "group by credit_type, source order by 1, 2",
            self.user,
        )
        totals: dict[tuple[str, str], list[int]] = {}
        for name, balance in self.model.balances.items():
            for grant in balance.grants:
                if not (grant.source == "plan" and balance.is_limit):
                    total = totals.setdefault((name, grant.source), [0, 0, 0])
                    for nth, part in enumerate((grant.remaining, grant.held, grant.spent)):
                        total[nth] += part
        # What came and went while nobody looked is never booked, and holds nothing.
        booked = {(name, source): rest for name, source, *rest in seen}
        assert {key: rest for key, rest in booked.items() if any(rest)} == {
            key: rest for key, rest in totals.items() if any(rest)
        }
        self.database.verify(self.user)


def test_any_sequence_of_operations_leaves_what_the_model_says(server: Server) -> None:
    with copied_database(server) as database:
        for name, plan in PLANS.items():
            database.run(
                "update public.plan_limits set rollover_cap = %s where plan_id = %s and credit_type <> 'project'",
                plan.rollover_cap,
                name,
            )
        Ledger.database = database
        run(Ledger, settings=PROFILE)
