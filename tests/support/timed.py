"""A user with a clock of their own."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Self
from uuid import UUID

from tests.support.database import Database

MICROSECOND = timedelta(microseconds=1)


class Timed:
    """A test account: every call is made at `now`, which moves when told to."""

    def __init__(self, database: Database, *, start: datetime | None = None, plan: str | None = None) -> None:
        self.database = database
        self.id: UUID = database.new_user()
        self.now: datetime = datetime.fromisoformat(database.call("mark_test_account", self.id)["now"])
        self.now += timedelta(seconds=1)
        self.at(start or self.now)
        if plan:
            self.call("change_plan", plan)

    def at(self, moment: datetime) -> Self:
        self.database.call("set_test_clock", self.id, moment)
        self.now = moment
        return self

    def wait(self, **duration: float) -> Self:
        return self.at(self.now + timedelta(**duration))

    def call(self, function: str, *positional: Any, **named: Any) -> Any:
        return self.database.call(function, self.id, *positional, **named)

    def balance(self, credit_type: str = "message") -> dict[str, Any]:
        return self.database.balance(self.id, credit_type)

    @property
    def remaining(self) -> int | None:
        return self.balance()["remaining"]  # type: ignore[no-any-return]

    @property
    def period_end(self) -> datetime:
        return datetime.fromisoformat(self.balance()["period_end"])

    def grants(self, source: str, credit_type: str = "message") -> list[dict[str, Any]]:
        return [
            row
            for (row,) in self.database.query(
                "select to_jsonb(g) from public.credit_grants g where account_id = %s and source = %s "
                "and credit_type = %s order by starts_at, created_at",
                self.id,
                source,
                credit_type,
            )
        ]

    def entries(self, *kinds: str, credit_type: str = "message") -> list[dict[str, Any]]:
        """Rows of the ledger in the order of their versions, of these kinds or of all."""
        return [
            row
            for (row,) in self.database.query(
                "select to_jsonb(t) from public.credit_transactions t where account_id = %s and credit_type = %s "
                "order by version",
                self.id,
                credit_type,
            )
            if not kinds or row["kind"] in kinds
        ]

    def granted(self, plan: str, credit_type: str = "message") -> int:
        """What this account was ever issued as allowances of a plan; the first plan of a period gives it its name."""
        return sum(grant["amount"] for grant in self.grants("plan", credit_type) if grant["plan_id"] == plan)

    def verify(self) -> None:
        self.database.verify(self.id)
