"""A customer of 2027, told by signed events through the real route: prices as on the pricing page of the examples."""

from __future__ import annotations

import itertools
from typing import Any
from uuid import UUID, uuid4

import httpx

from sonas_supabase.local.stripe import _objects as made
from tests.billing.events import Json, at, message
from tests.support.database import Database

PRICES: dict[str, tuple[str | None, str | None, str, int]] = {
    "price_st": ("starter", None, "month", 2000),
    "price_pro": ("pro", None, "month", 10_000),
    "price_proY": ("pro", None, "year", 100_000),
    "price_p5": (None, "P500", "month", 500),
}
_numbers = itertools.count(1)


def set_up(database: Database) -> None:
    """Plans with their prices, and a pack of 500 messages for 5 dollars."""
    database.run(
        "insert into public.credit_packs (id, name, credit_type, credits, price_cents, expires_after)"
        " values ('P500', '500 messages', 'message', 500, 500, '12 months') on conflict do nothing"
    )
    for price, (plan, pack, interval, amount) in PRICES.items():
        given: dict[str, Any] = {"plan_id": plan, "interval": interval} if plan else {"pack_id": pack}
        database.call("register_billing_price", price, **given, unit_amount=amount)


class Story:
    """One account, its customer, and what Stripe says of it."""

    def __init__(self, url: str, database: Database) -> None:
        self._url = url
        self.database = database
        self.number = next(_numbers)
        self.user: UUID = database.new_user()
        self.customer = f"cus_story{self.number}"
        self.sub_id = f"sub_story{self.number}"
        self.at = 0
        database.call("mark_test_account", self.user)
        database.call("link_billing_customer", self.user, self.customer)

    def now(self, text: str) -> None:
        """It is this time for the account, and what happens from now on happens then."""
        self.at = at(text)
        self.database.call("set_test_clock", self.user, f"{text} UTC")

    def tell(self, event_type: str, of: Json, *, created: str | None = None, wants: str | None = "applied") -> Json:
        """Stripe says that this has happened to an object."""
        return self.send(made.event(event_type, of, created=at(created) if created else self.at), wants=wants)

    def send(self, event: Json, *, wants: str | None = "applied") -> Json:
        body, headers = message(event)
        answer = httpx.post(self._url, content=body, headers=headers)
        assert answer.status_code == 200, answer.text
        if wants:
            assert answer.json()["outcome"] == wants, (event["type"], answer.json())
        return event

    # What is told of

    def subscription(
        self, start: str, end: str, *, price: str = "price_st", status: str = "active", quantity: int = 1, **given: Any
    ) -> Json:
        item = made.subscription_item(
            created=self.at, price={"id": price, "object": "price"}, quantity=quantity, start=at(start), end=at(end),
            id=f"si_{self.sub_id}",
        )  # fmt: skip
        given = {"id": self.sub_id, "billing_cycle_anchor": at(start), **given}
        return made.subscription(created=at(start), customer=self.customer, items=[item], status=status, **given)

    def invoice(
        self, start: str, end: str, amount: int = 2000, *, price: str = "price_st", reason: str = "subscription_cycle",
        name: str = "", **given: Any,
    ) -> Json:  # fmt: skip
        name = name or f"{start}{reason}"
        line = self.line(start, end, amount, price=price, name=name)
        return self.invoice_of([line], reason=reason, name=name, **given)

    def line(self, start: str, end: str, amount: int, *, price: str, name: str, proration: bool = False) -> Json:
        return made.line(
            amount=amount, price=price, quantity=1, start=at(start), end=at(end), subscription=self.sub_id,
            item=f"si_{self.sub_id}", proration=proration, id=f"il_{self.sub_id}{name}{price}",
        )  # fmt: skip

    def invoice_of(self, lines: list[Json], *, reason: str, name: str, **given: Any) -> Json:
        total = sum(one["amount"] for one in lines)
        return made.invoice(
            created=self.at, customer=self.customer, lines=lines, reason=reason, subscription=self.sub_id,
            **{"id": f"in_{self.sub_id}{name}", "amount_paid": max(total, 0), "status": "paid", **given},
        )  # fmt: skip

    def session(self, **given: Any) -> Json:
        return made.session(
            created=self.at, mode="subscription", customer=self.customer, subscription=self.sub_id,
            payment_status="paid", status="complete", amount_subtotal=2000, amount_total=2000,
            **{"id": f"cs_{self.sub_id}", **given},
        )  # fmt: skip

    def subscribe(self, start: str = "2027-03-01 00:00", end: str = "2027-04-01 00:00") -> None:
        """A starter plan, bought and paid."""
        self.now(start)
        self.tell("customer.subscription.created", self.subscription(start, end, status="incomplete"), wants=None)
        self.tell("invoice.paid", self.invoice(start, end, reason="subscription_create"), wants=None)
        self.tell("customer.subscription.updated", self.subscription(start, end), wants=None)
        self.tell("checkout.session.completed", self.session(), wants=None)

    def pack(self, *, tax: int = 0, **given: Any) -> Json:
        """The event that a pack of 500 is paid."""
        order = self.database.call("create_billing_order", self.user, "P500")
        session = made.session(
            created=self.at, mode="payment", customer=self.customer, payment_status="paid", status="complete",
            amount_subtotal=500, amount_total=500 + tax,
            total_details={"amount_discount": 0, "amount_shipping": 0, "amount_tax": tax},
            **{"payment_intent": f"pi_{uuid4().hex}", **given},
        )  # fmt: skip
        self.database.call("attach_billing_session", order["order_id"], session["id"])
        return made.event("checkout.session.completed", session, created=self.at)

    def refund(self, intent: str, name: str, amount: int, status: str = "succeeded") -> Json:
        paid = made.payment_intent(
            created=self.at, amount=600, currency="usd", customer=self.customer, status="succeeded", id=intent
        )
        return made.refund(
            created=self.at, payment_intent=paid, amount=amount, status=status, id=f"re_{self.number}{name}"
        )

    def dispute(self, intent: str, status: str, amount: int = 600) -> Json:
        paid = made.payment_intent(
            created=self.at, amount=amount, currency="usd", customer=self.customer, status="succeeded", id=intent
        )
        return made.dispute(created=self.at, payment_intent=paid, status=status, id=f"dp_{intent}")

    # What came of it

    def spend(self, amount: int) -> None:
        answer = self.database.call("consume_credits", self.user, "message", amount)
        assert answer["success"], answer

    def spend_all(self) -> int:
        """Spends what there is, and says how much that was."""
        left = self.left
        if left:
            self.spend(left)
        return left

    @property
    def left(self) -> int:
        return int(self.database.balance(self.user)["remaining"])

    @property
    def plan(self) -> str:
        return str(self.database.call("get_credit_summary", self.user)["plan"])

    def grants(self, source: str = "plan") -> int:
        """How many grants of messages there were of a source, from March on."""
        return int(
            self.database.value(
                "select count(*) from public.credit_grants g"
                " where g.account_id = %s and g.credit_type = 'message' and g.source = %s"
                " and g.starts_at >= '2027-03-01Z'",
                self.user,
                source,
            )
        )

    def verify(self) -> None:
        self.database.verify(self.user)
