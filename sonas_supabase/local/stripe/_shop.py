"""What happens at Stripe, as far as selling credits needs it: sales, subscriptions, money that goes back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sonas_supabase.local.stripe import _objects
from sonas_supabase.local.stripe._objects import Json, new_id
from sonas_supabase.local.stripe._store import Store

DECLINED = "card_declined"


class Impossible(Exception):
    """Stripe would refuse this, with a sentence."""


class Shop:
    """The actions. Each tells its events in the order in which Stripe sends them."""

    def __init__(self, store: Store) -> None:
        self.store = store

    # Paying a session

    def pay(self, session: Json, how: str = "card") -> None:
        """Pays a session by `card`, by a card that is `declined`, or by `debit`, whose money comes later."""
        if session["status"] != "open":
            raise Impossible("This session is closed.")
        if how == "declined":
            intent = self._intent(session["customer"], session["amount_total"], session["currency"], declined=True)
            self.store.tell("payment_intent.payment_failed", intent)
            return
        session["status"] = "complete"
        if session["mode"] == "subscription":
            self._subscribe(session)
            session["payment_status"] = "paid" if session["amount_total"] else "no_payment_required"
        elif not session["amount_total"]:
            session["payment_status"] = "no_payment_required"
        else:
            self._attach_card(session["customer"], declines=False)
            intent = self._intent(
                session["customer"], session["amount_total"], session["currency"], processing=how == "debit"
            )
            session["payment_intent"] = intent["id"]
            session["payment_status"] = "unpaid" if how == "debit" else "paid"
        self.store.tell("checkout.session.completed", session)

    def money_arrives(self, session: Json, *, fails: bool = False) -> None:
        """The money of a session that was paid by debit comes, or does not."""
        if session["status"] != "complete" or session["payment_status"] != "unpaid":
            raise Impossible("Nothing is on its way for this session.")
        intent = self.store.get(session["payment_intent"])
        if fails:
            intent["status"] = "requires_payment_method"
            self.store.tell("checkout.session.async_payment_failed", session)
            return
        intent |= {"status": "succeeded", "amount_received": intent["amount"], "latest_charge": new_id("ch")}
        session["payment_status"] = "paid"
        self.store.tell("checkout.session.async_payment_succeeded", session)

    def expire(self, session: Json) -> None:
        """Closes a session that nobody has paid."""
        if session["status"] != "open":
            raise Impossible("Only an open session expires.")
        session["status"] = "expired"
        self.store.tell("checkout.session.expired", session)

    def _subscribe(self, session: Json) -> None:
        now = self.store.now()
        self._attach_card(session["customer"], declines=False)
        bought = self._lines_of(session)
        end = later(now, bought[0][0]["recurring"]["interval"])
        items = [
            _objects.subscription_item(created=now, price=price, quantity=quantity, start=now, end=end)
            for price, quantity in bought
        ]
        made = self.store.keep(
            _objects.subscription(
                created=now, customer=session["customer"], items=items, status="incomplete",
                currency=session["currency"], metadata=session["metadata"],
            )
        )  # fmt: skip
        self.store.tell("customer.subscription.created", made)
        session["subscription"] = made["id"]
        session["invoice"] = self._bill(made, "subscription_create", self._whole_lines(made))["id"]
        made["status"] = "active"
        self.store.tell("customer.subscription.updated", made, {"status": "incomplete"})

    def _lines_of(self, session: Json) -> list[tuple[Json, int]]:
        return [
            (self.store.get(wanted["price"]["id"]), wanted["quantity"])
            for wanted in self.store.get(f"items_of_{session['id']}")["data"]
        ]

    # Subscriptions

    def change(self, subscription: Json, *, price: Json | None = None, quantity: int | None = None) -> None:
        """Another price or quantity, at once; the rest of the period is paid or credited by the second."""
        self._must_live(subscription)
        now = self.store.now()
        item = subscription["items"]["data"][0]
        before = {"items": {"data": [dict(item)]}}
        old = item["price"]["unit_amount"] * item["quantity"]
        start, end = item["current_period_start"], item["current_period_end"]
        anew = price is not None and price["recurring"] != item["price"]["recurring"]
        if anew:
            start, end = now, later(now, price["recurring"]["interval"])  # type: ignore[index]
            subscription["billing_cycle_anchor"] = now
        paid_until = item["current_period_end"]
        left = (paid_until - now) / (paid_until - item["current_period_start"])
        was = item["price"]
        item |= {"price": price or was, "quantity": quantity or item["quantity"],
                 "current_period_start": start, "current_period_end": end}  # fmt: skip
        new = item["price"]["unit_amount"] * item["quantity"]
        of: Json = {"quantity": item["quantity"], "subscription": subscription["id"], "item": item["id"]}
        credit = _objects.line(amount=-round(old * left), price=was, start=now, end=paid_until, proration=True, **of)
        debit = _objects.line(
            amount=new if anew else round(new * left), price=item["price"], start=now, end=end,
            proration=not anew, **of,
        )  # fmt: skip
        self.store.tell("customer.subscription.updated", subscription, before)
        self._bill(subscription, "subscription_update", [credit, debit])

    def renew(self, subscription: Json) -> None:
        """Begins the next period now, and charges the card on file for it."""
        if subscription["status"] not in ("active", "past_due"):
            raise Impossible("Only what is running renews.")
        now = self.store.now()
        item = subscription["items"]["data"][0]
        before = {"current_period_start": item["current_period_start"]}
        end = later(now, item["price"]["recurring"]["interval"])
        item |= {"current_period_start": now, "current_period_end": end}
        subscription["billing_cycle_anchor"] = now
        self.store.tell("customer.subscription.updated", subscription, {"items": {"data": [before]}})
        self._bill(subscription, "subscription_cycle", self._whole_lines(subscription))

    def cancel(self, subscription: Json, *, at_period_end: bool) -> None:
        """Ends a subscription, now or with its period."""
        self._must_live(subscription)
        now = self.store.now()
        before = {"cancel_at_period_end": subscription["cancel_at_period_end"], "status": subscription["status"]}
        subscription["canceled_at"] = now
        subscription["cancellation_details"]["reason"] = "cancellation_requested"
        if at_period_end:
            subscription["cancel_at_period_end"] = True
            subscription["cancel_at"] = subscription["items"]["data"][0]["current_period_end"]
            self.store.tell("customer.subscription.updated", subscription, before)
            return
        subscription |= {"status": "canceled", "ended_at": now, "cancel_at_period_end": False}
        self.store.tell("customer.subscription.deleted", subscription)

    def keep_on(self, subscription: Json) -> None:
        """Takes a cancellation back that has not come into force."""
        if not subscription["cancel_at_period_end"] or subscription["status"] == "canceled":
            raise Impossible("No cancellation is under way.")
        subscription |= {"cancel_at_period_end": False, "cancel_at": None, "canceled_at": None}
        subscription["cancellation_details"]["reason"] = None
        self.store.tell("customer.subscription.updated", subscription, {"cancel_at_period_end": True})

    def pause(self, subscription: Json) -> None:
        """Pauses collection: invoices are voided until it is resumed."""
        self._must_live(subscription)
        subscription["pause_collection"] = {"behavior": "void", "resumes_at": None}
        self.store.tell("customer.subscription.updated", subscription, {"pause_collection": None})

    def resume(self, subscription: Json) -> None:
        """Collects again."""
        before = {"pause_collection": subscription["pause_collection"]}
        subscription["pause_collection"] = None
        self.store.tell("customer.subscription.updated", subscription, before)

    # Cards

    def change_card(self, customer: Json, *, declines: bool) -> None:
        """Another card on file, which works or is declined at the next charge; what is owed is tried with it."""
        self._attach_card(customer["id"], declines=declines)
        for invoice in self.store.all("invoice", customer=customer["id"], status="open"):
            self.pay_invoice(invoice)

    def _attach_card(self, customer_id: str, *, declines: bool) -> None:
        customer = self.store.get(customer_id, "customer")
        now = self.store.now()
        before = customer["invoice_settings"]["default_payment_method"]
        card = self.store.keep(
            _objects.payment_method(created=now, customer=customer_id, metadata={"declines": "yes"} if declines else {})
        )
        self.store.tell("payment_method.attached", card)
        customer["invoice_settings"]["default_payment_method"] = card["id"]
        self.store.tell("customer.updated", customer, {"invoice_settings": {"default_payment_method": before}})

    def _declines(self, customer_id: str) -> bool:
        customer = self.store.get(customer_id, "customer")
        card = customer["invoice_settings"]["default_payment_method"]
        return card is None or bool(self.store.get(card)["metadata"].get("declines"))

    # Invoices

    def _whole_lines(self, subscription: Json) -> list[Json]:
        return [
            _objects.line(
                amount=item["price"]["unit_amount"] * item["quantity"], price=item["price"], quantity=item["quantity"],
                start=item["current_period_start"], end=item["current_period_end"], subscription=subscription["id"],
                item=item["id"],
            )
            for item in subscription["items"]["data"]
        ]  # fmt: skip

    def _bill(self, subscription: Json, reason: str, lines: list[Json]) -> Json:
        made = self.store.keep(
            _objects.invoice(
                created=self.store.now(), customer=subscription["customer"], lines=lines, reason=reason,
                subscription=subscription["id"], currency=subscription["currency"],
            )
        )  # fmt: skip
        subscription["latest_invoice"] = made["id"]
        self.finalize(made)
        if subscription["pause_collection"]:
            self.void(made)
        else:
            self.pay_invoice(made)
        return made

    def finalize(self, invoice: Json) -> None:
        """An invoice that may be paid from now on."""
        if invoice["status"] != "draft":
            raise Impossible("Only a draft is finalized.")
        invoice["status"] = "open"
        invoice["status_transitions"]["finalized_at"] = self.store.now()

    def void(self, invoice: Json) -> None:
        """An invoice that nobody will pay."""
        if invoice["status"] not in ("open", "uncollectible"):
            raise Impossible("Only an open invoice is voided.")
        invoice["status"] = "void"
        invoice["status_transitions"]["voided_at"] = self.store.now()
        self.store.tell("invoice.voided", invoice)

    def pay_invoice(self, invoice: Json) -> bool:
        """Charges the card on file for an invoice. False when the card is declined."""
        if invoice["status"] != "open":
            raise Impossible("Only an open invoice is paid.")
        now = self.store.now()
        owed = max(invoice["total"], 0)
        invoice |= {"attempted": True, "attempt_count": invoice["attempt_count"] + 1}
        if owed and self._declines(invoice["customer"]):
            intent = self._intent(invoice["customer"], owed, invoice["currency"], declined=True)
            if invoice["auto_advance"]:
                invoice["next_payment_attempt"] = now + 3 * 86400
            self.store.tell("payment_intent.payment_failed", intent)
            self.store.tell("invoice.payment_failed", invoice)
            self._of_invoice_is(invoice, "past_due")
            return False
        invoice |= {"status": "paid", "amount_paid": owed, "amount_remaining": 0, "next_payment_attempt": None}
        invoice["status_transitions"]["paid_at"] = now
        self.store.tell("invoice.paid", invoice)
        if owed:
            intent = self._intent(invoice["customer"], owed, invoice["currency"])
            payment = self.store.keep(
                _objects.invoice_payment(
                    created=now, invoice=invoice["id"], payment_intent=intent["id"], amount=owed,
                    currency=invoice["currency"],
                )
            )  # fmt: skip
            self.store.tell("invoice_payment.paid", payment)
        self._of_invoice_is(invoice, "active")
        return True

    def _of_invoice_is(self, invoice: Json, status: str) -> None:
        if not invoice["parent"]:
            return
        subscription = self.store.get(invoice["parent"]["subscription_details"]["subscription"])
        was = subscription["status"]
        if {was, status} == {"active", "past_due"}:
            subscription["status"] = status
            self.store.tell("customer.subscription.updated", subscription, {"status": was})

    def _intent(
        self, customer: str | None, amount: int, currency: str, *, declined: bool = False, processing: bool = False
    ) -> Json:
        status = "requires_payment_method" if declined else "processing" if processing else "succeeded"
        error = {"code": DECLINED, "message": "Your card was declined.", "type": "card_error"} if declined else None
        return self.store.keep(
            _objects.payment_intent(
                created=self.store.now(), amount=amount, currency=currency, customer=customer, status=status,
                last_payment_error=error, latest_charge=None if processing else new_id("ch"),
            )
        )  # fmt: skip

    # Money back

    def refund(self, intent: Json, amount: int | None = None, *, reason: str | None = None) -> Json:
        """Gives money back, all that is left of it unless told how much."""
        back = self.store.all("refund", payment_intent=intent["id"])
        left = intent["amount_received"] - sum(one["amount"] for one in back if one["status"] == "succeeded")
        amount = left if amount is None else amount
        if not 0 < amount <= left:
            raise Impossible("There is not that much to give back.")
        given: dict[str, Any] = {"reason": reason} if reason else {}
        made = self.store.keep(
            _objects.refund(created=self.store.now(), payment_intent=intent, amount=amount, status="succeeded", **given)
        )
        self.store.tell("refund.created", made)
        return made

    def fail_refund(self, refund: Json) -> None:
        """The bank has sent a refund back."""
        refund |= {"status": "failed", "failure_reason": "lost_or_stolen_card"}
        self.store.tell("refund.failed", refund)

    def dispute(self, intent: Json) -> Json:
        """The payer has the bank take a payment back."""
        if self.store.all("dispute", payment_intent=intent["id"]) or intent["status"] != "succeeded":
            raise Impossible("There is nothing to dispute.")
        made = self.store.keep(
            _objects.dispute(created=self.store.now(), payment_intent=intent, status="needs_response")
        )
        self.store.tell("charge.dispute.created", made)
        return made

    def close_dispute(self, dispute: Json, *, won: bool) -> None:
        """The bank has decided."""
        dispute["status"] = "won" if won else "lost"
        self.store.tell("charge.dispute.closed", dispute, {"status": "needs_response"})

    def _must_live(self, subscription: Json) -> None:
        if subscription["status"] in ("canceled", "incomplete_expired"):
            raise Impossible("This subscription has ended.")


def later(at: int, interval: str, count: int = 1) -> int:
    """The same day and time a month or a year on; the last day of a month that has no such day."""
    start = datetime.fromtimestamp(at, UTC)
    months = start.month - 1 + count * (12 if interval == "year" else 1)
    year, month = start.year + months // 12, months % 12 + 1
    for day in range(start.day, 27, -1):
        try:
            return int(start.replace(year=year, month=month, day=day).timestamp())
        except ValueError:
            continue
    return int(start.replace(year=year, month=month).timestamp())
