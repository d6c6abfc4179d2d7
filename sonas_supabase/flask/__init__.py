"""Credits for Flask: errors become problem documents, and a decorator holds what a view costs.

::

    credits = FlaskCredits(CreditsClient.from_env(), user=lambda: g.user_id)
    credits.init_app(app)

    @app.post("/chat")
    @credits.spend("message", 5)
    def chat(hold: Hold) -> str:
        hold.capture(2)  # what it really cost; all 5 if nothing is said
        return "done"
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any, ParamSpec, TypeVar
from uuid import UUID

from flask import Flask, Response, current_app, make_response, request

from sonas_supabase import CreditsClient, CreditsError
from sonas_supabase.problems import answer_to, refusal_in

__all__ = ["FlaskCredits", "problem_response"]

P = ParamSpec("P")
T = TypeVar("T")


class FlaskCredits:
    """The extension: the client, and who sent the request.

    Args:
        client: makes the calls. The application that made it closes it.
        user: answers the id of the signed-in user, inside of a request.
        workspace: answers which workspace pays; None for the user.
    """

    def __init__(
        self,
        client: CreditsClient,
        *,
        user: Callable[[], UUID | str],
        workspace: Callable[[], UUID | str | None] = lambda: None,
    ) -> None:
        self.client = client
        self._user = user
        self._workspace = workspace

    def init_app(self, app: Flask) -> None:
        """Answer every CreditsError with a problem document.

        The denial of a metered table, too, which a statement of the view's own has met.
        """
        app.register_error_handler(CreditsError, problem_response)
        handle = app.handle_user_exception

        def handle_or_refuse(error: Exception) -> Any:
            try:
                return handle(error)
            except Exception as unhandled:
                # The application's own handlers come first; what they leave may be a refusal of the database's.
                refusal = refusal_in(error) if unhandled is error else None
                if refusal is None:
                    raise
                return handle(refusal)

        app.handle_user_exception = handle_or_refuse  # type: ignore[method-assign, assignment]

    def spend(
        self,
        credit_type: str,
        amount: int | Callable[[], int] = 1,
        *,
        description: str | None = None,
        ttl_seconds: int = 900,
    ) -> Callable[[Callable[..., T]], Callable[..., Response]]:
        """Hold credits while a view runs; the view is given ``hold``. ``amount`` may be a function of the request.

        A response below 300 charges all that is held, unless the view has captured or released it; a redirect, a
        failure or an exception gives it back. What the view has captured stays charged.
        """

        def decorate(view: Callable[..., T]) -> Callable[..., Response]:
            @wraps(view)
            def charged(*arguments: object, **options: object) -> Response:
                with self.client.reserve(
                    self._user(),
                    credit_type,
                    amount() if callable(amount) else amount,
                    description=description or f"{request.method} {request.path}",
                    ttl_seconds=ttl_seconds,
                    workspace_id=self._workspace(),
                ) as hold:
                    returned = current_app.ensure_sync(view)(*arguments, hold=hold, **options)
                    response: Response = make_response(returned)
                    if response.status_code >= HTTPStatus.MULTIPLE_CHOICES and not hold.closed:
                        hold.release(f"status {response.status_code}")
                return response

            return charged

        return decorate


def problem_response(error: CreditsError) -> Response:
    """The problem document of an error, as a response."""
    status, headers, body = answer_to(error)
    return Response(body, status, headers)
