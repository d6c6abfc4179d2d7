"""Money in: what a payment provider says becomes facts, and facts become plans, packs and refunds, once.

In the order in which an event meets them:

1. :func:`read_webhook` checks who has signed a body and when, and reads it: an event, and its facts. What is no event
   of Stripe's is :class:`Refused`; what is left alone says why (``HANDLED``, ``LEFT_ALONE``).
"""

from __future__ import annotations

from sonas_supabase.billing._events import HANDLED, LEFT_ALONE, SUBSCRIBED, EventType
from sonas_supabase.billing._reader import API_VERSION, BillingEvent, read_event, read_webhook
from sonas_supabase.billing.errors import (
    AlreadySubscribed,
    BadSignature,
    NothingBought,
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
    "EventType",
    "NothingBought",
    "ProviderUnavailable",
    "Refused",
    "UnknownApiVersion",
    "Unreadable",
    "read_event",
    "read_webhook",
]
