"""The pages and their scripts, and the headers that keep them closed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from starlette.datastructures import MutableHeaders
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

STATIC = Path(__file__).parent / "static"


class PublicFiles(StaticFiles):
    """Static files that other sites' pages may load: a module script needs to be told so."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        """The file, or 304 when the browser has it."""
        return _open(super().file_response(*args, **kwargs))  # type: ignore[arg-type]


def page(name: str) -> Response:
    """One of the HTML pages."""
    return FileResponse(STATIC / name, headers={"cache-control": "no-cache"})


def element() -> Response:
    """The script that brings <sonas-usage> to any page."""
    return _open(FileResponse(STATIC / "sonas-usage.js", media_type="text/javascript"))


def _open(response: Response) -> Response:
    response.headers["access-control-allow-origin"] = "*"
    response.headers["cross-origin-resource-policy"] = "cross-origin"
    response.headers["cache-control"] = "no-cache"
    return response


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
