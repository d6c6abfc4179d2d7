"""What Stripe is asked for. Never inside a transaction, and each call can be repeated under its key."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sonas_supabase.billing._settings import BillingSettings
from sonas_supabase.billing.errors import KeyRefused, ProviderUnavailable, ProviderUnreachable

if TYPE_CHECKING:
    import stripe
    from stripe import checkout

_log = logging.getLogger("sonas_supabase.billing")
_TIMEOUT = 20
_NOT_DONE = "The payment provider could not do what it was asked for."
_LATER = "Try again in a moment."
OPEN_FOR = 1800
"""Seconds for which a page to pay on is open; Stripe's minimum."""


class Stripe:
    """The calls to Stripe, by the official SDK. They block: an event loop runs them in a thread."""

    def __init__(self, settings: BillingSettings) -> None:
        import stripe

        self._settings = settings
        addresses: Any = {"api": settings.api_base} if settings.api_base else {}
        self.client = stripe.StripeClient(
            settings.require_key(),
            base_addresses=addresses,
            max_network_retries=2,
            http_client=stripe.RequestsClient(timeout=_TIMEOUT),
        )

    def new_customer(self, account_id: UUID, email: str | None) -> str:
        """The id of a customer that stands for an account; the same one for two requests at once."""
        wanted: Any = {"metadata": {"sonas_account_id": str(account_id)}}
        if email:
            wanted["email"] = email
        said = hashlib.sha256(repr(sorted(wanted.items())).encode()).hexdigest()[:16]
        with told("customers.create"):
            return self.client.v1.customers.create(
                wanted, {"idempotency_key": f"sonas-customer-{account_id}-{said}"}
            ).id

    def open_session(
        self, order: Any, customer: str, *, name: str, buyer: dict[str, str], success_url: str, cancel_url: str
    ) -> checkout.Session:
        """A page on which an order is paid, open for half an hour."""
        item: Any = {"quantity": order.quantity}
        if order.price_id:
            item["price"] = order.price_id
        else:
            item["price_data"] = {
                "currency": order.currency,
                "unit_amount": order.unit_amount,
                "product_data": {"name": name},
                "tax_behavior": "exclusive",
            }
        # A repeat within the minute is the same request; after it, the page of before may be too old to be made.
        ordered = int(order.created_at.timestamp())
        minute = max(int(time.time()) - ordered, 0) // 60
        wanted: Any = {
            "mode": "subscription" if order.kind == "plan" else "payment",
            "customer": customer,
            "client_reference_id": str(order.order_id),
            # For looking up alone: what was bought, by whom and for how much is in the order.
            "metadata": {"sonas_order_id": str(order.order_id), **buyer},
            "line_items": [item],
            "success_url": success_url,
            "cancel_url": cancel_url,
            "expires_at": ordered + (minute + 1) * 60 + OPEN_FOR,
        }
        if self._settings.automatic_tax:
            wanted |= {"automatic_tax": {"enabled": True}, "customer_update": {"address": "auto"}}
        if order.kind == "plan":
            wanted["payment_method_collection"] = "always"
            wanted["subscription_data"] = {
                "billing_mode": {"type": "flexible"},
                "metadata": {"sonas_order_id": str(order.order_id), **buyer},
            }
        else:
            # The card is kept, so that an automatic top-up has one to charge.
            wanted["payment_intent_data"] = {
                "metadata": {"sonas_order_id": str(order.order_id)},
                "setup_future_usage": "off_session",
            }
        with told("checkout.sessions.create"):
            return self.client.v1.checkout.sessions.create(
                wanted, {"idempotency_key": f"sonas-order-{order.order_id}-{minute}"}
            )

    def session(self, session_id: str) -> checkout.Session:
        """A session as it is now."""
        with told("checkout.sessions.retrieve"):
            return self.client.v1.checkout.sessions.retrieve(session_id)

    def close_others(self, newest: checkout.Session) -> bool:
        """Closes the customer's other pages to subscribe on: one at a time, the newest, also with two tabs at once.

        True when one of them, or a newer one, is where the customer subscribes.
        """
        import stripe

        sessions = self.client.v1.checkout.sessions
        is_overtaken = False
        with told("checkout.sessions.list"):
            wanted: Any = {"customer": id_of(newest.customer), "status": "open", "limit": 100}
            for other in sessions.list(wanted).data:
                if other.mode != "subscription" or other.id == newest.id:
                    continue
                if (other.created, other.id) > (newest.created, newest.id):
                    is_overtaken = True
                    continue
                try:
                    sessions.expire(other.id)
                except stripe.InvalidRequestError:
                    is_overtaken |= sessions.retrieve(other.id).status == "complete"
            if is_overtaken:
                sessions.expire(newest.id)
        return is_overtaken

    def portal_url(self, customer: str, return_url: str) -> str:
        """Where a customer manages what was bought."""
        with told("billing_portal.sessions.create"):
            made = self.client.v1.billing_portal.sessions.create({"customer": customer, "return_url": return_url})
        return made.url

    def new_top_up(self, order: Any, customer: str, *, name: str) -> str:
        """The id of an invoice for an automatic top-up, not charged yet.

        Each step has a key of its own, so that what was cut off is continued and never done twice. Dunning is off: what
        our own brake has stopped is not to be tried again.
        """
        key = f"sonas-top-up-{order.order_id}"
        calls = self.client.v1
        with told("invoices"):
            wanted: Any = {
                "customer": customer,
                "auto_advance": False,
                "collection_method": "charge_automatically",
                "currency": order.currency,
                "pending_invoice_items_behavior": "exclude",
                "metadata": {"sonas_order_id": str(order.order_id)},
            }
            if self._settings.automatic_tax:
                wanted["automatic_tax"] = {"enabled": True}
            invoice = calls.invoices.create(wanted, {"idempotency_key": f"{key}-invoice"})
            invoice_id = str(invoice.id)
            item: Any = {"customer": customer, "invoice": invoice_id, "quantity": order.quantity, "description": name}
            if order.price_id:
                item["pricing"] = {"price": order.price_id}
            else:
                item |= {"currency": order.currency, "unit_amount_decimal": str(order.unit_amount)}
            calls.invoice_items.create(item, {"idempotency_key": f"{key}-item"})
        return invoice_id

    def pay_invoice(self, invoice_id: str) -> str:
        """Finalizes an invoice and charges the card on file. Its state afterwards: paid, open or void."""
        import stripe

        calls = self.client.v1
        with told("invoices.pay"):
            invoice = calls.invoices.retrieve(invoice_id)
            if invoice.status == "draft":
                invoice = calls.invoices.finalize_invoice(invoice_id, {"auto_advance": False})
            if invoice.status != "open":
                return str(invoice.status)
            try:
                return str(calls.invoices.pay(invoice_id, {"off_session": True}).status)
            except stripe.CardError as error:
                # The webhook says the same, with its reason. Who has to confirm the payment may still do so.
                if "requires_action" in str(error.code):
                    return "open"
                calls.invoices.void_invoice(invoice_id)
                return "void"

    def events_since(self, since: int) -> Iterator[dict[str, Any]]:
        """All events from a time on, the oldest first."""
        with told("events.list"):
            found = list(self.client.v1.events.list({"created": {"gte": since}, "limit": 100}).auto_paging_iter())
        for event in reversed(found):
            yield plain(event)


def id_of(of: Any) -> str:
    """The id of what may be expanded."""
    return of if isinstance(of, str) else str(of.id)


@contextmanager
def told(what: str) -> Iterator[None]:
    """Turns the SDK's errors into one of ours, and tells the log what Stripe has said."""
    import stripe

    try:
        yield
    except stripe.APIConnectionError as error:
        _log.error("Stripe could not be reached for %s: %s", what, type(error.__cause__ or error).__name__)
        raise ProviderUnreachable(_NOT_DONE, hint=_LATER) from error
    except (stripe.AuthenticationError, stripe.PermissionError) as error:
        _log.error("Stripe does not take the key for %s: %s", what, error.user_message)
        raise KeyRefused(_NOT_DONE, hint=_LATER) from error
    except stripe.StripeError as error:
        _log.error(
            "Stripe refused %s: %s %s (request %s)", what, error.http_status, error.user_message, error.request_id
        )
        raise ProviderUnavailable(_NOT_DONE, hint=_LATER) from error


def plain(of: stripe.StripeObject) -> dict[str, Any]:
    """An object of the SDK as the JSON that it came as."""
    import json

    return dict(json.loads(str(of)))
