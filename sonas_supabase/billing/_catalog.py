"""The catalogue at Stripe and ours: what push would change, what pull would register, where the two differ.

A price at Stripe never changes its amount. Another amount is another price, which takes the lookup key over; the one of
before stays registered here, since its subscribers renew at it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sonas_supabase import CreditsClient
from sonas_supabase.billing._events import SUBSCRIBED
from sonas_supabase.billing._reader import API_VERSION
from sonas_supabase.billing._stripe import Stripe, told
from sonas_supabase.models.billing import BillingPrice
from sonas_supabase.money import show_amount

if TYPE_CHECKING:
    import stripe

_PAGE = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What is to be sold: a plan by the month or year, or a pack, for ``amount`` of the currency's smallest unit."""

    name: str
    plan_id: str | None
    pack_id: str | None
    interval: str | None
    currency: str
    amount: int

    @property
    def product_id(self) -> str:
        """The id of its product at Stripe: ours, so that it is found again."""
        return f"sonas_plan_{self.plan_id}" if self.plan_id else f"sonas_pack_{self.pack_id}"

    @property
    def lookup_key(self) -> str:
        """By which its price of now is found at Stripe."""
        return f"{self.product_id}_{self.interval}" if self.plan_id else self.product_id

    @property
    def metadata(self) -> dict[str, str]:
        """What says at Stripe what a price buys, also after its lookup key has gone to another."""
        given = {"sonas_plan_id": self.plan_id, "sonas_pack_id": self.pack_id, "sonas_interval": self.interval}
        return {key: value for key, value in given.items() if value}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One step of bringing two catalogues together. ``action`` is create, replace, register, rename or endpoint."""

    action: str
    what: str
    detail: str


def offers(client: CreditsClient, *, yearly_months: int | None = None) -> list[Offer]:
    """What is on sale here. A year costs ``yearly_months`` months; where that is not said, what it costs now."""
    made = []
    known = {
        (price.plan_id, price.currency): price.unit_amount
        for price in client.list_billing_prices().prices
        if price.is_current and price.billing_interval == "year"
    }
    for plan in client.list_plans():
        if not plan.price_cents:
            continue
        of: dict[str, Any] = {"name": plan.name, "plan_id": plan.id, "pack_id": None, "currency": plan.currency}
        made.append(Offer(**of, interval="month", amount=plan.price_cents))
        yearly = plan.price_cents * yearly_months if yearly_months else known.get((plan.id, plan.currency))
        if yearly:
            made.append(Offer(**of, interval="year", amount=yearly))
    made += [
        Offer(
            name=pack.name,
            plan_id=None,
            pack_id=pack.id,
            interval=None,
            currency=pack.currency,
            amount=pack.price_cents,
        )
        for pack in client.list_billing_prices().packs
    ]
    return made


class Catalogue:
    """Both catalogues."""

    def __init__(self, stripe: Stripe, client: CreditsClient, *, livemode: bool) -> None:
        self._calls = stripe.client.v1
        self._client = client
        self._livemode = livemode

    def push(self, wanted: Sequence[Offer], *, dry_run: bool) -> list[Change]:
        """Makes at Stripe what is missing or costs something else, and registers it here."""
        with told("the catalogue"):
            there = self._prices_by_key([offer.lookup_key for offer in wanted])
            names = self._products([offer.product_id for offer in wanted])
        registered = self._registered()
        changes: list[Change] = []
        for offer in wanted:
            price = there.get(offer.lookup_key)
            if names.setdefault(offer.product_id, None) not in (None, offer.name):
                changes.append(Change(action="rename", what=offer.product_id, detail=f"to {offer.name}"))
                if not dry_run:
                    with told("products.update"):
                        self._calls.products.update(offer.product_id, {"name": offer.name})
                names[offer.product_id] = offer.name
            if price is None or not _is_of(price, offer):
                action = "create" if price is None else "replace"
                before = "" if price is None else f"{_costs(price.currency, price.unit_amount)} becomes "
                cost = _costs(offer.currency, offer.amount)
                changes.append(Change(action=action, what=offer.lookup_key, detail=f"{before}{cost}"))
                if dry_run:
                    continue
                price = self._make(offer, is_new_product=names[offer.product_id] is None)
                names[offer.product_id] = offer.name
            if price.id not in registered:
                changes.append(Change(action="register", what=offer.lookup_key, detail=price.id))
                if not dry_run:
                    self._register(price, offer)
        return changes

    def pull(self, *, dry_run: bool) -> list[Change]:
        """Registers here the prices that push has made at Stripe: for a database that does not know them yet."""
        registered = self._registered()
        with told("prices.list"):
            found = [
                price
                for price in self._calls.prices.list({"limit": 100}).auto_paging_iter()
                if _meant(price) and price.id not in registered
            ]
        # Those with a key are the ones of now, and are registered last.
        found.sort(key=lambda price: (price.lookup_key is not None, price.created))
        for price in found:
            if not dry_run:
                self._register(price, _meant(price))
        return [Change(action="register", what=price.lookup_key or _named(price), detail=price.id) for price in found]

    def drift(self) -> list[Change]:
        """Where a price of ours is another one at Stripe, is archived there, is gone, or is not what the row says."""
        current = [
            price
            for price in self._client.list_billing_prices().prices
            if price.is_current and price.livemode == self._livemode
        ]
        changes = self._not_pushed(current)
        for price in current:
            there = self._price(price.price_id)
            name = _offer_name(price.plan_id, price.pack_id, price.billing_interval)
            if there is None:
                changes.append(Change(action="gone", what=name, detail=price.price_id))
            elif not there.active:
                changes.append(Change(action="archived", what=name, detail=price.price_id))
            elif price.unit_amount is not None and there.unit_amount != price.unit_amount:
                detail = (
                    f"{_costs(price.currency, price.unit_amount)} here, "
                    f"{_costs(there.currency, there.unit_amount)} at Stripe"
                )
                changes.append(Change(action="differs", what=name, detail=detail))
        return changes

    def endpoint(self, url: str, *, dry_run: bool) -> tuple[list[Change], str | None]:
        """The endpoint for events, of our API version and with what we read. Its secret, where it is new."""
        with told("webhook_endpoints.list"):
            there = [one for one in self._calls.webhook_endpoints.list({"limit": 100}).data if one.url == url]
        good = [one for one in there if one.api_version == API_VERSION]
        if not good:
            change = Change(
                action="endpoint", what=url, detail=f"new, {API_VERSION}, {len(SUBSCRIBED)} types of events"
            )
            if dry_run:
                return [change], None
            wanted: Any = {"url": url, "enabled_events": list(SUBSCRIBED), "api_version": API_VERSION}
            with told("webhook_endpoints.create"):
                return [change], self._calls.webhook_endpoints.create(wanted).secret
        if set(good[0].enabled_events) == set(SUBSCRIBED):
            return [], None
        if not dry_run:
            events: Any = {"enabled_events": list(SUBSCRIBED)}
            with told("webhook_endpoints.update"):
                self._calls.webhook_endpoints.update(good[0].id, events)
        return [Change(action="endpoint", what=url, detail="other types of events")], None

    def _not_pushed(self, current: Sequence[BillingPrice]) -> list[Change]:
        """What costs something else by its row, or in another currency, than it is sold for."""
        sold = {
            (price.plan_id, price.pack_id, price.billing_interval): (price.currency, price.unit_amount)
            for price in current
        }
        return [
            Change(
                action="differs",
                what=_offer_name(offer.plan_id, offer.pack_id, offer.interval),
                detail=f"{_costs(offer.currency, offer.amount)} by its row, sold for {_costs(currency, amount)}: "
                "sonas stripe push",
            )
            for offer in offers(self._client)
            for currency, amount in [sold.get((offer.plan_id, offer.pack_id, offer.interval), (None, None))]
            if currency is not None and amount is not None and (currency, amount) != (offer.currency, offer.amount)
        ]

    def _registered(self) -> set[str]:
        return {price.price_id for price in self._client.list_billing_prices().prices}

    def _prices_by_key(self, keys: Sequence[str]) -> dict[str, stripe.Price]:
        found: dict[str, stripe.Price] = {}
        for at in range(0, len(keys), _PAGE):
            for price in self._calls.prices.list({"lookup_keys": list(keys[at : at + _PAGE]), "limit": 100}).data:
                if price.lookup_key:
                    found[price.lookup_key] = price
        return found

    def _products(self, ids: Iterable[str]) -> dict[str, str | None]:
        import stripe

        names: dict[str, str | None] = {}
        for product_id in dict.fromkeys(ids):
            try:
                names[product_id] = self._calls.products.retrieve(product_id).name
            except stripe.InvalidRequestError:
                names[product_id] = None
        return names

    def _price(self, price_id: str) -> stripe.Price | None:
        import stripe

        with told("prices.retrieve"):
            try:
                return self._calls.prices.retrieve(price_id)
            except stripe.InvalidRequestError:
                return None

    def _make(self, offer: Offer, *, is_new_product: bool) -> stripe.Price:
        with told("prices.create"):
            if is_new_product:
                self._calls.products.create({"id": offer.product_id, "name": offer.name, "metadata": offer.metadata})
            wanted: Any = {
                "product": offer.product_id,
                "currency": offer.currency,
                "unit_amount": offer.amount,
                "lookup_key": offer.lookup_key,
                "transfer_lookup_key": True,
                "tax_behavior": "exclusive",
                "metadata": offer.metadata,
            }
            if offer.interval:
                wanted["recurring"] = {"interval": offer.interval}
            return self._calls.prices.create(wanted)

    def _register(self, price: stripe.Price, offer: Offer | None) -> None:
        if offer is None:
            return
        given: dict[str, Any] = {"plan_id": offer.plan_id, "pack_id": offer.pack_id}
        if offer.interval:
            given["interval"] = offer.interval
        self._client.register_billing_price(
            price.id, **given, currency=price.currency, unit_amount=price.unit_amount, livemode=self._livemode
        )


def _is_of(price: stripe.Price, offer: Offer) -> bool:
    interval = price.recurring.interval if price.recurring else None
    return (price.active, price.currency, price.unit_amount, interval) == (
        True,
        offer.currency,
        offer.amount,
        offer.interval,
    )


def _meant(price: stripe.Price) -> Offer | None:
    """What a price that push has made buys; None for others."""
    said = price.metadata.to_dict() if price.metadata else {}
    plan_id, pack_id = said.get("sonas_plan_id"), said.get("sonas_pack_id")
    if bool(plan_id) == bool(pack_id) or price.unit_amount is None:
        return None
    return Offer(
        name="",
        plan_id=plan_id,
        pack_id=pack_id,
        interval=said.get("sonas_interval"),
        currency=price.currency,
        amount=price.unit_amount,
    )


def _named(price: stripe.Price) -> str:
    offer = _meant(price)
    return f"{offer.lookup_key} (of before)" if offer else price.id


def _offer_name(plan_id: str | None, pack_id: str | None, interval: str | None) -> str:
    return f"{plan_id or pack_id} {interval or ''}".strip()


def _costs(currency: str, amount: int | None) -> str:
    return show_amount(amount or 0, currency)
