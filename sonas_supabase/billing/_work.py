"""What a worker does for billing: automatic top-ups are charged, and events that lack something are completed."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Any

from sonas_supabase import AsyncCreditsClient, CreditsError
from sonas_supabase.billing._fetch import Fetcher
from sonas_supabase.billing._reader import BillingEvent
from sonas_supabase.billing._settings import BillingSettings
from sonas_supabase.billing._stripe import Stripe
from sonas_supabase.billing.errors import KeyRefused, ProviderUnavailable, ProviderUnreachable

_log = logging.getLogger("sonas_supabase.billing")


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingWork:
    """What one pass has done: top-ups charged, events completed, and what failed and waits for the next pass."""

    charged: int = 0
    completed: int = 0
    failed: int = 0


async def work_once(
    client: AsyncCreditsClient, settings: BillingSettings | None = None, *, limit: int = 20
) -> BillingWork:
    """One pass. Safe from several workers at once: each call to Stripe has the key of its order.

    Without a key of Stripe's there is nothing to do.
    """
    using = settings or BillingSettings.from_env()
    if not using.secret_key:
        return BillingWork()
    stripe = Stripe(using)
    charged, failed = await _charge(client, stripe, using, limit)
    completed, waiting = await _complete(client, stripe, using, limit)
    return BillingWork(charged=charged, completed=completed, failed=failed + waiting)


async def _charge(client: AsyncCreditsClient, stripe: Stripe, settings: BillingSettings, limit: int) -> tuple[int, int]:
    charged = failed = 0
    for order in await client.list_top_ups(limit=limit):
        if order.livemode != settings.livemode:
            continue
        try:
            invoice_id = order.invoice_id
            if invoice_id is None:
                # Written down before it is charged: what it pays is known when the webhook comes.
                name = f"{order.quantity} x {order.pack_id}"
                invoice_id = await asyncio.to_thread(stripe.new_top_up, order, order.customer_id, name=name)
                await client.attach_billing_session(order.order_id, invoice_id)
            state = await asyncio.to_thread(stripe.pay_invoice, invoice_id)
        except (ProviderUnavailable, CreditsError) as error:
            failed += 1
            _log.warning("the top-up %s could not be charged, and is tried again: %s", order.order_id, error.code)
            continue
        charged += state == "paid"
    return charged, failed


async def _complete(
    client: AsyncCreditsClient, stripe: Stripe, settings: BillingSettings, limit: int
) -> tuple[int, int]:
    completed = failed = 0
    fetcher = Fetcher(stripe, settings)
    for row in await client.list_billing_events(outcome="waiting", limit=limit, to_fetch=True):
        try:
            said = await asyncio.to_thread(_fetched, fetcher, row)
            done = await client.apply_billing_event(said.event, said.facts)
        except CreditsError as error:
            failed += 1
            _log.warning("the event %s (%s) stays waiting: %s", row.event_id, row.type, error.code)
            continue
        completed += done.outcome != "waiting"
    return completed, failed


def _fetched(fetcher: Fetcher, row: Any) -> BillingEvent:
    """The event with what Stripe adds; as it is where that is nothing, so that its next turn comes later."""
    try:
        said = fetcher.complete(row)
    except (ProviderUnreachable, KeyRefused):
        raise
    except ProviderUnavailable as error:
        # Stripe has no such object, for one: to ask at once again would keep others waiting.
        _log.warning("the event %s (%s) stays waiting: %s", row.event_id, row.type, error.code)
        said = None
    return said or fetcher.as_it_is(row)
