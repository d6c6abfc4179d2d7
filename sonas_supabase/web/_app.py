"""The app as a whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount

from sonas_supabase import AsyncCreditsClient
from sonas_supabase.billing import BillingSettings
from sonas_supabase.billing import router as billing_router
from sonas_supabase.fastapi import Authenticator, Credits
from sonas_supabase.web import _account, _admin, _builtin, _messages, _pages, _prices, _projects, _teams, _usage
from sonas_supabase.web._context import Context, Demo, SupabaseProject
from sonas_supabase.web._live import Live
from sonas_supabase.web._store import Store
from sonas_supabase.web._work import Chat, Checkout, Generate
from sonas_supabase.web.errors import INVALID, PROBLEM, WorkFailed, answers, http_problem, invalid_request

_ALWAYS = answers(
    unreadable="The body cannot be read.",
    invalid="The request is not well formed.",
    unavailable="The database cannot be reached at the moment.",
)


_READ = ["GET", "HEAD"]
_AFTER_PAYING = "/payment?order={order}"
# The order says which workspace it was for.
_WITHOUT_PAYING = "/pricing?order={order}"


def create_app(
    database_url: str,
    *,
    auth: Authenticator,
    credits: AsyncCreditsClient | None = None,
    generate: Generate | None = None,
    chat: Chat | None = None,
    checkout: Checkout | None = None,
    billing: BillingSettings | None = None,
    demo: Demo | None = None,
    supabase: SupabaseProject | None = None,
    embed_origins: Sequence[str] = (),
    language: str | None = None,
    pool_size: int = 10,
) -> FastAPI:
    """The reference app: an ASGI app, to be served by itself or mounted.

    Args:
        database_url: where ``public.projects`` is; it needs the service role's rights. A project is stored in the same
            transaction as its charge, which takes a database connection.
        auth: who sent a request; ``SupabaseAuth`` for a Supabase project.
        credits: the client to use; by default one on ``database_url``, closed with the app.
        generate: the work behind ``POST /api/generate-daytona``; by default the built-in one, which says that it is.
        chat: the work behind ``POST /api/chat-continue``, likewise.
        checkout: where a user pays for a plan. Without it, and outside a demo, plans can be looked at only.
        billing: selling through Stripe: the routes under ``/api/billing``, and pages that lead there. By default what
            the environment says (``STRIPE_SECRET_KEY``, ``STRIPE_WEBHOOK_SECRETS``).
        demo: lets visitors be demo users. For a stack on one's own machine, and nowhere else.
        supabase: the project that users sign in to from the pages.
        embed_origins: other sites' origins whose pages may show ``<sonas-usage>``.
        language: ``en`` or ``de`` for everybody; by default each visitor's browser says it.
        pool_size: the most connections of the app, and of its credits client.
    """
    own_credits = credits is None
    store = Store(database_url, pool_size=pool_size)
    context = Context(
        store=store,
        live=Live(store.account_states),
        credits=credits or AsyncCreditsClient.from_url(database_url, pool_size=pool_size),
        generate=generate or _builtin.generate,
        chat=chat or _builtin.chat,
        builtin_generate=generate is None,
        builtin_chat=chat is None,
        demo=demo,
        supabase=supabase,
        checkout=checkout,
        billing=_billing_of(billing),
        language=language,
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(_pages.prepare)
        yield
        await context.live.close()
        await context.store.close()
        if own_credits:
            await context.credits.close()

    # The interactive documentation of FastAPI loads scripts from elsewhere.
    app = FastAPI(
        title="Sonas",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        responses=_ALWAYS,
    )
    installed = Credits(context.credits, auth)
    installed.install(app)
    app.add_exception_handler(WorkFailed, _work_failed)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_problem)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=list(embed_origins),
        allow_methods=["GET"],
        allow_headers=["authorization", "if-none-match"],
        expose_headers=["etag", "x-total-count"],
    )
    app.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=6)
    app.add_middleware(_pages.SecurityHeaders, connect_to=[supabase.url] if supabase else [])
    for part in (_projects, _usage, _prices, _account, _teams, _messages, _admin):
        app.include_router(part.router(context))
    if context.billing:
        app.include_router(
            billing_router(installed, settings=context.billing, return_path=_AFTER_PAYING, cancel_path=_WITHOUT_PAYING)
        )
    _add_pages(app, language)
    return app


def _billing_of(given: BillingSettings | None) -> BillingSettings | None:
    settings = given or BillingSettings.from_env()
    return settings if settings.is_configured else None


async def _http_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException), "registered for no other"  # noqa: S101
    return JSONResponse(http_problem(error.status_code), error.status_code, error.headers, media_type=PROBLEM)


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError), "registered for no other"  # noqa: S101
    return JSONResponse(invalid_request(error.errors()), INVALID, media_type=PROBLEM)


async def _work_failed(_: Request, error: Exception) -> Response:
    assert isinstance(error, WorkFailed), "registered for no other"  # noqa: S101
    return JSONResponse(error.document, error.status, media_type=PROBLEM)


def _add_pages(app: FastAPI, language: str | None) -> None:
    @app.api_route("/", methods=_READ, include_in_schema=False)
    async def dashboard(request: Request) -> Response:
        return _pages.page("index.html", request, language)

    @app.api_route("/pricing", methods=_READ, include_in_schema=False)
    async def pricing(request: Request) -> Response:
        return _pages.page("pricing.html", request, language)

    @app.api_route("/messages", methods=_READ, include_in_schema=False)
    async def messages(request: Request) -> Response:
        return _pages.page("messages.html", request, language)

    @app.api_route("/payment", methods=_READ, include_in_schema=False)
    async def payment(request: Request) -> Response:
        return _pages.page("payment.html", request, language)

    @app.api_route("/team", methods=_READ, include_in_schema=False)
    async def team(request: Request) -> Response:
        return _pages.page("team.html", request, language)

    @app.api_route("/sonas-usage.js", methods=_READ, include_in_schema=False)
    async def usage_element(request: Request) -> Response:
        return _pages.element("usage-panel.js", request)

    @app.api_route("/sonas-prices.js", methods=_READ, include_in_schema=False)
    async def prices_element(request: Request) -> Response:
        return _pages.element("prices-card.js", request)

    app.router.routes.append(Mount("/static", _pages.PublicFiles(directory=_pages.STATIC)))
