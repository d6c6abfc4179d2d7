"""From the wish to buy to a page on which to pay: the order is written first, the page is asked for afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

from sonas_supabase import AsyncCreditsClient, Forbidden, InvalidArgument
from sonas_supabase.billing._requests import CheckoutRequest
from sonas_supabase.billing._settings import BillingSettings
from sonas_supabase.billing._stripe import Stripe
from sonas_supabase.billing.errors import AlreadySubscribed, NothingBought

if TYPE_CHECKING:
    from sonas_supabase.models import BillingAccount, BillingOrder

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Buyer:
    """Who buys: the person who is signed in, for themselves or for a workspace."""

    user_id: UUID
    email: str | None
    workspace_id: UUID | None

    def as_metadata(self) -> dict[str, str]:
        """What reconcile looks the order up by."""
        given = {"sonas_user_id": self.user_id, "sonas_workspace_id": self.workspace_id}
        return {name: str(value) for name, value in given.items() if value}


class Checkout:
    """Opens pages to pay on, and the portal."""

    def __init__(self, client: AsyncCreditsClient, settings: BillingSettings) -> None:
        self._client = client
        self._settings = settings
        self._made: Stripe | None = None

    def _stripe(self) -> Stripe:
        if self._made is None:
            self._made = Stripe(self._settings)
        return self._made

    async def open(
        self, buyer: Buyer, wanted: CheckoutRequest, *, key: str | None, success_url: str, cancel_url: str
    ) -> tuple[str, UUID]:
        """Where to pay for what is wanted, and its order. ``{order}`` in the addresses is the order's id.

        Raises:
            Forbidden: the member of a workspace is neither an owner nor an admin.
            AlreadySubscribed: the account pays for a plan already, or is doing so at this moment.
        """
        stripe = self._stripe()
        account = await self._account(buyer)
        if wanted.plan_id and account.is_subscribed:
            raise _subscribed()
        if wanted.plan_id and wanted.quantity != 1:
            await self._must_be_per_seat(wanted.plan_id)
        order = await self._client.create_billing_order(
            buyer.user_id,
            pack_id=wanted.pack_id,
            plan_id=wanted.plan_id,
            interval=wanted.interval,
            livemode=self._settings.livemode,
            quantity=wanted.quantity,
            workspace_id=buyer.workspace_id,
            idempotency_key=f"checkout:{key}" if key else None,
        )
        if order.session_id:
            before = await _apart(lambda: stripe.session(str(order.session_id)))
            if before.status == "open" and before.url:
                return before.url, order.order_id
        customer = account.customer_id or await self._new_customer(buyer, account)
        name = await self._name_of(order)
        session = await _apart(
            lambda: stripe.open_session(
                order,
                customer,
                name=name,
                buyer=buyer.as_metadata(),
                success_url=_of_order(success_url, order, buyer),
                cancel_url=_of_order(cancel_url, order, buyer),
            )
        )
        await self._client.attach_billing_session(order.order_id, session.id)
        if order.kind == "plan" and await _apart(lambda: stripe.close_others(session)):
            raise _subscribed()
        return str(session.url), order.order_id

    async def _must_be_per_seat(self, plan_id: str) -> None:
        """What is not sold by the seat would be paid several times and had once."""
        if any(plan.id == plan_id and plan.per_seat for plan in await self._client.list_plans()):
            return
        raise InvalidArgument("This plan is not sold by the seat.", details={"argument": "quantity"})

    async def portal(self, buyer: Buyer, return_url: str) -> str:
        """Where to manage the subscription and see payments.

        Raises:
            NothingBought: there is no customer yet.
            Forbidden: the member of a workspace is neither an owner nor an admin.
        """
        account = await self._account(buyer)
        if account.customer_id is None:
            raise NothingBought("Nothing has been bought yet.", hint="Choose a plan first.")
        customer = account.customer_id
        return await _apart(lambda: self._stripe().portal_url(customer, return_url))

    async def _name_of(self, order: BillingOrder) -> str:
        """What a pack is called on the page to pay on, where Stripe knows no price of it."""
        if order.price_id or not order.pack_id:
            return ""
        packs = (await self._client.list_billing_prices()).packs
        return next((pack.name for pack in packs if pack.id == order.pack_id), order.pack_id)

    async def _account(self, buyer: Buyer) -> BillingAccount:
        account = await self._client.get_billing_account(
            buyer.user_id, livemode=self._settings.livemode, workspace_id=buyer.workspace_id
        )
        if not account.may_buy:
            raise Forbidden("Only an owner or an admin buys for a workspace.", hint="Ask one of them.")
        return account

    async def _new_customer(self, buyer: Buyer, account: BillingAccount) -> str:
        made = await _apart(lambda: self._stripe().new_customer(account.account_id, buyer.email))
        await self._client.link_billing_customer(
            buyer.user_id, made, livemode=self._settings.livemode, workspace_id=buyer.workspace_id
        )
        return made


def _of_order(url: str, order: BillingOrder, buyer: Buyer) -> str:
    """The address of a page about an order; a workspace's order is asked for with the workspace."""
    if "{order}" not in url:
        return url
    workspace = f"&workspace_id={buyer.workspace_id}" if buyer.workspace_id else ""
    return url.replace("{order}", f"{order.order_id}{workspace}")


def _subscribed() -> AlreadySubscribed:
    return AlreadySubscribed(
        "There is a subscription already, or its payment is on the way.",
        hint="Change the plan in the portal.",
    )


async def _apart(call: Callable[[], T]) -> T:
    """Runs what blocks beside the event loop."""
    return await asyncio.to_thread(call)
