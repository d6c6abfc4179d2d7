"""For any WSGI or ASGI application: an error of the credit system that was not answered becomes a problem document.

::

    application = WsgiProblems(application)  # Bottle, Pyramid, Falcon, Flask with PROPAGATE_EXCEPTIONS, plain WSGI
    app = AsgiProblems(app)  # any ASGI application; CreditsMiddleware of sonas_supabase.fastapi does this as well

So a denial is a 402 with the problem document (RFC 9457), also where a statement of the application's own has met it in
a metered table. What goes wrong once the response has begun, and what is no error of the credit system, is raised
further.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http import HTTPStatus
from typing import Any

from sonas_supabase import CreditsError, CreditsUnavailable, error_of

__all__ = ["AsgiProblems", "WsgiProblems", "answer_to", "refusal_in"]

MEDIA_TYPE = "application/problem+json"
_RETRY_AFTER = "5"

Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], object]]
WsgiApp = Callable[[Environ, StartResponse], Iterable[bytes]]
Message = MutableMapping[str, Any]
AsgiApp = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]


def refusal_in(error: BaseException) -> CreditsError | None:
    """The error of the credit system that an exception is or was raised from; None for any other mistake."""
    known = error_of(error)
    # A database that is away in the middle of the application's own work is the application's to answer.
    return None if known is not error and known is not None and known.retryable else known


def answer_to(error: CreditsError) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the answer to an error."""
    body = json.dumps(error.to_problem(), ensure_ascii=False).encode()
    headers = {"Content-Type": MEDIA_TYPE, "Content-Length": str(len(body))}
    if isinstance(error, CreditsUnavailable):
        headers["Retry-After"] = _RETRY_AFTER
    return error.status, headers, body


class WsgiProblems:
    """Answers for a WSGI application."""

    def __init__(self, app: WsgiApp) -> None:
        self._app = app

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        begun = False

        def start(*arguments: Any) -> Callable[[bytes], object]:
            nonlocal begun
            begun = True
            return start_response(*arguments)

        try:
            return self._app(environ, start)
        except Exception as error:
            refusal = None if begun else refusal_in(error)
            if refusal is None:
                raise
            status, headers, body = answer_to(refusal)
            start_response(f"{status} {HTTPStatus(status).phrase}", list(headers.items()))
            return [] if environ.get("REQUEST_METHOD") == "HEAD" else [body]


class AsgiProblems:
    """Answers for an ASGI application."""

    def __init__(self, app: AsgiApp) -> None:
        self._app = app

    async def __call__(
        self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        """Serve one connection."""
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            refusal = refusal_in(error) if scope["type"] == "http" and not begun else None
            if refusal is None:
                raise
            status, headers, body = answer_to(refusal)
            fields = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
            await send({"type": "http.response.start", "status": status, "headers": fields})
            await send({"type": "http.response.body", "body": body})
