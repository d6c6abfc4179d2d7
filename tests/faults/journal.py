"""What the clients did, as they saw it."""

from __future__ import annotations

import itertools
import threading
import time
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID


@dataclass
class Operation:
    """One operation as a client meant it. Sent again under the same key, it stays the same operation."""

    tag: int
    function: str
    account: UUID
    credit_type: str | None
    arguments: dict[str, Any]
    issued: int = 0
    acknowledged: int | None = None
    attempts: int = 0
    answer: dict[str, Any] | None = None
    error: str | None = None

    @property
    def key(self) -> str | None:
        key = self.arguments.get("idempotency_key")
        return None if key is None else str(key)

    @property
    def took_effect(self) -> bool:
        """The client was told that it took effect."""
        return self.answer is not None and self.answer.get("success") is True

    @property
    def denied(self) -> bool:
        return self.answer is not None and self.answer.get("success") is False

    @property
    def unknown(self) -> bool:
        """The client never learned what became of it."""
        return self.answer is None and self.error is None


@dataclass
class Journal:
    """Every operation of a run, in the order of issue. Safe to use from several threads."""

    operations: list[Operation] = field(default_factory=list)
    answered: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _tags: Any = field(default_factory=lambda: itertools.count(1))

    def issue(self, function: str, account: UUID, credit_type: str | None, arguments: dict[str, Any]) -> Operation:
        with self._lock:
            operation = Operation(next(self._tags), function, account, credit_type, arguments)
            self.operations.append(operation)
        operation.issued = time.monotonic_ns()
        return operation

    def acknowledge(self, operation: Operation, answer: dict[str, Any]) -> None:
        operation.answer = answer
        self._answered(operation)

    def refuse(self, operation: Operation, slug: str) -> None:
        """An error of the closed list: nothing has been changed."""
        operation.error = slug
        self._answered(operation)

    def _answered(self, operation: Operation) -> None:
        operation.acknowledged = time.monotonic_ns()
        with self._lock:
            self.answered += 1

    def counts(self) -> dict[str, int]:
        """How many were issued, took effect, were denied, were refused, and are not known about."""
        return {
            "issued": len(self.operations),
            "acknowledged": sum(o.took_effect for o in self.operations),
            "denied": sum(o.denied for o in self.operations),
            "refused": sum(o.error is not None for o in self.operations),
            "unknown": sum(o.unknown for o in self.operations),
            "sent again": sum(max(o.attempts - 1, 0) for o in self.operations),
        }
