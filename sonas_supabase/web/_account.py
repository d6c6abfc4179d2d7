"""How a visitor gets in and how a plan is changed: by Supabase Auth and a checkout, or as a demo user."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter, Depends, Request

from sonas_supabase import Forbidden, InvalidArgument, PlanChange
from sonas_supabase.fastapi import CurrentUser
from sonas_supabase.web._context import Context, Demo
from sonas_supabase.web._requests import DemoPlanRequest, PlanRequest, SignInRequest, SignUpRequest
from sonas_supabase.web._store import DemoUser
from sonas_supabase.web._work import Checkout
from sonas_supabase.web.errors import CREATED, EmailTaken, NotHere, answers

_ELSEWHERE = answers(not_found="The user is gone, or this is not the machine that the demo runs on.")
_NOT_A_BUYER = answers(frozen="The user is neither an owner nor an admin of the workspace.")
_TAKEN = answers(conflict="There is a demo user with this address.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What the pages have to know: how to sign in, how to upgrade, and which work is the built-in one."""

    sign_in: str
    upgrade: str
    builtin_generate: bool
    builtin_chat: bool
    supabase_url: str | None
    supabase_publishable_key: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A token to send as Bearer, and whose it is."""

    access_token: str
    user_id: UUID
    email: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """Where to go to pay."""

    url: str


def router(context: Context) -> APIRouter:
    """The routes, on what the app was made with: those of a demo only in a demo."""
    routes = APIRouter(tags=["account"])

    @routes.get("/api/setup")
    async def setup() -> Setup:
        """How this app was set up."""
        return Setup(
            sign_in="demo" if context.demo else "supabase" if context.supabase else "none",
            upgrade=_way_to_upgrade(context),
            builtin_generate=context.builtin_generate,
            builtin_chat=context.builtin_chat,
            supabase_url=context.supabase.url if context.supabase else None,
            supabase_publishable_key=context.supabase.publishable_key if context.supabase else None,
        )

    if context.checkout:
        routes.include_router(_checkout_routes(context, context.checkout))
    if context.demo:
        routes.include_router(_demo_routes(context, context.demo))
    return routes


def _way_to_upgrade(context: Context) -> str:
    if context.checkout:
        return "demo" if context.demo else "checkout"
    return "billing" if context.billing else "demo" if context.demo else "none"


def _checkout_routes(context: Context, checkout: Checkout) -> APIRouter:
    routes = APIRouter()

    @routes.post("/api/checkout")
    async def pay(user: CurrentUser, wanted: PlanRequest) -> Payment:
        """Where the user pays for a plan; the embedding app says it."""
        if wanted.plan not in {plan.id for plan in await context.credits.list_plans()}:
            raise InvalidArgument("There is no such plan.", details={"argument": "plan", "value": wanted.plan})
        return Payment(url=await checkout(user.id, wanted.plan))

    return routes


def _demo_routes(context: Context, demo: Demo) -> APIRouter:
    def on_this_machine(request: Request) -> None:
        if request.url.hostname not in demo.hosts:
            raise NotHere("Demo users are for the machine that this runs on.")

    routes = APIRouter(prefix="/api/demo", tags=["demo"], dependencies=[Depends(on_this_machine)])

    @routes.get("/users", responses=_ELSEWHERE)
    async def users() -> list[DemoUser]:
        """Whom one can sign in as."""
        return await context.store.demo_users()

    @routes.post("/sign-in", responses=_ELSEWHERE)
    async def sign_in(wanted: SignInRequest) -> Session:
        """Signs in as a demo user."""
        for user in await context.store.demo_users():
            if user.id == wanted.user_id:
                return Session(access_token=demo.token(user.id, user.email), user_id=user.id, email=user.email)
        raise NotHere("There is no such demo user.")

    @routes.post("/sign-up", status_code=CREATED, responses=_ELSEWHERE | _TAKEN)
    async def sign_up(wanted: SignUpRequest) -> Session:
        """Makes a new user on the free plan, and signs in."""
        email = wanted.email or f"visitor-{secrets.token_hex(3)}@example.com"
        user_id = await context.store.add_demo_user(email)
        if user_id is None:
            raise EmailTaken(
                "There is a demo user with this address.", hint="Sign in as that user, or take another address."
            )
        return Session(access_token=demo.token(user_id, email), user_id=user_id, email=email)

    @routes.post("/change-plan", responses=_ELSEWHERE | _NOT_A_BUYER)
    async def change_plan(user: CurrentUser, wanted: DemoPlanRequest) -> PlanChange:
        """Moves to another plan at once, unpaid: this is a demo."""
        if wanted.workspace_id:
            account = await context.credits.get_credit_summary(user.id, workspace_id=wanted.workspace_id)
            if not account.may_buy:
                raise Forbidden("Only an owner or an admin buys for a workspace.", hint="Ask one of them.")
        return await context.credits.change_plan(user.id, wanted.plan, workspace_id=wanted.workspace_id)

    return routes
