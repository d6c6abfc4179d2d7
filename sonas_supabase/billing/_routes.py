"""The routes for any FastAPI application."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.responses import JSONResponse, Response

from sonas_supabase import AsyncCreditsClient, CreditsError, InvalidArgument
from sonas_supabase.billing._checkout import Buyer, Checkout
from sonas_supabase.billing._reader import read_webhook
from sonas_supabase.billing._requests import (
    CheckoutAnswer,
    CheckoutRequest,
    OrderAnswer,
    PortalAnswer,
    PortalRequest,
    WebhookAnswer,
)
from sonas_supabase.billing._settings import BillingSettings
from sonas_supabase.billing.errors import FAILED, PROBLEM, NotApplied, OrderNotFound, Unreadable, problem_of_request
from sonas_supabase.fastapi import Authenticator, Credits, NotAuthenticated, SupabaseAuth, User
from sonas_supabase.models import CreditPack

_log = logging.getLogger("sonas_supabase.billing")
_LARGEST_BODY = 2**20
_LONGEST_WAIT = 20
_UNDECIDED = ("open", "pending")


def router(
    credits: Credits | AsyncCreditsClient | None = None,
    auth: Authenticator | None = None,
    *,
    settings: BillingSettings | None = None,
    return_path: str = "/billing/return?order={order}",
    cancel_path: str = "/pricing",
    portal_return_path: str = "/",
) -> APIRouter:
    """The webhook, checkout, the portal, and what became of an order, under ``/api/billing``.

    Args:
        credits: what the application has installed, or a client; by default one by the environment.
        auth: who sends a request; by default what ``credits`` knows, else ``SupabaseAuth`` by the environment.
        settings: Stripe's keys; by default those of the environment.
        return_path: the page that one comes back to after paying; ``{order}`` is the id of the order to wait for.
        cancel_path: the page that one comes back to without paying.
        portal_return_path: the page that the portal leads back to.
    """
    if isinstance(credits, Credits):
        client, known = credits.client, auth or credits.auth
    else:
        client, known = credits or AsyncCreditsClient.from_env(), auth or SupabaseAuth.from_env()
    using = settings or BillingSettings.from_env()
    checkout = Checkout(client, using)
    routes = APIRouter(prefix="/api/billing", tags=["billing"], route_class=_Route)

    async def signed_in(authorization: Annotated[str | None, Header(include_in_schema=False)] = None) -> User:
        return await known.user(authorization)

    signed_in_user: Any = Depends(signed_in)

    @routes.post("/webhook")
    async def webhook(
        request: Request, signature: Annotated[str | None, Header(alias="Stripe-Signature")] = None
    ) -> WebhookAnswer:
        """What Stripe tells. 400 for what it has not signed just now or cannot be read; 5xx to be told again."""
        return await _hear(client, using, await _body(request), signature)

    @routes.post("/checkout")
    async def pay(
        request: Request,
        wanted: CheckoutRequest,
        user: User = signed_in_user,
        key: Annotated[str | None, Header(alias="Idempotency-Key", max_length=200)] = None,
    ) -> CheckoutAnswer:
        """Where to pay for a plan or for packs. The order can be asked for afterwards."""
        base = using.app_url or _base(request)
        url, order_id = await checkout.open(
            Buyer(user_id=user.id, email=user.email, workspace_id=wanted.workspace_id),
            wanted,
            key=key,
            success_url=base + return_path,
            cancel_url=base + cancel_path,
        )
        return CheckoutAnswer(url=url, order_id=order_id)

    @routes.post("/portal")
    async def manage(
        request: Request, wanted: PortalRequest | None = None, user: User = signed_in_user
    ) -> PortalAnswer:
        """Where to change or cancel the subscription, change the card, and see payments."""
        buyer = Buyer(user_id=user.id, email=user.email, workspace_id=wanted.workspace_id if wanted else None)
        return PortalAnswer(url=await checkout.portal(buyer, (using.app_url or _base(request)) + portal_return_path))

    @routes.get("/packs")
    async def packs() -> list[CreditPack]:
        """The packs that are sold, the smallest first."""
        return list((await client.list_billing_prices(livemode=using.expected_livemode)).packs)

    @routes.get("/orders/{order_id}")
    async def order(
        request: Request,
        order_id: UUID,
        user: User = signed_in_user,
        workspace_id: UUID | None = None,
        wait: Annotated[int, Query(ge=0, le=_LONGEST_WAIT, description="Seconds to wait for its end.")] = 0,
    ) -> OrderAnswer:
        """What became of an order."""
        until = time.monotonic() + wait
        while True:
            try:
                found = await client.get_billing_order(user.id, order_id, workspace_id=workspace_id)
            except InvalidArgument as error:
                raise OrderNotFound("There is no such order.") from error
            is_over = time.monotonic() >= until or await request.is_disconnected()
            if found.state not in _UNDECIDED or is_over:
                return OrderAnswer.model_validate(found, from_attributes=True)
            await asyncio.sleep(0.5)

    return routes


async def _hear(
    client: AsyncCreditsClient, settings: BillingSettings, body: bytes, signature: str | None
) -> WebhookAnswer:
    said = read_webhook(body, signature, settings.webhook_secrets, livemode=settings.expected_livemode)
    try:
        done = await client.apply_billing_event(said.event, said.facts)
    except InvalidArgument as error:
        _log.error("the event %s (%s) was refused by the database: %s", said.id, said.type, error)
        raise Unreadable("The event says what cannot be.") from error
    except CreditsError as error:
        _log.error("the event %s (%s) could not be applied: %s", said.id, said.type, error.code)
        raise NotApplied("The event could not be applied now.") from error
    level = logging.WARNING if done.outcome == "needs_attention" else logging.INFO
    _log.log(level, "the event %s (%s) is %s. %s", said.id, said.type, done.outcome, done.note or "")
    return WebhookAnswer(event=said.id, outcome=done.outcome, note=done.note)


async def _body(request: Request) -> bytes:
    """The raw body, up to what no event of Stripe's comes near."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_BODY:
            raise Unreadable("The body is too large for an event.")
    return bytes(body)


def _base(request: Request) -> str:
    """Where the request went, with what the application is mounted under."""
    return f"{request.url.scheme}://{request.url.netloc}{request.scope.get('root_path', '')}".rstrip("/")


class _Route(APIRoute):
    """Answers errors as problem documents, in applications that do not know them too."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except CreditsError as error:
                retry = {"retry-after": "5"} if error.status >= FAILED else {}
                return JSONResponse(error.to_problem(), error.status, retry, media_type=PROBLEM)
            except NotAuthenticated as error:
                told = problem_of_request(error.status, str(error), error.code)
                return JSONResponse(told, error.status, {"www-authenticate": "Bearer"}, media_type=PROBLEM)
            except RequestValidationError as error:
                said = " ".join(f"{'.'.join(map(str, at['loc'][1:]))}: {at['msg']}." for at in error.errors())
                told = problem_of_request(InvalidArgument.status, said.lstrip(": "), "invalid_request")
                return JSONResponse(told, InvalidArgument.status, media_type=PROBLEM)

        return answer
