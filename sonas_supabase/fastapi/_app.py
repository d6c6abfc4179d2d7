"""The object that an application has one of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from starlette.responses import Response
from starlette.websockets import WebSocket

from sonas_supabase import CreditsError
from sonas_supabase.fastapi._answers import StoredAnswer
from sonas_supabase.fastapi._middleware import CreditsMiddleware
from sonas_supabase.fastapi._openapi import document
from sonas_supabase.fastapi._problems import problem
from sonas_supabase.fastapi._services import Services
from sonas_supabase.fastapi._websockets import refuse
from sonas_supabase.fastapi.errors import NotAuthenticated

if TYPE_CHECKING:
    from starlette.applications import Starlette


class Credits(Services):
    """What routes spend through: the client, who users are, and where spends wait that could not be charged.

    Args:
        client: the client that holds and charges. The application that made it closes it.
        auth: tells who sent a request. API keys (``create_api_key``) count beside what it accepts.
        journal: needed by routes with ``on_unavailable="allow"``. With one, a charge that fails because the database
            cannot be reached is kept as well, on every route.
        on_uncollected: is told what was done and could not be charged; a function or a coroutine function.
        answer_timeout: seconds that a repeat waits for the request before it under the same ``Idempotency-Key``, unless
            its ``Prefer: wait=`` says less. It should be less than the client's own timeout.
    """

    def install(self, app: Starlette) -> None:
        """Make ``spend`` and ``current_user`` work in a FastAPI or Starlette application.

        Adds the middleware that settles, the answers to errors, and the OpenAPI document's part. Call it before the
        application starts; middleware that is added later is told of refusals like of any other response.
        """
        app.add_middleware(CreditsMiddleware, credits=self)
        app.add_exception_handler(CreditsError, cast(Any, _answer))
        app.add_exception_handler(NotAuthenticated, cast(Any, _answer))
        app.add_exception_handler(StoredAnswer, _answer_again)
        openapi = getattr(app, "openapi", None)
        if openapi is not None:
            app.openapi = lambda: document(openapi())  # type: ignore[attr-defined]


async def _answer(connection: Any, error: Exception) -> Response | None:
    refusal = cast(CreditsError | NotAuthenticated, error)
    if isinstance(connection, WebSocket):
        await refuse(connection, refusal)
        return None
    answer = problem(refusal)
    response = Response(answer.body, answer.status)
    response.raw_headers = answer.headers
    return response


async def _answer_again(_: Any, stored: Exception) -> Response:
    answer = cast(StoredAnswer, stored)
    response = Response(answer.body, answer.status)
    response.raw_headers = answer.headers
    return response
