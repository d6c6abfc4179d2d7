"""A payment provider as the database sees it: events of neutral facts, about one account with a clock of its own."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from typing import Any

from tests.support.database import Database
from tests.support.timed import Timed

Fact = dict[str, Any]
Told = tuple[str, list[Fact]]

PRICES = {
    "price_st": {"plan_id": "starter", "unit_amount": 2000},
    "price_pro": {"plan_id": "pro", "unit_amount": 10000},
    "price_el": {"plan_id": "elite", "unit_amount": 20000},
    "price_stY": {"plan_id": "starter", "interval": "year", "unit_amount": 20000},
    "price_proY": {"plan_id": "pro", "interval": "year", "unit_amount": 100000},
    "price_p5": {"pack_id": "P500", "unit_amount": 500},
}
_numbers = count(1)


def utc(month: int, day: int, hour: int = 0, minute: int = 0, *, year: int = 2027) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


MARCH, APRIL, MAY, JUNE = (utc(month, 1) for month in (3, 4, 5, 6))


def open_shop(database: Database) -> None:
    """Registers what is sold, once for a database."""
    database.run(
        "insert into public.credit_packs (id, name, credit_type, credits, price_cents, rank) "
        "values ('P500', '500 messages', 'message', 500, 500, 15) on conflict do nothing"
    )
    for price, named in PRICES.items():
        database.call("register_billing_price", price, **named)


class Buyer(Timed):
    """A test account with a customer. Ids of the provider's are its own, so that tests share a database."""

    def __init__(self, database: Database, *, start: datetime | None = None) -> None:
        super().__init__(database, start=start or utc(2, 20))
        self.mark = f"{next(_numbers)}_{self.id.hex[:6]}"
        self.customer = self.own("cus_A")
        database.call("link_billing_customer", self.id, self.customer)

    def own(self, name: str | None) -> str | None:
        return None if name is None else f"{name}_{self.mark}"

    # What is told ------------------------------------------------------------------------------------------------

    def seen(
        self,
        at: datetime,
        status: str = "active",
        price: str = "price_st",
        *,
        start: datetime = MARCH,
        end: datetime = APRIL,
        sub: str = "sub_1",
        quantity: int = 1,
        customer: str | None = None,
        **more: Any,
    ) -> Told:
        item = {"item_id": "si_1", "price_id": price, "quantity": quantity}
        item |= {"period_start": start.isoformat(), "period_end": end.isoformat()}
        fact = {
            "fact": "subscription_seen",
            "subscription_id": self.own(sub),
            "customer_id": customer or self.customer,
            "status": status,
            "at": at.isoformat(),
            "items": [item],
            "anchor": start.isoformat(),
            "started_at": start.isoformat(),
            "cancel_at_period_end": False,
            "collection_paused": None,
        }
        return at.isoformat(), [fact | _plain(more)]

    def invoice(
        self,
        at: datetime,
        name: str,
        *lines: tuple[Any, ...],
        sub: str | None = "sub_1",
        total: int | None = None,
        tax: int = 0,
        intent: str | None = None,
        **more: Any,
    ) -> Told:
        """Lines are (price, amount, start, end), with True behind them for a proration."""
        told = [
            {
                "line_id": f"il_{n}",
                "price_id": line[0],
                "amount": line[1],
                "quantity": more.get("quantity", 1),
                "period_start": line[2].isoformat(),
                "period_end": line[3].isoformat(),
                "proration": len(line) > 4,
            }
            for n, line in enumerate(lines)
        ]
        net = sum(line[1] for line in lines) if total is None else total - tax
        fact = {
            "fact": "period_paid",
            "invoice_id": self.own(name),
            "customer_id": self.customer,
            "subscription_id": self.own(sub),
            "paid_at": at.isoformat(),
            "currency": "usd",
            "total": net + tax,
            "total_excluding_tax": net,
            "lines": told,
            "payments": [{"payment_intent": self.own(intent), "charge": None}] if intent else [],
        }
        return at.isoformat(), [fact | _plain(more)]

    def failed(self, at: datetime, name: str, attempt: int = 1, sub: str | None = "sub_1", **more: Any) -> Told:
        fact = {
            "fact": "payment_failed",
            "invoice_id": self.own(name),
            "customer_id": self.customer,
            "subscription_id": self.own(sub),
            "at": at.isoformat(),
            "attempt": attempt,
            "state": "failed",
        }
        return at.isoformat(), [fact | _plain(more)]

    def session(self, at: datetime, name: str = "cs_1", **more: Any) -> Told:
        fact = {
            "fact": "sale_paid",
            "session_id": self.own(name),
            "mode": "payment",
            "state": "paid",
            "customer_id": self.customer,
            "payment_intent": self.own("pi_1"),
            "currency": "usd",
            "amount_subtotal": 500,
            "amount_total": 600,
            "amount_tax": 100,
            "at": at.isoformat(),
        }
        return at.isoformat(), [fact | _plain(more)]

    def subscribed(self, at: datetime, **more: Any) -> Told:
        return self.session(at, mode="subscription", subscription_id=self.own("sub_1"), payment_intent=None, **more)

    def refund(self, at: datetime, name: str, amount: int, status: str = "succeeded", **more: Any) -> Told:
        fact = {
            "fact": "refund_seen",
            "refund_id": self.own(name),
            "payment_intent": self.own("pi_1"),
            "amount": amount,
            "currency": "usd",
            "status": status,
            "at": at.isoformat(),
        }
        return at.isoformat(), [fact | _plain(more)]

    def note(self, at: datetime, name: str, total: int, net: int, *refunds: str) -> Told:
        fact = {
            "fact": "refund_seen",
            "credit_note_id": self.own(name),
            "invoice_id": self.own("in_1"),
            "total": total,
            "total_excluding_tax": net,
            "refund_ids": [self.own(refund) for refund in refunds],
            "voided": False,
            "at": at.isoformat(),
        }
        return at.isoformat(), [fact]

    def dispute(self, at: datetime, status: str, amount: int = 600, **more: Any) -> Told:
        fact = {
            "fact": "dispute_seen",
            "dispute_id": self.own("dp_1"),
            "payment_intent": self.own("pi_1"),
            "amount": amount,
            "status": status,
            "kind": "dispute",
            "at": at.isoformat(),
        }
        return at.isoformat(), [fact | _plain(more)]

    # How it is told ----------------------------------------------------------------------------------------------

    def tell(self, *told: Told, event: str | None = None, connection: Any = None, **more: Any) -> list[str]:
        """Delivers events, each under an id of its own; answers their outcomes."""
        return [self.answer(one, event=event, connection=connection, **more)["outcome"] for one in told]

    def answer(self, told: Told, *, event: str | None = None, connection: Any = None, **more: Any) -> dict[str, Any]:
        created, facts = told
        head: dict[str, Any] = {"id": event or f"evt_{next(_numbers)}_{self.mark}", "type": "test", "created": created}
        head |= {"provider": "test", "livemode": False} | more
        answer: dict[str, Any] = self.database.call("apply_billing_event", head, facts, connection=connection)
        return answer

    def order(self, pack: str = "P500", quantity: int = 1, session: str = "cs_1") -> str:
        order = self.call("create_billing_order", pack, quantity)["order_id"]
        self.database.call("attach_billing_session", order, self.own(session))
        return str(order)

    def bought(self, at: datetime | None = None) -> Buyer:
        """Has bought a pack of 500 for 600 cents, tax included."""
        self.order()
        assert self.tell(self.session(at or self.now)) == ["applied"]
        return self

    # What it comes to --------------------------------------------------------------------------------------------

    @property
    def left(self) -> int | None:
        return self.remaining

    @property
    def plan(self) -> tuple[str, str]:
        [row] = self.database.query("select plan_id, status from public.subscriptions where account_id = %s", self.id)
        return row

    @property
    def anchor(self) -> datetime:
        return self.database.value(  # type: ignore[no-any-return]
            "select anchor_at from public.subscriptions where account_id = %s", self.id
        )

    @property
    def covered(self) -> datetime | None:
        return self.database.value(  # type: ignore[no-any-return]
            "select covered_until from public.subscriptions where account_id = %s", self.id
        )

    @property
    def debt(self) -> int:
        return self.database.value(  # type: ignore[no-any-return]
            "select coalesce(sum(amount - paid), 0)::int from credits.debts where account_id = %s", self.id
        )

    def state(self) -> list[tuple[Any, ...]]:
        """All that may not depend on the order of the news: figures and times, no ids."""
        return [
            *self.database.query(
                "select credit_type, allowance, used, reserved, remaining, period_start, period_end "
                "from public.credit_balances where account_id = %s order by 1",
                self.id,
            ),
            *self.database.query(
                "select credit_type, source, amount, remaining, spent, lapsed, starts_at, expires_at, period_start, "
                "plan_id, frozen_reason, voided_at from public.credit_grants where account_id = %s "
                "order by credit_type, source, period_start, starts_at, amount",
                self.id,
            ),
            *self.database.query(
                "select n, started_at, plan_id, status, quantity, is_frozen, is_earning, anchor_at, past_due_since "
                "from credits.subscription_spells where account_id = %s and replaced_at is null order by 1",
                self.id,
            ),
            (self.plan, self.covered, self.debt),
        ]


def _plain(more: dict[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in more.items()}
