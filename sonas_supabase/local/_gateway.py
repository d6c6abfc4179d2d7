"""The front door of the local stack: /rest/v1/ to PostgREST, as on a hosted project.

supabase-py sends an opaque key (`sb_secret_…`, `sb_publishable_…`) both as `apikey` and as Bearer; PostgREST knows only
tokens. The gateway turns the key into a token of its role, and lets a user's own token through as it is.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route

from sonas_supabase.local.keys import Keys
from sonas_supabase.local.mail import MailCatcher

METHODS = ["GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"]
_HOP_BY_HOP = {
    "connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "host", "content-length",
    "accept-encoding", "content-encoding",
}  # fmt: skip
_CORS = {
    "access-control-allow-origin": "*",
    "access-control-allow-headers": ", ".join(
        [
            "authorization",
            "apikey",
            "content-type",
            "prefer",
            "accept-profile",
            "content-profile",
            "range",
            "x-client-info",
        ]
    ),
    "access-control-allow-methods": ", ".join(METHODS),
}


def gateway(postgrest_url: str, keys: Keys, app: Starlette | None = None, mail: MailCatcher | None = None) -> Starlette:
    """The ASGI app. `app` is served beside /rest/v1/, and what `mail` catches at /mail."""

    @asynccontextmanager
    async def lifespan(outer: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            outer.state.postgrest = await stack.enter_async_context(
                httpx.AsyncClient(base_url=postgrest_url, timeout=60)
            )
            if mail is not None:
                await stack.enter_async_context(mail.running())
            if app is not None:
                # What is mounted is not told by itself when the server starts and stops.
                await stack.enter_async_context(app.router.lifespan_context(app))
            yield

    async def rest(request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=_CORS)
        headers = {name: value for name, value in request.headers.items() if name not in _HOP_BY_HOP}
        api_key = headers.pop("apikey", request.query_params.get("apikey", ""))
        bearer = headers.get("authorization", "").removeprefix("Bearer ").strip()
        credential = bearer or api_key
        if not credential:
            return _unauthorized("No API key found in request.")
        role = keys.role_of(credential)
        if role is None and credential.startswith("sb_"):
            return _unauthorized("Invalid API key.")
        headers["authorization"] = f"Bearer {keys.token(role=role) if role else credential}"
        query = [(name, value) for name, value in request.query_params.multi_items() if name != "apikey"]
        try:
            answer = await request.app.state.postgrest.request(
                request.method,
                "/" + request.path_params["path"],
                params=query,
                headers=headers,
                content=await request.body(),
            )
        except httpx.TransportError:
            return JSONResponse(
                {"code": "PGRST000", "message": "PostgREST does not answer.", "details": None, "hint": None},
                status_code=503,
                headers=_CORS,
            )
        return Response(answer.content, answer.status_code, _answer_headers(answer.headers))

    return Starlette(
        routes=[
            Route("/rest/v1", lambda _: RedirectResponse("/rest/v1/")),
            Route("/rest/v1/{path:path}", rest, methods=METHODS),
            *(mail.routes() if mail is not None else []),
            *([Mount("/", app)] if app is not None else []),
        ],
        lifespan=lifespan,
    )


def _unauthorized(message: str) -> Response:
    return JSONResponse(
        {"message": message, "hint": "Send a key of this stack as the header `apikey`; `sonas status` shows them."},
        status_code=401,
        headers={**_CORS, "www-authenticate": "Bearer"},
    )


def _answer_headers(headers: Mapping[str, str]) -> dict[str, str]:
    return {**_CORS, **{n: v for n, v in headers.items() if n.lower() not in _HOP_BY_HOP}}
