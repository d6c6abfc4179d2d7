"""Money in: what a payment provider says becomes facts, and facts become plans, packs and refunds, once.

In the order in which an event meets them:

1. :func:`read_webhook` checks who has signed a body and when, and reads it: an event, and its facts. What is no event
   of Stripe's is :class:`Refused`; what is left alone says why (``HANDLED``, ``LEFT_ALONE``).
2. The SQL function ``apply_billing_event`` does what the facts say, in one transaction.

And in the order in which a buyer does:

1. :func:`router` has the routes, for any FastAPI application: checkout, portal, webhook, and what became of an order.
   :class:`BillingSettings` are Stripe's keys.
2. The order is written first, with what it buys and for how much; then Stripe is asked for a page to pay on.
3. One comes back to a page that waits for the order: the webhook pays it, not the way back.
"""

from __future__ import annotations

from sonas_supabase.billing._catalog import Change, Offer
from sonas_supabase.billing._events import HANDLED, LEFT_ALONE, SUBSCRIBED, EventType
from sonas_supabase.billing._operations import Finding, Operations
from sonas_supabase.billing._reader import API_VERSION, BillingEvent, read_event, read_webhook
from sonas_supabase.billing._routes import router
from sonas_supabase.billing._settings import BillingSettings
from sonas_supabase.billing._work import BillingWork, work_once
from sonas_supabase.billing.errors import (
    AlreadySubscribed,
    BadSignature,
    NothingBought,
    OrderNotFound,
    ProviderUnavailable,
    Refused,
    UnknownApiVersion,
    Unreadable,
)

__all__ = [
    "API_VERSION",
    "HANDLED",
    "LEFT_ALONE",
    "SUBSCRIBED",
    "AlreadySubscribed",
    "BadSignature",
    "BillingEvent",
    "BillingSettings",
    "BillingWork",
    "Change",
    "EventType",
    "Finding",
    "NothingBought",
    "Offer",
    "Operations",
    "OrderNotFound",
    "ProviderUnavailable",
    "Refused",
    "UnknownApiVersion",
    "Unreadable",
    "read_event",
    "read_webhook",
    "router",
    "work_once",
]
