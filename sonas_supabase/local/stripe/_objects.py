"""Stripe's objects as API 2026-10-28.endive has them: no field that is gone, says a test."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

API_VERSION = "2026-10-28.endive"

Json = dict[str, Any]


def new_id(prefix: str) -> str:
    """An id of the kind that Stripe makes."""
    return f"{prefix}_sim{secrets.token_hex(10)}"


def listed(data: Sequence[Json], url: str = "/v1/list", *, has_more: bool = False) -> Json:
    """A page of a list."""
    return {"object": "list", "data": list(data), "has_more": has_more, "url": url}


def event(event_type: str, of: Json, *, created: int, before: Json | None = None, **given: Any) -> Json:
    """What is sent when something has happened to an object, with all of the object."""
    data: Json = {"object": of}
    if before is not None:
        data["previous_attributes"] = before
    return {
        "id": new_id("evt"),
        "object": "event",
        "api_version": API_VERSION,
        "created": created,
        "data": data,
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": event_type,
        **given,
    }


def customer(*, created: int, **given: Any) -> Json:
    """Who pays."""
    return {
        "id": new_id("cus"),
        "object": "customer",
        "address": None,
        "balance": 0,
        "created": created,
        "currency": None,
        "default_source": None,
        "delinquent": False,
        "description": None,
        "email": None,
        "invoice_settings": {"custom_fields": None, "default_payment_method": None, "footer": None},
        "livemode": False,
        "metadata": {},
        "name": None,
        "phone": None,
        **given,
    }


def payment_method(*, created: int, customer: str | None, **given: Any) -> Json:
    """A card."""
    return {
        "id": new_id("pm"),
        "object": "payment_method",
        "created": created,
        "customer": customer,
        "livemode": False,
        "metadata": {},
        "type": "card",
        **given,
    }


def product(*, created: int, name: str, **given: Any) -> Json:
    """What a price is for."""
    return {
        "id": new_id("prod"),
        "object": "product",
        "active": True,
        "created": created,
        "description": None,
        "livemode": False,
        "metadata": {},
        "name": name,
        **given,
    }


def price(*, created: int, product: str, currency: str, unit_amount: int, interval: str | None, **given: Any) -> Json:
    """What a product costs, once or per month or year."""
    recurring = {"interval": interval, "interval_count": 1, "usage_type": "licensed"} if interval else None
    return {
        "id": new_id("price"),
        "object": "price",
        "active": True,
        "billing_scheme": "per_unit",
        "created": created,
        "currency": currency,
        "livemode": False,
        "lookup_key": None,
        "metadata": {},
        "nickname": None,
        "product": product,
        "recurring": recurring,
        "tax_behavior": "exclusive",
        "type": "recurring" if interval else "one_time",
        "unit_amount": unit_amount,
        **given,
    }


def session(*, created: int, mode: str, **given: Any) -> Json:
    """A page on which one pays."""
    return {
        "id": new_id("cs_test"),
        "object": "checkout.session",
        "amount_subtotal": 0,
        "amount_total": 0,
        "cancel_url": None,
        "client_reference_id": None,
        "created": created,
        "currency": "usd",
        "customer": None,
        "expires_at": created + 1800,
        "invoice": None,
        "livemode": False,
        "metadata": {},
        "mode": mode,
        "payment_intent": None,
        "payment_status": "unpaid",
        "recovered_from": None,
        "status": "open",
        "subscription": None,
        "success_url": None,
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "url": None,
        **given,
    }


def subscription_item(*, created: int, price: Json, quantity: int, start: int, end: int, **given: Any) -> Json:
    """One price of a subscription, with its own period."""
    return {
        "id": new_id("si"),
        "object": "subscription_item",
        "created": created,
        "current_period_end": end,
        "current_period_start": start,
        "metadata": {},
        "price": price,
        "quantity": quantity,
        **given,
    }


def subscription(*, created: int, customer: str, items: Sequence[Json], status: str, **given: Any) -> Json:
    """What is paid again and again."""
    return {
        "id": new_id("sub"),
        "object": "subscription",
        "billing_cycle_anchor": created,
        "billing_mode": {"type": "flexible", "flexible": {"proration_discounts": "included"}},
        "cancel_at": None,
        "cancel_at_period_end": False,
        "canceled_at": None,
        "cancellation_details": {"comment": None, "feedback": None, "reason": None},
        "collection_method": "charge_automatically",
        "created": created,
        "currency": "usd",
        "customer": customer,
        "default_payment_method": None,
        "ended_at": None,
        "items": listed(items, "/v1/subscription_items"),
        "latest_invoice": None,
        "livemode": False,
        "metadata": {},
        "pause_collection": None,
        "schedule": None,
        "start_date": created,
        "status": status,
        "trial_end": None,
        "trial_start": None,
        **given,
    }


def line(
    *, amount: int, price: Json | str, quantity: int, start: int, end: int, subscription: str | None = None,
    item: str | None = None, proration: bool = False, **given: Any,
) -> Json:  # fmt: skip
    """A line of an invoice: of a subscription's item, or of something bought once."""
    of_subscription = {
        "invoice_item": None,
        "proration": proration,
        "proration_details": None,
        "subscription": subscription,
        "subscription_item": item,
    }
    once = {"invoice_item": new_id("ii"), "proration": False, "proration_details": None, "subscription": None}
    price_id = price if isinstance(price, str) else price["id"]
    product_id = "prod_sim" if isinstance(price, str) else price["product"]
    return {
        "id": new_id("il"),
        "object": "line_item",
        "amount": amount,
        "currency": "usd",
        "description": None,
        "discount_amounts": [],
        "discountable": True,
        "livemode": False,
        "metadata": {},
        "parent": {
            "invoice_item_details": None if subscription else once,
            "subscription_item_details": of_subscription if subscription else None,
            "type": "subscription_item_details" if subscription else "invoice_item_details",
        },
        "period": {"end": end, "start": start},
        "pricing": {
            "price_details": {"price": price_id, "product": product_id},
            "type": "price_details",
            "unit_amount_decimal": str(amount // (quantity or 1)),
        },
        "quantity": quantity,
        "subtotal": amount,
        "taxes": [],
        **given,
    }


def invoice(
    *, created: int, customer: str, lines: Sequence[Json], reason: str, subscription: str | None = None,
    proration_at: int | None = None, tax: int = 0, **given: Any,
) -> Json:  # fmt: skip
    """What is owed, and whether it is paid."""
    subtotal = sum(one["amount"] for one in lines)
    parent: Mapping[str, Any] | None = {
        "quote_details": None,
        "subscription_details": {
            "metadata": {},
            "subscription": subscription,
            **({"subscription_proration_date": proration_at} if proration_at else {}),
        },
        "type": "subscription_details",
    }
    return {
        "id": new_id("in"),
        "object": "invoice",
        "amount_due": subtotal + tax,
        "amount_paid": 0,
        "amount_paid_off_stripe": 0,
        "amount_remaining": subtotal + tax,
        "attempt_count": 0,
        "attempted": False,
        "auto_advance": subscription is not None,
        "billing_reason": reason,
        "collection_method": "charge_automatically",
        "created": created,
        "currency": "usd",
        "customer": customer,
        "hosted_invoice_url": None,
        "last_finalization_error": None,
        "lines": listed(lines, "/v1/invoices/lines"),
        "livemode": False,
        "metadata": {},
        "next_payment_attempt": None,
        "parent": parent if subscription else None,
        "period_end": created,
        "period_start": created,
        "status": "draft",
        "status_transitions": {
            "finalized_at": None, "marked_uncollectible_at": None, "paid_at": None, "voided_at": None,
        },
        "subtotal": subtotal,
        "subtotal_excluding_tax": subtotal,
        "total": subtotal + tax,
        "total_discount_amounts": [],
        "total_excluding_tax": subtotal,
        "total_taxes": [
            {"amount": tax, "tax_behavior": "exclusive", "tax_rate_details": None, "taxable_amount": subtotal,
             "taxability_reason": "standard_rated", "type": "tax_rate_details"}
        ] if tax else [],
        **given,
    }  # fmt: skip


def payment_intent(
    *, created: int, amount: int, currency: str, customer: str | None, status: str, **given: Any
) -> Json:
    """An attempt to take money."""
    return {
        "id": new_id("pi"),
        "object": "payment_intent",
        "amount": amount,
        "amount_received": amount if status == "succeeded" else 0,
        "created": created,
        "currency": currency,
        "customer": customer,
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "metadata": {},
        "payment_method": None,
        "status": status,
        **given,
    }


def invoice_payment(*, created: int, invoice: str, payment_intent: str, amount: int, currency: str) -> Json:
    """Which payment paid an invoice."""
    return {
        "id": new_id("inpay"),
        "object": "invoice_payment",
        "amount_paid": amount,
        "amount_requested": amount,
        "created": created,
        "currency": currency,
        "invoice": invoice,
        "is_default": True,
        "livemode": False,
        "payment": {"payment_intent": payment_intent, "type": "payment_intent"},
        "status": "paid",
        "status_transitions": {"canceled_at": None, "paid_at": created},
    }


def refund(*, created: int, payment_intent: Json, amount: int, status: str, **given: Any) -> Json:
    """Money that goes back."""
    return {
        "id": new_id("re"),
        "object": "refund",
        "amount": amount,
        "charge": payment_intent["latest_charge"],
        "created": created,
        "currency": payment_intent["currency"],
        "customer": payment_intent["customer"],
        "metadata": {},
        "payment_intent": payment_intent["id"],
        "reason": "requested_by_customer",
        "status": status,
        **given,
    }


def dispute(*, created: int, payment_intent: Json, status: str, **given: Any) -> Json:
    """A payment that its payer has had stopped by the bank."""
    return {
        "id": new_id("dp"),
        "object": "dispute",
        "amount": payment_intent["amount"],
        "charge": payment_intent["latest_charge"],
        "created": created,
        "currency": payment_intent["currency"],
        "is_charge_refundable": False,
        "livemode": False,
        "metadata": {},
        "payment_intent": payment_intent["id"],
        "reason": "fraudulent",
        "status": status,
        **given,
    }


def credit_note(*, created: int, invoice: Json, total: int, total_excluding_tax: int, refunds: Sequence[Json]) -> Json:
    """What an invoice is lowered by, and which refunds belong to it."""
    return {
        "id": new_id("cn"),
        "object": "credit_note",
        "amount": total,
        "created": created,
        "currency": invoice["currency"],
        "customer": invoice["customer"],
        "invoice": invoice["id"],
        "livemode": False,
        "metadata": {},
        "out_of_band_amount": None,
        "refunds": [{"amount_refunded": one["amount"], "refund": one["id"], "type": "refund"} for one in refunds],
        "status": "issued",
        "total": total,
        "total_excluding_tax": total_excluding_tax,
        "type": "post_payment",
    }


def early_fraud_warning(*, created: int, payment_intent: Json) -> Json:
    """What a card network says before there is a dispute."""
    return {
        "id": new_id("issfr"),
        "object": "radar.early_fraud_warning",
        "actionable": True,
        "charge": payment_intent["latest_charge"],
        "created": created,
        "fraud_type": "made_with_stolen_card",
        "livemode": False,
        "payment_intent": payment_intent["id"],
    }


def webhook_endpoint(*, created: int, url: str, enabled_events: Sequence[str], **given: Any) -> Json:
    """Where events go."""
    return {
        "id": new_id("we"),
        "object": "webhook_endpoint",
        "api_version": None,
        "created": created,
        "description": None,
        "enabled_events": list(enabled_events),
        "livemode": False,
        "metadata": {},
        "status": "enabled",
        "url": url,
        **given,
    }


def portal_session(*, created: int, customer: str, return_url: str | None, url: str, session_id: str) -> Json:
    """A page on which a customer manages what was bought."""
    return {
        "id": session_id,
        "object": "billing_portal.session",
        "created": created,
        "customer": customer,
        "livemode": False,
        "return_url": return_url,
        "url": url,
    }


def portal_configuration(*, created: int) -> Json:
    """What customers may do in the portal. The page of the simulated one lets them do everything."""
    update = {
        "default_allowed_updates": [],
        "enabled": False,
        "proration_behavior": "none",
        "schedule_at_period_end": {"conditions": []},
    }
    return {
        "id": new_id("bpc"),
        "object": "billing_portal.configuration",
        "active": True,
        "created": created,
        "features": {"subscription_update": update},
        "is_default": True,
        "livemode": False,
        "metadata": {},
        "updated": created,
    }
