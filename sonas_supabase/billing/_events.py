"""Which types of events are read, and which are deliberately left alone. docs/stripe.md shows this table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EventType:
    """A type of event, the fact that it becomes, and what that does. Without a fact it is left alone, for a reason."""

    name: str
    fact: str | None
    effect: str


def _types(fact: str | None, effect: str, *names: str) -> Iterator[EventType]:
    return (EventType(name, fact, effect) for name in names)


SUBSCRIPTION = tuple(f"customer.subscription.{what}" for what in (
    "created", "updated", "deleted", "paused", "resumed", "pending_update_applied", "pending_update_expired",
))  # fmt: skip
"""Each has the whole subscription as it is then."""

DISPUTE = tuple(f"charge.dispute.{what}" for what in (
    "created", "updated", "funds_withdrawn", "funds_reinstated", "closed",
))  # fmt: skip
"""Each has the whole dispute as it is then."""

HANDLED = {
    known.name: known
    for known in (
        *_types(
            "subscription_seen",
            "plan, status and period of the account follow the newest snapshot",
            *SUBSCRIPTION,
        ),
        *_types("subscription_seen", "the user is told that the trial ends", "customer.subscription.trial_will_end"),
        *_types("period_paid", "covers the period that was paid; grants a pack that was topped up", "invoice.paid"),
        *_types(
            "payment_failed",
            "past due from that moment, if the period is not covered; stops automatic top-ups; an alert",
            "invoice.payment_failed",
        ),
        *_types(
            "payment_failed",
            "the user is asked to confirm the payment, or the operator to mend the invoice",
            "invoice.payment_action_required",
            "invoice.finalization_failed",
        ),
        *_types(
            "payment_failed",
            "closes the order of an automatic top-up; never covers anything",
            "invoice.voided",
            "invoice.marked_uncollectible",
        ),
        *_types(
            "payment_failed",
            "stops automatic top-ups; an alert",
            "payment_intent.payment_failed",
            "payment_intent.requires_action",
        ),
        *_types("payment_linked", "which payment paid which invoice: refunds need it", "invoice_payment.paid"),
        *_types(
            "sale_paid",
            "grants the pack of the order, or links the subscription to the account",
            "checkout.session.completed",
            "checkout.session.async_payment_succeeded",
        ),
        *_types(
            "sale_failed",
            "closes the order",
            "checkout.session.async_payment_failed",
            "checkout.session.expired",
        ),
        *_types(
            "refund_seen",
            "voids the share that was paid back; what is spent becomes a debt",
            "refund.created",
            "refund.updated",
            "refund.failed",
        ),
        *_types(
            "refund_seen",
            "says which part of a refund is tax",
            "credit_note.created",
            "credit_note.voided",
        ),
        *_types(
            "dispute_seen",
            "freezes what was bought, thaws it when the dispute is won, voids it when it is lost",
            *DISPUTE,
        ),
        *_types("dispute_seen", "switches automatic top-ups off; an alert", "radar.early_fraud_warning.created"),
        *_types(
            "customer_changed",
            "automatic top-ups may go on when the card has changed",
            "customer.updated",
            "payment_method.attached",
            "payment_method.automatically_updated",
        ),
        *_types("customer_gone", "the account has no customer any more", "customer.deleted"),
    )
}
"""By name, what is read."""

LEFT_ALONE = {
    known.name: known
    for known in (
        *_types(
            None,
            "a price or product was changed at Stripe; ours stay what they are, `sonas stripe reconcile` tells",
            *(f"{what}.{how}" for what in ("price", "product") for how in ("created", "updated", "deleted")),
        ),
        *_types(None, "answering it late would delay one's own renewals", "invoice.created"),
        *_types(None, "invoice.paid says it too, and is sent for payments outside of Stripe as well",
                "invoice.payment_succeeded", "invoice.overpaid"),
        *_types(
            None,
            "a step on the way; invoice.paid, invoice.payment_failed or invoice.voided says what came of it",
            *(f"invoice.{how}" for how in (
                "deleted", "finalized", "overdue", "payment_attempt_required", "sent", "updated", "will_be_due",
            )),
        ),
        *_types(None, "has no id; reminders go by our own clock", "invoice.upcoming"),
        *_types(None, "cumulative and without the ids of refunds; refund.* says it", "charge.refunded",
                "charge.refund.updated"),
        *_types(
            None,
            "a session or an invoice says it too",
            *(f"charge.{how}" for how in ("succeeded", "failed", "captured", "expired", "pending", "updated")),
            *(f"payment_intent.{how}" for how in (
                "succeeded", "amount_capturable_updated", "canceled", "created", "partially_funded", "processing",
            )),
        ),
        *_types(
            None,
            "the subscription's own snapshot says what came of it",
            *(f"subscription_schedule.{how}" for how in (
                "created", "updated", "released", "canceled", "aborted", "completed", "expiring",
            )),
        ),
        *_types(
            None,
            "Stripe's own credits lower an invoice, and its meters fill one; they are no credits of ours",
            *(f"billing.{what}" for what in (
                "credit_grant.created", "credit_grant.updated", "credit_balance_transaction.created",
                "meter.created", "meter.deactivated", "meter.reactivated", "meter.updated", "alert.triggered",
            )),
        ),
        *_types(None, "features at Stripe; ours are the limits of the plan",
                "entitlements.active_entitlement_summary.updated"),
        *_types(None, "a discount changes what is paid, not what is bought",
                *(f"customer.discount.{how}" for how in ("created", "updated", "deleted"))),
        *_types(None, "the amounts of a credit note stay what they were", "credit_note.updated"),
        *_types(None, "the first warning has switched automatic top-ups off", "radar.early_fraud_warning.updated"),
        *_types(
            None,
            "nothing is bought by it",
            *("customer.created", "payment_method.detached", "payment_method.updated"),
            *(f"customer.source.{how}" for how in ("created", "updated", "deleted", "expiring")),
            *(f"customer.tax_id.{how}" for how in ("created", "updated", "deleted")),
        ),
    )
}  # fmt: skip
"""By name, what is left alone on purpose. It is not subscribed to; where it comes anyhow it is stored as ignored."""

SUBSCRIBED = tuple(sorted([*HANDLED, "price.updated", "product.updated"]))
"""What the endpoint at Stripe is subscribed to."""
