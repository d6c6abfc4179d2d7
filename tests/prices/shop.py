"""A user who buys operations. Each has prices under a name of their own, so that tests share a database."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

from tests.support.database import Database
from tests.support.timed import Timed

NANO = 10**9


class Shop(Timed):
    """`price` sets a price of this user's own operations, the first of them since ever; the rest calls for the user."""

    def __init__(self, database: Database, *, book: str | None = None) -> None:
        super().__init__(database, plan="starter")
        self.name = f"op-{uuid4().hex[:8]}"
        self.book = book

    def operation(self, name: str) -> str:
        return f"{self.name}:{name}"

    def price(self, name: str, dimension: str, nano: Any, *, at: datetime | None = None, **more: Any) -> dict[str, Any]:
        if self.book:
            more["book"] = self.book
        return self.database.call(  # type: ignore[no-any-return]
            "set_price", self.operation(name), dimension, nano, valid_from=at, **more
        )

    def quote(self, name: str, **quantities: Any) -> dict[str, Any]:
        return self.database.call("quote_operation", self.operation(name), quantities)  # type: ignore[no-any-return]

    def consume(self, name: str, quantities: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        return self.call("consume_operation", self.operation(name), quantities, **more)  # type: ignore[no-any-return]

    def reserve(self, name: str, quantities: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        return self.call("reserve_operation", self.operation(name), quantities, **more)  # type: ignore[no-any-return]

    def capture(self, hold: dict[str, Any], quantities: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        return self.call("capture_operation", hold["reservation_id"], quantities, **more)  # type: ignore[no-any-return]

    @property
    def remainder(self) -> Any:
        """What is paid of a credit and not used."""
        return (
            Decimal(
                self.database.value(
                    "select prepaid_nano from credits.balances where account_id = %s and credit_type = 'integration'",
                    self.id,
                )
            )
            / NANO
        )

    @property
    def left(self) -> int:
        return int(self.balance("integration")["remaining"])
