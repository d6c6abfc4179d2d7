"""The pages and their scripts, and the headers that keep them closed."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sonas_supabase.web._assets import EACH_TIME, FOR_EVER, STATIC, Asset, Assets

__all__ = ["STATIC", "PublicFiles", "SecurityHeaders", "element", "page", "prepare"]

_assets = Assets()
_FOR_OTHER_SITES = {"access-control-allow-origin": "*", "cross-origin-resource-policy": "cross-origin"}


class PublicFiles(StaticFiles):
    """Static files that other sites' pages may load: a module script needs to be told so.

    Under a name with its hash a file is kept for a year; under its own name it is asked for anew each time.
    """

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, or 304 when the browser has it."""
        asset = _assets.file(path)
        if asset is not None:
            return asset.respond(Request(scope), FOR_EVER, **_FOR_OTHER_SITES)
        response = await super().get_response(path, scope)
        response.headers.update(_FOR_OTHER_SITES | {"cache-control": EACH_TIME})
        return response


def prepare() -> None:
    """Makes pages and files ready to be delivered."""
    _assets.prepare()


def page(name: str, request: Request, language: str | None = None) -> Response:
    """One of the HTML pages."""
    return _assets.page(name, language).respond(request, EACH_TIME)


def element(module: str, request: Request) -> Response:
    """The script that brings an element to any page: <sonas-usage>, <sonas-prices>."""
    name = _assets.name_of(STATIC / module)
    script = Asset(f'import "./static/{name}";\n'.encode(), "text/javascript; charset=utf-8")
    return script.respond(request, EACH_TIME, **_FOR_OTHER_SITES)


class SecurityHeaders:
    """Adds to every answer what browsers enforce: own scripts only, none inline, in nobody's frame."""

    def __init__(self, app: ASGIApp, *, connect_to: Sequence[str] = ()) -> None:
        self._app = app
        self._policy = "; ".join(
            [
                "default-src 'none'",
                "script-src 'self'",
                "style-src 'self'",
                "img-src 'self' data:",
                "font-src 'self'",
                " ".join(["connect-src 'self'", *connect_to]),
                "manifest-src 'self'",
                "base-uri 'none'",
                "form-action 'self'",
                "frame-ancestors 'none'",
                "require-trusted-types-for 'script'",
                "trusted-types 'none'",
            ]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes on, with the headers added."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["content-security-policy"] = self._policy
                headers["x-content-type-options"] = "nosniff"
                headers["x-frame-options"] = "DENY"
                headers["referrer-policy"] = "no-referrer"
                headers["cross-origin-opener-policy"] = "same-origin"
                headers["permissions-policy"] = "camera=(), geolocation=(), microphone=(), payment=()"
                headers.setdefault("cross-origin-resource-policy", "same-origin")
                headers.setdefault("cache-control", "no-store")
            await send(message)

        await self._app(scope, receive, send_with_headers)
