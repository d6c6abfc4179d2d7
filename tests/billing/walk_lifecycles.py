"""Random lives of customers, in the database and in a plain model: what is left, owed and covered must be the same.

Each step brings a few events, which the database is told in any order, some of them twice, and then a spend.
`python -m tests.billing.walk_lifecycles 10000 [seed [first]]` walks as many lives as it is told, from the first one on.
"""

from __future__ import annotations

import sys
from calendar import monthrange
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from math import ceil
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from tests.billing.shop import Buyer, Told, open_shop, utc
from tests.support.database import Database, copied_database, make_template
from tests.support.server import start_server

PLANS = {"free": 10, "starter": 100, "pro": 500, "elite": 1200}
PRICES = {"starter": "price_st", "pro": "price_pro", "elite": "price_el"}
GRACE = timedelta(days=3)
HOUR = timedelta(hours=1)


def month_after(anchor: datetime, n: int) -> datetime:
    """The n-th month after an anchor; a short month ends it early."""
    months = anchor.month - 1 + n
    year, month = anchor.year + months // 12, months % 12 + 1
    return anchor.replace(year=year, month=month, day=min(anchor.day, monthrange(year, month)[1]))


@dataclass
class Lot:
    """Credits that were bought, or came back: in the order in which they are spent."""

    left: int
    expires: datetime
    begun: datetime
    pack: Pack | None = None


@dataclass
class Pack:
    name: str
    paid_at: datetime
    lot: Lot | None = None
    refunds: dict[str, int] = field(default_factory=dict)
    voided: int = 0
    debt: int = 0
    paid: int = 0
    payers: list[tuple[Lot, int]] = field(default_factory=list)
    disputed: bool = False
    lost: bool = False

    @property
    def target(self) -> int:
        share = Fraction(sum(self.refunds.values()) + (600 if self.lost else 0), 600)
        return min(500, ceil(500 * share))


