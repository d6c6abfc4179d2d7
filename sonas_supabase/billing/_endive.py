"""From the events of API major `endive` (2026-10-28) to facts. One file like this for each major that is read.

Pure: no clock, no network, no settings. Where a field is stands in the SDK's types, and mypy says when it is gone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sonas_supabase.billing._events import DISPUTE, SUBSCRIPTION
from sonas_supabase.billing._view import entries, id_of, needed, object_of, text, time, truth, view, whole

if TYPE_CHECKING:
    import stripe
    from stripe import checkout, radar

Json = dict[str, Any]


class Source:
    """An event, as the readers need it: its type, its time, its object, and what has changed of that."""

    __slots__ = ("at", "changed", "object", "type")

    def __init__(self, event_type: str, at: str, of: Json, changed: Json) -> None:
        self.type = event_type
        self.at = at
        self.object = of
        self.changed = changed


def _subscription(source: Source) -> Json:
    it: stripe.Subscription = view(source.object)
    items = object_of(it.items)
    listed = entries(items.data if items else None)
    paused = object_of(it.pause_collection)
    status = object_of(it.status_details)
    why_paused = object_of(status.paused) if status else None
    ended = object_of(it.cancellation_details)
    return {
        "fact": "subscription_seen",
        "subscription_id": needed(id_of(it.id), "id"),
        "customer_id": needed(id_of(it.customer), "customer"),
        "status": needed(text(it.status), "status"),
        "at": source.at,
        "items": [_item(item) for item in listed],
        "items_incomplete": truth(items.has_more) if items else True,
        "anchor": time(it.billing_cycle_anchor),
        "started_at": time(it.start_date),
        "cancel_at_period_end": truth(it.cancel_at_period_end),
        "cancel_at": time(it.cancel_at),
        "canceled_at": time(it.canceled_at),
        "ended_at": time(it.ended_at),
        "end_reason": text(ended.reason) if ended else None,
        "trial_start": time(it.trial_start),
        "trial_end": time(it.trial_end),
        "collection_paused": {"behavior": text(paused.behavior), "resumes_at": time(paused.resumes_at)}
        if paused
        else None,
        "paused_reason": text(why_paused.subscription.type) if why_paused and why_paused.subscription else None,
        "latest_invoice": id_of(it.latest_invoice),
    }


def _item(item: stripe.SubscriptionItem) -> Json:
    return {
        "item_id": needed(id_of(item.id), "item's id"),
        "price_id": id_of(item.price),
        "quantity": whole(item.quantity),
        "period_start": time(item.current_period_start),
        "period_end": time(item.current_period_end),
    }


def _trial_ending(source: Source) -> Json:
    return {**_subscription(source), "alert": "trial_ending"}


def _paid_invoice(source: Source) -> Json:
    it: stripe.Invoice = view(source.object)
    lines = object_of(it.lines)
    parent = object_of(it.parent)
    origin = object_of(parent.subscription_details) if parent else None
    moments = object_of(it.status_transitions)
    payments = object_of(it.payments)
    return {
        "fact": "period_paid",
        "invoice_id": needed(id_of(it.id), "id"),
        "customer_id": id_of(it.customer),
        "subscription_id": id_of(origin.subscription) if origin else None,
        "paid_at": (time(moments.paid_at) if moments else None) or source.at,
        "billing_reason": text(it.billing_reason),
        "currency": text(it.currency),
        "total": whole(it.total),
        "total_excluding_tax": whole(it.total_excluding_tax),
        "tax": sum(whole(tax.amount) or 0 for tax in entries(it.total_taxes)),
        "amount_paid": whole(it.amount_paid),
        "off_stripe": whole(it.amount_paid_off_stripe) or 0,
        "proration_at": time(origin.subscription_proration_date) if origin else None,
        "lines": [_line(line) for line in entries(lines.data if lines else None)],
        "lines_incomplete": truth(lines.has_more) if lines else True,
        "payments": [_payment(payment) for payment in entries(payments.data if payments else None)],
    }


def _line(line: stripe.InvoiceLineItem) -> Json:
    parent = object_of(line.parent)
    of_item = object_of(parent.subscription_item_details) if parent else None
    by_hand = object_of(parent.invoice_item_details) if parent else None
    pricing = object_of(line.pricing)
    price = object_of(pricing.price_details) if pricing else None
    period = object_of(line.period)
    return {
        "line_id": needed(id_of(line.id), "line's id"),
        "price_id": id_of(price.price) if price else None,
        "quantity": whole(line.quantity),
        "amount": whole(line.amount),
        "proration": truth(of_item.proration if of_item else by_hand.proration if by_hand else None),
        "period_start": time(period.start) if period else None,
        "period_end": time(period.end) if period else None,
        "subscription_item": id_of(of_item.subscription_item) if of_item else None,
    }


def _payment(payment: stripe.InvoicePayment) -> Json:
    by = object_of(payment.payment)
    return {
        "payment_intent": id_of(by.payment_intent) if by else None,
        "charge": id_of(by.charge) if by else None,
    }


_INVOICE_STATES = {
    "invoice.payment_failed": "failed",
    "invoice.payment_action_required": "action_required",
    "invoice.finalization_failed": "not_finalized",
    "invoice.voided": "voided",
    "invoice.marked_uncollectible": "uncollectible",
}


def _failed_invoice(source: Source) -> Json:
    it: stripe.Invoice = view(source.object)
    parent = object_of(it.parent)
    origin = object_of(parent.subscription_details) if parent else None
    error = object_of(it.last_finalization_error)
    return {
        "fact": "payment_failed",
        "invoice_id": needed(id_of(it.id), "id"),
        "customer_id": id_of(it.customer),
        "subscription_id": id_of(origin.subscription) if origin else None,
        "at": source.at,
        "attempt": whole(it.attempt_count),
        "next_attempt_at": time(it.next_payment_attempt),
        "billing_reason": text(it.billing_reason),
        "state": _INVOICE_STATES[source.type],
        "url": text(it.hosted_invoice_url),
        "reason": text(error.code) if error else None,
    }


def _failed_payment(source: Source) -> Json:
    it: stripe.PaymentIntent = view(source.object)
    error = object_of(it.last_payment_error)
    return {
        "fact": "payment_failed",
        "payment_intent": needed(id_of(it.id), "id"),
        "customer_id": id_of(it.customer),
        "charge": id_of(it.latest_charge),
        "at": source.at,
        "state": "failed" if source.type.endswith("payment_failed") else "action_required",
        "reason": text(error.code) if error else None,
    }


def _linked(source: Source) -> Json:
    it: stripe.InvoicePayment = view(source.object)
    moments = object_of(it.status_transitions)
    return {
        "fact": "payment_linked",
        "invoice_payment_id": needed(id_of(it.id), "id"),
        "invoice_id": needed(id_of(it.invoice), "invoice"),
        **_payment(it),
        "amount_paid": whole(it.amount_paid),
        "currency": text(it.currency),
        "at": (time(moments.paid_at) if moments else None) or source.at,
    }


def _sale(source: Source) -> Json | None:
    it: checkout.Session = view(source.object)
    if text(it.mode) == "setup":
        return None
    totals = object_of(it.total_details)
    return {
        "fact": "sale_paid",
        "session_id": needed(id_of(it.id), "id"),
        "recovered_from": text(it.recovered_from),
        "mode": needed(text(it.mode), "mode"),
        "state": needed(text(it.payment_status), "payment status"),
        "customer_id": id_of(it.customer),
        "subscription_id": id_of(it.subscription),
        "invoice_id": id_of(it.invoice),
        "payment_intent": id_of(it.payment_intent),
        "currency": text(it.currency),
        "amount_subtotal": whole(it.amount_subtotal),
        "amount_total": whole(it.amount_total),
        "amount_tax": whole(totals.amount_tax) if totals else None,
        "amount_discount": whole(totals.amount_discount) if totals else None,
        "at": source.at,
    }


def _failed_sale(source: Source) -> Json:
    it: checkout.Session = view(source.object)
    return {
        "fact": "sale_failed",
        "session_id": needed(id_of(it.id), "id"),
        "state": "expired" if source.type.endswith("expired") else "failed",
        "at": source.at,
    }


def _refund(source: Source) -> Json:
    it: stripe.Refund = view(source.object)
    return {
        "fact": "refund_seen",
        "refund_id": needed(id_of(it.id), "id"),
        "payment_intent": id_of(it.payment_intent),
        "charge": id_of(it.charge),
        "amount": needed(whole(it.amount), "amount"),
        "currency": text(it.currency),
        "status": needed(text(it.status), "status"),
        "reason": text(it.failure_reason) or text(it.reason),
        "at": source.at,
    }


def _credit_note(source: Source) -> Json:
    it: stripe.CreditNote = view(source.object)
    return {
        "fact": "refund_seen",
        "credit_note_id": needed(id_of(it.id), "id"),
        "invoice_id": needed(id_of(it.invoice), "invoice"),
        "kind": text(it.type),
        "total": whole(it.total),
        "total_excluding_tax": whole(it.total_excluding_tax),
        "refund_ids": [id_of(one.refund) for one in entries(it.refunds) if id_of(one.refund)],
        "out_of_band": bool(whole(it.out_of_band_amount)),
        "voided": source.type.endswith("voided") or text(it.status) == "void",
        "at": source.at,
    }


def _dispute(source: Source) -> Json:
    it: stripe.Dispute = view(source.object)
    return {
        "fact": "dispute_seen",
        "dispute_id": needed(id_of(it.id), "id"),
        "payment_intent": id_of(it.payment_intent),
        "charge": id_of(it.charge),
        "amount": whole(it.amount),
        "currency": text(it.currency),
        "status": needed(text(it.status), "status"),
        "at": source.at,
        "kind": "dispute",
    }


def _early_warning(source: Source) -> Json:
    it: radar.EarlyFraudWarning = view(source.object)
    return {
        "fact": "dispute_seen",
        "dispute_id": needed(id_of(it.id), "id"),
        "payment_intent": id_of(it.payment_intent),
        "charge": id_of(it.charge),
        "amount": None,
        "currency": None,
        "status": "early_warning",
        "at": source.at,
        "kind": "early_warning",
    }


def _customer(source: Source) -> Json:
    it: stripe.Customer = view(source.object)
    before = source.changed.get("invoice_settings")
    return {
        "fact": "customer_changed",
        "customer_id": needed(id_of(it.id), "id"),
        "at": source.at,
        "card_changed": (isinstance(before, dict) and "default_payment_method" in before)
        or "default_source" in source.changed,
        "delinquent": truth(it.delinquent),
    }


def _card(source: Source) -> Json | None:
    it: stripe.PaymentMethod = view(source.object)
    customer = id_of(it.customer)
    if customer is None:
        return None
    return {"fact": "customer_changed", "customer_id": customer, "at": source.at, "card_changed": True,
            "delinquent": None}  # fmt: skip


def _customer_gone(source: Source) -> Json:
    it: stripe.Customer = view(source.object)
    return {"fact": "customer_gone", "customer_id": needed(id_of(it.id), "id"), "at": source.at}


_READERS: dict[str, Callable[[Source], Json | None]] = {
    **dict.fromkeys(SUBSCRIPTION, _subscription),
    "customer.subscription.trial_will_end": _trial_ending,
    "invoice.paid": _paid_invoice,
    **dict.fromkeys(_INVOICE_STATES, _failed_invoice),
    "payment_intent.payment_failed": _failed_payment,
    "payment_intent.requires_action": _failed_payment,
    "invoice_payment.paid": _linked,
    "checkout.session.completed": _sale,
    "checkout.session.async_payment_succeeded": _sale,
    "checkout.session.async_payment_failed": _failed_sale,
    "checkout.session.expired": _failed_sale,
    "refund.created": _refund,
    "refund.updated": _refund,
    "refund.failed": _refund,
    "credit_note.created": _credit_note,
    "credit_note.voided": _credit_note,
    **dict.fromkeys(DISPUTE, _dispute),
    "radar.early_fraud_warning.created": _early_warning,
    "customer.updated": _customer,
    "customer.deleted": _customer_gone,
    "payment_method.attached": _card,
    "payment_method.automatically_updated": _card,
}


def facts_of(source: Source) -> list[Json]:
    """The facts of an event of a type that is handled; none where it is about nobody's money."""
    fact = _READERS[source.type](source)
    return [] if fact is None else [fact]


def read_types() -> frozenset[str]:
    """The types that this reader knows."""
    return frozenset(_READERS)
