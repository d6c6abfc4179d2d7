"""Random priced operations from several connections at once, against exact fractions.

`python -m tests.prices.properties 100000` runs that many on a Postgres of its own and says what it found.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from math import ceil
from pathlib import Path
from threading import Lock, Thread
from typing import Any
from uuid import UUID

import psycopg

from tests.support.database import Database, call, copied_database, make_template
from tests.support.server import start_server

NANO = 10**9
CONNECTIONS = 8
PLENTY = 10**12


@dataclass(frozen=True)
class Price:
    """A price as it was set: for each dimension the unit price, per how many, minimum and maximum."""

    nano: Decimal
    per: int
    minimum: int | None
    maximum: int | None

    def of(self, quantity: Decimal) -> Fraction:
        cost = Fraction(quantity) * Fraction(self.nano) / self.per
        if self.minimum is not None:
            cost = max(cost, Fraction(self.minimum))
        return cost if self.maximum is None else min(cost, Fraction(self.maximum))


@dataclass
class Sums:
    """What all connections together did, by account."""

    cost: dict[UUID, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    operations: int = 0
    lock: Lock = field(default_factory=Lock)

    def add(self, user: UUID, nano: int) -> None:
        with self.lock:
            self.cost[user] = self.cost.get(user, 0) + nano
            self.operations += 1


def nano(text: str) -> int:
    """A decimal number of credits in billionths; it has to be one exactly."""
    value = Fraction(text) * NANO
    assert value.denominator == 1, text
    return int(value)


def make_prices(database: Database, rng: random.Random) -> dict[str, dict[str, Price]]:
    book: dict[str, dict[str, Price]] = {}
    for nth in range(12):
        book[f"random:{nth}"] = {
            dimension: Price(
                Decimal(rng.randrange(10 ** rng.randrange(1, 10))).scaleb(-rng.randrange(6)),
                rng.choice([1, 1, 3, 7, 1000, 10**6]),
                rng.choice([None, None, rng.randrange(NANO)]),
                rng.choice([None, None, NANO + rng.randrange(NANO)]),
            )
            for dimension in ("call", "input", "output")
        }
        for dimension, price in book[f"random:{nth}"].items():
            database.call(
                "set_price", f"random:{nth}", dimension, price.nano, price.per,
                minimum_nano=price.minimum, maximum_nano=price.maximum,
            )  # fmt: skip
    return book


class Buyer:
    """One connection that spends, holds, captures and refunds, and compares each answer with fractions."""

    def __init__(self, database: Database, book: dict[str, dict[str, Price]], users: list[UUID], sums: Sums, seed: int):
        self.connection = database.connect()
        self.book = book
        self.users = users
        self.sums = sums
        self.rng = random.Random(seed)
        self.done: list[tuple[UUID, str, int]] = []

    def run(self, times: int) -> None:
        with self.connection:
            for _ in range(times):
                step: Callable[[UUID], None] = self.rng.choice([self.consume, self.consume, self.hold, self.refund])
                try:
                    step(self.rng.choice(self.users))
                except (psycopg.Error, AssertionError) as error:
                    self.sums.wrong.append(repr(error))
                    return

    def pick(self) -> tuple[str, dict[str, str], int]:
        """An operation, quantities, and what they cost in billionths, by fractions."""
        operation = self.rng.choice(list(self.book))
        dimensions = self.rng.sample(list(self.book[operation]), self.rng.randrange(1, 4))
        quantities = {
            name: Decimal(self.rng.randrange(10 ** self.rng.randrange(1, 5))).scaleb(-self.rng.choice([0, 0, 3]))
            for name in dimensions
        }
        cost = sum((self.book[operation][name].of(amount) for name, amount in quantities.items()), Fraction())
        return operation, {name: f"{amount:f}" for name, amount in quantities.items()}, ceil(cost)

    def check(self, user: UUID, answer: dict[str, Any], cost: int) -> None:
        assert answer["code"] == "ok", answer
        assert nano(answer["cost"]) == cost, (answer, cost)
        self.sums.add(user, cost)
        self.done.append((user, answer["operation_id"], cost))

    def consume(self, user: UUID) -> None:
        operation, quantities, cost = self.pick()
        self.check(user, call(self.connection, "consume_operation", user, operation, quantities), cost)

    def hold(self, user: UUID) -> None:
        operation, quantities, cost = self.pick()
        hold = call(self.connection, "reserve_operation", user, operation, quantities)
        assert hold["amount"] == max(1, -(-cost // NANO))
        fewer = {name: self.rng.choice([amount, "0", "1"]) for name, amount in quantities.items()}
        cost = ceil(sum((self.book[operation][name].of(Decimal(amount)) for name, amount in fewer.items()), Fraction()))
        self.check(user, call(self.connection, "capture_operation", user, hold["reservation_id"], fewer), cost)

    def refund(self, _: UUID) -> None:
        if self.done:
            user, operation, cost = self.done.pop(self.rng.randrange(len(self.done)))
            if cost:
                answer = call(self.connection, "refund_credits", user, operation)
                assert nano(answer["cost"]) == cost
                self.sums.add(user, -cost)


def run(database: Database, times: int, seed: int) -> Sums:
    """Spends `times` operations from eight connections on three accounts; what is wrong is in the answer."""
    rng = random.Random(seed)
    book = make_prices(database, rng)
    users = [database.new_user() for _ in range(3)]
    for user in users:
        database.call("grant_credits", user, "integration", PLENTY)
    sums = Sums()
    buyers = [Buyer(database, book, users, sums, rng.randrange(2**32)) for _ in range(CONNECTIONS)]
    threads = [Thread(target=buyer.run, args=(times // CONNECTIONS,)) for buyer in buyers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for user in users:
        difference = sums.cost.get(user, 0) - taken(database, user)
        if difference:
            sums.wrong.append(f"{user}: {difference} billionths")
    database.verify()
    return sums


def taken(database: Database, user: UUID) -> int:
    """What an account has paid, in billionths: the credits that left its ledger, less the remainder."""
    [(left, prepaid)] = database.query(
        "select balance, prepaid_nano from credits.balances where account_id = %s and credit_type = 'integration'",
        user,
    )
    granted = database.value(
        "select sum(amount) from credit_transactions where account_id = %s and credit_type = 'integration' "
        "and kind not in ('consume', 'capture', 'refund')",
        user,
    )
    return int(granted - left) * NANO - int(prepaid)


def main(times: int, seed: int) -> int:
    with tempfile.TemporaryDirectory(prefix="sonas-prices-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with start_server(folder / "cluster") as server:
            make_template(server)
            with copied_database(server) as database:
                sums = run(database, times, seed)
    found = "\n".join(sums.wrong) or "difference 0, the books are in order"
    sys.stdout.write(f"{sums.operations} operations and refunds (seed {seed}): {found}\n")
    return 1 if sums.wrong else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000, random.randrange(2**32)))
