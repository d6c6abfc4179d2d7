"""Completes an event that waits: what it did not carry is asked for, and the event is read again with it."""

from __future__ import annotations

from typing import Any

from sonas_supabase.billing._reader import API_VERSION, BillingEvent, read_event
from sonas_supabase.billing._settings import BillingSettings
from sonas_supabase.billing._stripe import Stripe, plain, told

_FETCH = "fetch:"
_PAYMENT = "payment:"


class Fetcher:
    """Asks Stripe for what events lack."""

    def __init__(self, stripe: Stripe, settings: BillingSettings) -> None:
        self._calls = stripe.client.v1
        self._settings = settings

    def as_it_is(self, row: Any) -> BillingEvent:
        """The event with nothing added."""
        event = {"id": row.event_id, "type": row.type, "created": row.happened_at.isoformat()}
        return BillingEvent(
            event={**event, "livemode": row.livemode, "api_version": row.api_version}, facts=list(row.facts)
        )

    def complete(self, row: Any) -> BillingEvent | None:
        """The event with what it waits for; None where Stripe has nothing to add."""
        if row.livemode != self._settings.livemode:
            return None
        for missing in row.waits_for:
            if missing.startswith(_FETCH):
                return self._with_object(row, self._whole(missing.removeprefix(_FETCH)))
            if missing.startswith(_PAYMENT):
                return self._with_link(row, missing.removeprefix(_PAYMENT))
        return None

    def _with_object(self, row: Any, of: dict[str, Any]) -> BillingEvent:
        return read_event(
            {
                "id": row.event_id,
                "type": row.type,
                "created": int(row.happened_at.timestamp()),
                "livemode": row.livemode,
                "api_version": row.api_version or API_VERSION,
                "data": {"object": of},
            },
            livemode=self._settings.expected_livemode,
        )

    def _whole(self, object_id: str) -> dict[str, Any]:
        """An invoice with all its lines and payments, or a subscription with all its items."""
        with told("the rest of an event"):
            if object_id.startswith("in_"):
                invoice = plain(self._calls.invoices.retrieve(object_id, {"expand": ["payments"]}))
                lines = self._calls.invoices.line_items.list(object_id, {"limit": 100}).auto_paging_iter()
                return {**invoice, "lines": {"data": [plain(line) for line in lines], "has_more": False}}
            subscription = plain(self._calls.subscriptions.retrieve(object_id))
            items = self._calls.subscription_items.list({"subscription": object_id, "limit": 100}).auto_paging_iter()
            return {**subscription, "items": {"data": [plain(item) for item in items], "has_more": False}}

    def _with_link(self, row: Any, payment: str) -> BillingEvent | None:
        """What a payment has paid, put before what was said of it."""
        if not payment.startswith("pi_"):
            return None
        with told("invoice_payments.list"):
            asked: Any = {"payment": {"type": "payment_intent", "payment_intent": payment}}
            found = self._calls.invoice_payments.list(asked).data
        for one in found:
            link = read_event(
                {
                    "id": row.event_id,
                    "type": "invoice_payment.paid",
                    "created": int(row.happened_at.timestamp()),
                    "livemode": row.livemode,
                    "api_version": API_VERSION,
                    "data": {"object": plain(one)},
                }
            )
            event = {**link.event, "type": row.type, "body": None}
            return BillingEvent(event=event, facts=[*link.facts, *row.facts])
        return None