class Model:
    """What an account has, by the rules as they are written."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.anchor, self.n = now, 0
        self.plan, self.status = "free", "active"
        self.left = self.peak = self.granted = 10
        self.covered: datetime | None = None
        self.owing: datetime | None = None
        self.ends_at_boundary = False
        self.lots: list[Lot] = []
        self.owed: list[Pack] = []

    @property
    def start(self) -> datetime:
        return month_after(self.anchor, self.n)

    @property
    def end(self) -> datetime:
        return month_after(self.anchor, self.n + 1)

    @property
    def frozen(self) -> bool:
        return self.owing is not None and self.owing + GRACE <= self.now

    @property
    def bought(self) -> int:
        return sum(lot.left for lot in self.lots if not (lot.pack and lot.pack.disputed))

    @property
    def available(self) -> int:
        return (0 if self.frozen else self.left) + self.bought

    @property
    def debt(self) -> int:
        return sum(pack.debt - pack.paid for pack in self.owed)

    def pass_to(self, now: datetime) -> None:
        """Time alone: a period ends, and the next one begins with what the status gives."""
        while self.end <= now:
            boundary = self.end
            self.n += 1
            if self.ends_at_boundary or self.status == "canceled":
                self.leave()
            earns = self.plan == "free" or (self.owing is None and (self.covered or boundary) >= boundary)
            self.left = self.peak = self.granted = PLANS[self.plan] if earns else 0
        self.now = now

    def leave(self) -> None:
        self.plan, self.status, self.ends_at_boundary = "free", "active", False
        self.covered = self.owing = None

    def subscribe(self, plan: str) -> None:
        self.anchor, self.n = self.now, 0
        self.plan, self.status, self.ends_at_boundary, self.owing = plan, "active", False, None
        self.left = self.peak = self.granted = PLANS[plan]
        self.covered = self.end

    def change(self, plan: str) -> None:
        more = PLANS[plan] - self.peak
        if more > 0:
            share = Fraction((self.end - self.now) // timedelta(microseconds=1), _micros(self))
            self.left += ceil(more * share)
            self.granted += ceil(more * share)
            self.peak = PLANS[plan]
        self.plan = plan

    def cancel_now(self) -> None:
        if self.owing is None and self.covered and self.covered >= self.end:
            self.status = "canceled"
            return
        # What was not paid for gives way to the free plan's allowance, less what was spent in the period.
        spent = self.granted - self.left
        self.leave()
        self.left, self.peak, self.granted = max(0, 10 - spent), 10, 10

    def spend(self, amount: int) -> None:
        if not self.frozen:
            taken = min(self.left, amount)
            self.left -= taken
            amount -= taken
        for lot in sorted(self.lots, key=lambda lot: (lot.expires, lot.begun)):
            if not (lot.pack and lot.pack.disputed):
                taken = min(lot.left, amount)
                lot.left -= taken
                amount -= taken

    def buy(self, pack: Pack) -> None:
        pack.lot = Lot(500, pack.paid_at.replace(year=pack.paid_at.year + 1), self.now, pack)
        self.lots.append(pack.lot)
        self.pay_debts(pack.lot)

    def pay_debts(self, lot: Lot) -> None:
        for pack in self.owed:
            part = min(pack.debt - pack.paid, lot.left)
            if part:
                lot.left -= part
                pack.paid += part
                pack.payers.append((lot, part))

    def settle(self, pack: Pack, before: int) -> None:
        """Refunds or disputes of a pack have changed: void what is left, the rest is owed."""
        assert pack.lot
        target = pack.target
        voided = pack.voided
        if target > before:
            voided += min(pack.lot.left, max(0, target - pack.voided))
        voided = min(voided, target)
        pack.lot.left -= voided - pack.voided
        pack.voided = voided
        debt = target - voided
        if pack not in self.owed and debt:
            self.owed.append(pack)
        if pack.paid > debt:
            self.come_back(pack, pack.paid - debt)
        pack.debt = debt

    def come_back(self, pack: Pack, amount: int) -> None:
        while amount:
            lot, part = pack.payers.pop()
            back = min(part, amount)
            if part > back:
                pack.payers.append((lot, part - back))
            amount -= back
            pack.paid -= back
            pack.debt = pack.paid
            returned = Lot(back, lot.expires, self.now)
            self.lots.append(returned)
            self.pay_debts(returned)


def _micros(model: Model) -> int:
    return (model.end - model.start) // timedelta(microseconds=1)


class Life:
    """One account, told by events and lived in the model."""

    def __init__(self, database: Database, random: Random) -> None:
        self.random = random
        self.buyer = Buyer(database, start=utc(2, 20))
        opened = datetime.fromisoformat(self.buyer.balance()["period_start"])
        self.model = Model(utc(2, 20))
        self.model.anchor = opened
        while self.model.end <= self.model.now:
            self.model.n += 1
        self.packs: list[Pack] = []
        self.sub = 0
        self.invoices = 0

    @property
    def name(self) -> str:
        return f"sub_{self.sub}"

    def run(self, steps: int) -> None:
        for _ in range(steps):
            self.step()
        self.buyer.verify()

    def step(self) -> None:
        told: list[Told] = []
        day = timedelta(days=self.random.randint(1, 9), hours=self.random.randint(1, 20))
        model = self.model
        # A renewal is told of at its time, whether it was paid or not, and nothing else happens to it before.
        renews = model.plan != "free" and model.status == "active" and not model.ends_at_boundary and not model.owing
        if renews and model.end <= model.now + day:
            model.pass_to(model.end + HOUR)
            told += self.renew()
        else:
            model.pass_to(model.now + day)
            told += self.random.choice([self.subscription, self.pack])()
        told += [one for one in told if self.random.random() < 0.3]
        self.random.shuffle(told)
        self.buyer.at(model.now)
        self.buyer.tell(*told)
        self.compare()
        amount = self.random.randint(0, min(model.available, 300))
        if amount:
            model.spend(amount)
            assert self.buyer.call("consume_credits", "message", amount)["success"]
        self.compare()

    def compare(self) -> None:
        model, buyer = self.model, self.buyer
        plan = "free" if model.plan == "free" else model.plan
        assert (buyer.left, buyer.debt) == (model.available, model.debt), vars(model)
        assert buyer.plan[0] == plan, (buyer.plan, vars(model))
        if model.plan != "free" and model.status == "active":
            assert buyer.covered == model.covered

    def invoice(self, *lines: tuple[Any, ...], **more: Any) -> Told:
        self.invoices += 1
        return self.buyer.invoice(self.model.now, f"in_{self.invoices}", *lines, sub=self.name, **more)

    def seen(self, status: str = "active", plan: str | None = None, **more: Any) -> Told:
        model = self.model
        start, end = model.start, model.end
        return self.buyer.seen(
            model.now,
            status,
            PRICES[plan or model.plan],
            sub=self.name,
            start=start,
            end=end,
            anchor=model.anchor,
            **more,
        )

    def renew(self) -> list[Told]:
        model = self.model
        if self.random.random() < 0.6:
            model.covered = model.end
            if model.granted == 0:
                # The period before was paid by no one, so nothing was given before this payment.
                model.left = model.peak = model.granted = PLANS[model.plan]
            return [self.seen(), self.invoice((PRICES[model.plan], 2000, model.start, model.end))]
        model.owing = model.now
        self.invoices += 1
        failed = self.buyer.failed(model.now, f"in_{self.invoices}", sub=self.name)
        return [failed, self.seen("past_due")]

    def subscription(self) -> list[Told]:
        model = self.model
        if model.plan == "free":
            self.sub += 1
            model.subscribe(self.random.choice(["starter", "pro"]))
            return [
                self.seen("incomplete"),
                self.seen(),
                self.invoice((PRICES[model.plan], 2000, model.start, model.end)),
            ]
        if model.status == "canceled":
            return []
        if model.owing:
            return self.random.choice([self.recover, self.cancel_now])()
        return self.random.choice([self.change, self.change, self.cancel_later, self.cancel_now])()

    def recover(self) -> list[Told]:
        model = self.model
        if model.owing is None or model.owing < model.start:
            return []
        model.owing, model.covered = None, model.end
        return [self.seen(), self.invoice((PRICES[model.plan], 2000, model.start, model.end))]

    def change(self) -> list[Told]:
        model = self.model
        plan = self.random.choice([plan for plan in PRICES if plan != model.plan])
        model.change(plan)
        model.ends_at_boundary = False
        line = (PRICES[plan], 50, model.now, model.end, True)
        return [self.seen(), self.invoice(line, proration_at=model.now)]

    def cancel_later(self) -> list[Told]:
        self.model.ends_at_boundary = not self.model.ends_at_boundary
        return [self.seen(cancel_at_period_end=self.model.ends_at_boundary)]

    def cancel_now(self) -> list[Told]:
        told = self.seen("canceled", ended_at=self.model.now)
        self.model.cancel_now()
        return [told]

    def pack(self) -> list[Told]:
        if not self.packs or self.random.random() < 0.4:
            name = str(len(self.packs))
            pack = Pack(name, self.model.now)
            self.buyer.order(session=f"cs_{name}")
            self.packs.append(pack)
            self.model.buy(pack)
            told = [self.buyer.session(pack.paid_at, f"cs_{name}", payment_intent=self.buyer.own(f"pi_{name}"))]
            return told + (self.refund(pack) if self.random.random() < 0.3 else [])
        pack = self.random.choice(self.packs)
        return self.random.choice([self.refund, self.refund, self.dispute])(pack)

    def refund(self, pack: Pack) -> list[Told]:
        model, before, told = self.model, pack.target, []
        payment: dict[str, Any] = {"payment_intent": self.buyer.own(f"pi_{pack.name}")}
        if pack.refunds and self.random.random() < 0.4:
            name = self.random.choice(list(pack.refunds))
            told.append(self.buyer.refund(model.now, name, pack.refunds.pop(name), "failed", **payment))
        else:
            room = 600 - sum(pack.refunds.values())
            amount = self.random.choice([60, 101, 240, room])
            if not 0 < amount <= room or pack.lost:
                return []
            name = f"re_{pack.name}_{model.now:%m%d%H}"
            pack.refunds[name] = amount
            told.append(self.buyer.refund(model.now, name, amount, **payment))
        model.settle(pack, before)
        return told

    def dispute(self, pack: Pack) -> list[Told]:
        before = pack.target
        name = self.buyer.own(f"dp_{pack.name}")
        named: dict[str, Any] = {"payment_intent": self.buyer.own(f"pi_{pack.name}"), "dispute_id": name}
        if pack.lost or pack.refunds or getattr(pack, "decided", False):
            return []
        if not pack.disputed:
            pack.disputed = True
            return [self.buyer.dispute(self.model.now, "needs_response", **named)]
        pack.disputed, pack.lost = False, self.random.random() < 0.5
        pack.decided = True  # type: ignore[attr-defined]
        self.model.settle(pack, before)
        return [self.buyer.dispute(self.model.now, "lost" if pack.lost else "won", **named)]


def walk(database: Database, lives: int, seed: int, first: int = 0, steps: int | None = None) -> None:
    """Lives of so many steps; else most are short, a few have 40."""
    open_shop(database)
    for n in range(first, first + lives):
        random = Random(f"{seed}:{n}")
        try:
            Life(database, random).run(steps or 5 + int(36 * random.random() ** 4))
        except BaseException as error:
            error.add_note(f"life {n} of seed {seed}")
            raise
        if n % 100 == 99:
            sys.stderr.write(f"\r{n + 1 - first} of {lives}")


def main(arguments: list[str]) -> int:
    lives, seed, first = (int(given) for given in (*arguments, *("1", "0")[len(arguments) - 1 :]))
    with TemporaryDirectory(prefix="sonas-walk-") as folder:
        Path(folder).chmod(0o755)
        with start_server(Path(folder) / "cluster") as server:
            make_template(server)
            with copied_database(server) as database:
                walk(database, lives, seed, first)
    sys.stdout.write(f"\n{lives} lives were the same in the database and in the model\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
