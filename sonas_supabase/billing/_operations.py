"""What an operator does: bring the catalogues together, read events again, compare both sides, look for faults."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sonas_supabase import CreditsClient, CreditsError
from sonas_supabase.billing._catalog import Catalogue, Change, offers
from sonas_supabase.billing._events import SUBSCRIBED
from sonas_supabase.billing._reader import API_VERSION, read_event
from sonas_supabase.billing._settings import BillingSettings
from sonas_supabase.billing._stripe import Stripe, told
from sonas_supabase.billing.errors import KeyRefused, ProviderUnavailable, Refused

if TYPE_CHECKING:
    import stripe


_WHAT_A_KEY_MAY = "Is it of this account? A restricted key must be allowed what docs/stripe.md lists."
_PORTAL = "Settings, Billing, Customer portal in the dashboard"
_THE_WAY_THERE = "Is there a way to it from here? STRIPE_API_BASE is for a simulated Stripe alone."


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that differs or is wrong, and what to do or know about it."""

    kind: str
    what: str
    detail: str


class Operations:
    """On a database and on Stripe at once. Blocks."""

    def __init__(self, client: CreditsClient, settings: BillingSettings) -> None:
        self._client = client
        self._settings = settings
        self._stripe = Stripe(settings)
        self._calls = self._stripe.client.v1
        self._catalogue = Catalogue(self._stripe, client, livemode=settings.livemode)
        self._name = settings.api_base or "api.stripe.com"

    def push(self, *, dry_run: bool = False, yearly_months: int | None = None) -> list[Change]:
        """Makes prices at Stripe for what is on sale here, and registers them. What is the same stays."""
        return self._catalogue.push(offers(self._client, yearly_months=yearly_months), dry_run=dry_run)

    def pull(self, *, dry_run: bool = False) -> list[Change]:
        """Registers here the prices that push has made."""
        return self._catalogue.pull(dry_run=dry_run)

    def drift(self) -> list[Change]:
        """Where a price of ours is another one at Stripe, is archived there, or is gone."""
        return self._catalogue.drift()

    def endpoint(self, url: str, *, dry_run: bool = False) -> tuple[list[Change], str | None]:
        """Makes the endpoint for events, or brings it up to date. Its secret, where it is new."""
        return self._catalogue.endpoint(url, dry_run=dry_run)

    def replay(self, since: datetime) -> dict[str, int]:
        """Applies Stripe's events from a time on, the oldest first: how many came to which outcome."""
        outcomes: Counter[str] = Counter()
        for body in self._stripe.events_since(_seconds(since)):
            try:
                said = read_event(body, livemode=self._settings.expected_livemode)
            except Refused as error:
                outcomes[error.code] += 1
                continue
            outcomes[self._client.apply_billing_event(said.event, said.facts).outcome] += 1
        return dict(outcomes)

    def reconcile(self, since: datetime) -> list[Finding]:
        """Where Stripe and this side differ, and what does not agree here. Changes nothing."""
        here = self._client.reconcile_billing(livemode=self._settings.livemode, limit=1000).findings
        return [
            *(Finding(kind=it.finding, what=it.id, detail=it.note or "") for it in here),
            *self._sessions(since),
            *self._subscriptions(),
            *self._credit_notes(since),
            *(Finding(kind=f"price {it.action}", what=it.what, detail=it.detail) for it in self._catalogue.drift()),
        ]

    def _sessions(self, since: datetime) -> Iterator[Finding]:
        with told("checkout.sessions.list"):
            listed: Any = {"created": {"gte": _seconds(since)}, "status": "complete", "limit": 100}
            sessions = list(self._calls.checkout.sessions.list(listed).auto_paging_iter())
        for session in sessions:
            said = session.metadata.to_dict() if session.metadata else {}
            if "sonas_order_id" not in said or session.payment_status == "unpaid":
                continue
            try:
                order = self._client.get_billing_order(
                    said["sonas_user_id"], said["sonas_order_id"], workspace_id=said.get("sonas_workspace_id")
                )
            except (CreditsError, KeyError):
                yield Finding(
                    kind="unknown_order", what=session.id, detail=f"Paid for the order {said['sonas_order_id']}."
                )
                continue
            if order.state != "paid":
                detail = f"The order {order.order_id} is {order.state}. `sonas stripe replay` reads its events again."
                yield Finding(kind="paid_at_stripe", what=session.id, detail=detail)

    def _subscriptions(self) -> Iterator[Finding]:
        """Subscriptions that are paid at Stripe and that no event has told of here."""
        with told("subscriptions.list"):
            there = list(self._calls.subscriptions.list({"limit": 100, "status": "active"}).auto_paging_iter())
        for subscription in there:
            said = subscription.metadata.to_dict() if subscription.metadata else {}
            if "sonas_user_id" not in said:
                continue
            try:
                account = self._client.get_billing_account(
                    said["sonas_user_id"],
                    livemode=self._settings.livemode,
                    workspace_id=said.get("sonas_workspace_id"),
                )
            except CreditsError:
                yield Finding(kind="account_gone", what=subscription.id, detail="It goes on being paid at Stripe.")
                continue
            if subscription.id not in {one.subscription_id for one in account.subscriptions}:
                yield Finding(
                    kind="unknown_subscription", what=subscription.id, detail="`sonas stripe replay` reads its events."
                )

    def _credit_notes(self, since: datetime) -> Iterator[Finding]:
        with told("credit_notes.list"):
            listed: Any = {"created": {"gte": _seconds(since)}, "limit": 100}
            notes = list(self._calls.credit_notes.list(listed).auto_paging_iter())
        for note in notes:
            if note.status != "void" and not note.refunds:
                yield Finding(
                    kind="credit_note", what=note.id, detail="Lowers what is owed at Stripe; no credits change by it."
                )

    def doctor(self, webhook_url: str | None = None) -> list[Finding]:
        """What keeps this from selling, or from hearing that something was sold."""
        try:
            with told("webhook_endpoints.list"):
                endpoints = list(self._calls.webhook_endpoints.list({"limit": 100}).data)
        except KeyRefused:
            return [Finding(kind="key", what="Stripe does not take STRIPE_SECRET_KEY.", detail=_WHAT_A_KEY_MAY)]
        except ProviderUnavailable:
            return [Finding(kind="stripe", what=f"{self._name} does not answer as Stripe.", detail=_THE_WAY_THERE)]
        ours = [one for one in endpoints if _is_ours(one.url, webhook_url)]
        return [
            *self._endpoints(ours),
            *self._secrets(ours),
            *self._portal(),
            *self._sold(),
            *self._events(),
            *(Finding(kind="price", what=f"{it.what} {it.action}", detail=it.detail) for it in self._catalogue.drift()),
        ]

    def _endpoints(self, ours: list[stripe.WebhookEndpoint]) -> Iterator[Finding]:
        # A simulated Stripe tells one address, which is none of its endpoints.
        if not ours and not self._settings.api_base:
            yield Finding(
                kind="endpoint", what="Stripe sends events nowhere.", detail="sonas stripe push --webhook-url URL"
            )
        for one in ours:
            missing = set(SUBSCRIBED) - set(one.enabled_events)
            if one.status != "enabled":
                yield Finding(kind="endpoint", what=f"{one.url} is {one.status}.", detail="Enable it in the dashboard.")
            if one.api_version != API_VERSION:
                yield Finding(
                    kind="endpoint",
                    what=f"{one.url} sends version {one.api_version or 'of the account'}.",
                    detail=f"This release reads {API_VERSION}: `sonas stripe push --webhook-url` makes another one.",
                )
            if missing and "*" not in one.enabled_events:
                yield Finding(
                    kind="endpoint", what=f"{one.url} lacks {', '.join(sorted(missing))}.", detail="sonas stripe push"
                )
            if {"*", "invoice.created"} & set(one.enabled_events):
                yield Finding(
                    kind="endpoint",
                    what=f"{one.url} has invoice.created.",
                    detail="A failing answer to it delays your own renewals: leave it out.",
                )

    def _secrets(self, ours: list[stripe.WebhookEndpoint]) -> Iterator[Finding]:
        if not self._settings.webhook_secrets:
            yield Finding(
                kind="secrets", what="STRIPE_WEBHOOK_SECRETS is not set.", detail="Every event is refused until it is."
            )
        elif not all(secret.startswith("whsec_") for secret in self._settings.webhook_secrets):
            yield Finding(
                kind="secrets", what="STRIPE_WEBHOOK_SECRETS has what is no secret.", detail="They begin with whsec_."
            )

    def _portal(self) -> Iterator[Finding]:
        """Whether there is a portal, and whether what was spent of a larger plan is paid for in it."""
        with told("billing_portal.configurations.list"):
            usual: Any = {"active": True, "is_default": True, "limit": 1}
            found = self._calls.billing_portal.configurations.list(usual).data
        if not found:
            yield Finding(kind="portal", what="The customer portal is not set up.", detail=f"Save it once: {_PORTAL}.")
            return
        change = found[0].features.subscription_update
        waits = change.schedule_at_period_end
        if (
            change.enabled
            and {"price", "quantity"} & set(change.default_allowed_updates or [])
            and change.proration_behavior != "none"
            and "decreasing_item_amount" not in {one.type for one in (waits.conditions if waits else [])}
        ):
            yield Finding(
                kind="portal",
                what="In the portal a smaller plan begins at once, and the difference is credited.",
                detail=f"What was spent of the larger one stays spent: let it wait for the period's end ({_PORTAL}).",
            )

    def _sold(self) -> Iterator[Finding]:
        catalogue = self._client.list_billing_prices()
        known = {it.plan_id for it in catalogue.prices if it.is_current and it.livemode == self._settings.livemode}
        for plan in self._client.list_plans():
            if plan.price_cents and plan.id not in known:
                yield Finding(
                    kind="price", what=f"The plan {plan.id} has no price at Stripe.", detail="sonas stripe push"
                )

    def _events(self) -> Iterator[Finding]:
        for row in self._client.list_billing_events():
            yield Finding(kind=row.outcome, what=f"{row.type} {row.event_id}", detail=row.note or "")


def _is_ours(url: str, webhook_url: str | None) -> bool:
    return url == webhook_url if webhook_url else url.rstrip("/").endswith("/api/billing/webhook")


def _seconds(at: datetime) -> int:
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())
