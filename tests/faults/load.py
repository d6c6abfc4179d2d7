"""A random load over many accounts and one hot one, from clients that behave as real ones do.

A client that loses its connection does not know what became of its operation. It connects again and sends it again
under the same key; an operation without a key it leaves alone.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg

from tests.faults.journal import Journal, Operation
from tests.faults.lines import Line, Lost, PostgresLine, Refused

Connect = Callable[[], psycopg.Connection[Any]]
TYPES = ("message", "integration", "project")
PLANS = ("free", "starter", "builder")
WEIGHTS = {
    "consume_credits": 40,
    "reserve_credits": 15,
    "capture_credits": 14,
    "release_credits": 5,
    "refund_credits": 8,
    "grant_credits": 6,
    "consume_credits_batch": 4,
    "change_plan": 3,
    "reset_monthly_credits": 3,
    "set_test_clock": 2,
}


class Client(threading.Thread):
    """One client: a connection and a stream of random operations, until it is told to stop."""

    def __init__(
        self,
        line: Line,
        journal: Journal,
        accounts: list[UUID],
        stop: threading.Event,
        *,
        seed: str,
        patience: float = 30,
    ) -> None:
        super().__init__(daemon=True)
        self._line = line
        self._journal = journal
        self._accounts = accounts
        self._stop_asked = stop
        self._random = random.Random(seed)
        self._patience = patience
        self._holds: list[tuple[UUID, str, str]] = []
        self._spent: list[tuple[UUID, str, str]] = []
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            while not self._stop_asked.is_set():
                self._perform(self._next())
        except BaseException as error:  # the test that joins this thread raises it
            self.failure = error
        finally:
            self._line.close()

    def _next(self) -> Operation:
        pick = self._random
        # Every third operation goes to the hot account, which is the first.
        account = self._accounts[0] if pick.random() < 0.33 else pick.choice(self._accounts)
        function = pick.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        credit_type: str | None = pick.choice(TYPES[:2]) if pick.random() < 0.9 else TYPES[2]
        amount = pick.randint(1, 4)
        arguments: dict[str, Any] = {}
        if function in ("capture_credits", "release_credits"):
            if not self._holds:
                function = "reserve_credits"
            else:
                account, credit_type, hold = self._holds.pop(pick.randrange(len(self._holds)))
                arguments = {"reservation_id": UUID(hold)}
                if function == "capture_credits":
                    arguments["amount"] = pick.randint(1, 5)
        if function == "refund_credits":
            if not self._spent:
                function = "consume_credits"
            else:
                account, credit_type, spent = self._spent.pop(pick.randrange(len(self._spent)))
                arguments = {"operation_id": UUID(spent), "amount": 1}
        if function in ("consume_credits", "reserve_credits"):
            arguments = {"credit_type": credit_type, "amount": amount}
            if function == "reserve_credits":
                arguments["ttl_seconds"] = pick.choice([1, 5, 60])
        elif function == "grant_credits":
            credit_type = pick.choice(TYPES[:2])
            arguments = {"credit_type": credit_type, "amount": pick.randint(1, 20)}
        elif function == "consume_credits_batch":
            types = pick.sample(TYPES, 2)
            arguments = {"items": [{"credit_type": name, "amount": pick.randint(1, 2)} for name in types]}
            credit_type = None
        elif function == "change_plan":
            arguments = {"plan_id": pick.choice(PLANS), "effective": pick.choice(["now", "period_end"])}
            credit_type = None
        elif function == "reset_monthly_credits":
            credit_type = None
        elif function == "set_test_clock":
            # Only the last account has a clock of its own.
            account, credit_type = self._accounts[-1], None
            arguments = {"now": datetime.now(UTC) + timedelta(days=pick.randint(0, 400))}
        operation = self._journal.issue(function, account, credit_type, arguments)
        self._tag(operation)
        return operation

    def _tag(self, operation: Operation) -> None:
        """Marks what the operation writes, so that the checker knows whose it is."""
        arguments, tag = operation.arguments, operation.tag
        keyed = self._random.random() < 0.7
        if operation.function == "consume_credits_batch":
            for number, item in enumerate(arguments["items"]):
                item["metadata"] = {"tag": tag}
                if keyed:
                    item["idempotency_key"] = f"op-{tag}-{number}"
        elif operation.function in ("consume_credits", "reserve_credits", "grant_credits"):
            arguments["metadata"] = {"tag": tag}
        if keyed and operation.function in (
            "consume_credits",
            "reserve_credits",
            "grant_credits",
            "refund_credits",
            "change_plan",
        ):
            arguments["idempotency_key"] = f"op-{tag}"

    def _perform(self, operation: Operation) -> None:
        deadline = time.monotonic() + self._patience
        while True:
            try:
                operation.attempts += 1
                answer = self._line.send(operation)
            except Refused as refused:
                if refused.again and not self._stop_asked.is_set() and time.monotonic() < deadline:
                    continue
                self._journal.refuse(operation, str(refused))
                return
            except Lost:
                over = self._stop_asked.is_set() or time.monotonic() > deadline
                if over or not self._may_be_sent_again(operation):
                    return
                self._stop_asked.wait(0.01)
                continue
            self._journal.acknowledge(operation, answer)
            self._remember(operation, answer)
            return

    @staticmethod
    def _may_be_sent_again(operation: Operation) -> bool:
        if operation.function == "consume_credits_batch":
            return all("idempotency_key" in item for item in operation.arguments["items"])
        return operation.key is not None or operation.function in ("capture_credits", "set_test_clock")

    def _remember(self, operation: Operation, answer: dict[str, Any]) -> None:
        if not answer.get("success"):
            return
        if operation.function == "reserve_credits":
            self._holds.append((operation.account, str(operation.credit_type), answer["reservation_id"]))
        elif operation.function in ("consume_credits", "capture_credits"):
            self._spent.append((operation.account, str(operation.credit_type), answer["operation_id"]))
        del self._holds[:-50], self._spent[:-50]


class Load:
    """Clients at work, for the length of a `with` block. Their failures are raised at its end.

    Each has a connection from `connect`, or whatever `line` makes.
    """

    def __init__(
        self,
        connect: Connect | None,
        accounts: list[UUID],
        *,
        seed: int,
        clients: int = 8,
        line: Callable[[], Line] | None = None,
    ) -> None:
        self.journal = Journal()
        self._stop = threading.Event()
        self._clients = [
            Client(
                line() if line else PostgresLine(connect or _nowhere),
                self.journal,
                accounts,
                self._stop,
                seed=f"{seed}/{number}",
            )
            for number in range(clients)
        ]

    def __enter__(self) -> Load:
        for client in self._clients:
            client.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for client in self._clients:
            client.join(60)
        for client in self._clients:
            assert not client.is_alive(), "a client hangs"
            if client.failure is not None:
                raise client.failure

    def wait_for(self, acknowledged: int, *, timeout: float = 60) -> None:
        """Returns when so many operations have been answered since the call."""
        start, deadline = self.journal.answered, time.monotonic() + timeout
        while self.journal.answered < start + acknowledged:
            assert time.monotonic() < deadline, f"only {self.journal.answered - start} answers in {timeout} s"
            assert all(client.is_alive() for client in self._clients), [client.failure for client in self._clients]
            self._stop.wait(0.005)

    def wait_until(self, happened: Callable[[], bool], *, timeout: float = 60) -> None:
        """Returns when something has come about that the journal tells."""
        deadline = time.monotonic() + timeout
        while not happened():
            assert time.monotonic() < deadline, f"it did not come about in {timeout} s: {self.journal.counts()}"
            assert all(client.is_alive() for client in self._clients), [client.failure for client in self._clients]
            self._stop.wait(0.005)


def _nowhere() -> psycopg.Connection[Any]:
    raise AssertionError("a load needs `connect` or `line`")
