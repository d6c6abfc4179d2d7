"""The object that an application has one of."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from starlette.requests import Request
from starlette.responses import Response

from sonas_supabase import AsyncCreditsClient, CreditsError
from sonas_supabase.fastapi._journal import Journal
from sonas_supabase.fastapi._middleware import CreditsMiddleware
from sonas_supabase.fastapi._openapi import document
from sonas_supabase.fastapi._problems import problem
from sonas_supabase.fastapi._user import Authenticator
from sonas_supabase.fastapi.errors import NotAuthenticated

if TYPE_CHECKING:
    from starlette.applications import Starlette


class Credits:
    """What routes spend through: the client, who users are, and where spends wait that could not be booked.

    Args:
        client: the client that holds and charges. Whoever made it closes it.
        auth: tells who sent a request.
        journal: needed by routes with ``on_unavailable="allow"``. With one, a charge that fails because the database
            cannot be reached is kept as well, on every route.
    """

    def __init__(self, client: AsyncCreditsClient, auth: Authenticator, *, journal: Journal | None = None) -> None:
        self.client = client
        self.auth = auth
        self.journal = journal

    def install(self, app: Starlette) -> None:
        """Make ``spend`` and ``current_user`` work in a FastAPI or Starlette application.

        Adds the middleware that settles, the answers to errors, and the OpenAPI document's part. Call it before the
        application starts; middleware that is added later is told of refusals like of any other response.
        """
        app.add_middleware(CreditsMiddleware, credits=self)
        app.add_exception_handler(CreditsError, _answer)
        app.add_exception_handler(NotAuthenticated, _answer)
        openapi = getattr(app, "openapi", None)
        if openapi is not None:
            app.openapi = lambda: document(openapi())  # type: ignore[attr-defined]


async def _answer(request: Request, error: Exception) -> Response:
    answer = problem(cast(CreditsError | NotAuthenticated, error))
    response = Response(answer.body, answer.status)
    response.raw_headers = answer.headers
    return response
