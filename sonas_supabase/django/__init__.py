"""Credits for Django, sync and async: errors become problem documents, and a decorator holds what a view costs.

::

    MIDDLEWARE = [..., "sonas_supabase.django.CreditsProblems"]

    @spends(credits, "message", 5)
    def chat(request, hold):
        hold.capture(2)  # what it really cost; all 5 if nothing is said
        return HttpResponse("done")

An async view takes an ``AsyncCreditsClient``, and awaits what it captures.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from http import HTTPStatus
from typing import Any
from uuid import UUID

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from sonas_supabase import AsyncCreditsClient, CreditsClient, CreditsError
from sonas_supabase.problems import answer_to, refusal_in

__all__ = ["CreditsProblems", "problem_response", "spends"]

View = Callable[..., Any]
_ANSWERED_BY_DJANGO = (Http404, PermissionDenied, SuspiciousOperation, BadRequest)


class CreditsProblems:
    """The middleware: every CreditsError of a view is answered with a problem document.

    The denial of a metered table, too, which a statement of the view's own has met.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]) -> None:
        self._get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Serve one request."""
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """What Django asks when a view has raised."""
        # The view has made something else of it.
        known = None if isinstance(exception, _ANSWERED_BY_DJANGO) else refusal_in(exception)
        return None if known is None else problem_response(known)


def spends(
    client: CreditsClient | AsyncCreditsClient,
    credit_type: str,
    amount: int | Callable[[HttpRequest], int] = 1,
    *,
    user: Callable[[HttpRequest], UUID | str] = lambda request: request.user.pk,
    workspace: Callable[[HttpRequest], UUID | str | None] = lambda request: None,
    description: str | None = None,
    ttl_seconds: int = 900,
) -> Callable[[View], View]:
    """Hold credits while a view runs; the view is given ``hold``.

    A response below 300 charges all that is held, unless the view has captured or released it; a redirect, a failure or
    an exception gives it back. What the view has captured stays charged.

    Args:
        client: an ``AsyncCreditsClient`` for an async view, else a ``CreditsClient``.
        credit_type: which credits.
        amount: how many to hold, or a function of the request.
        user: answers the id of the signed-in user.
        workspace: answers which workspace pays; None for the user.
        description: what the ledger says; the method and the path if left out.
        ttl_seconds: how long the hold lives when the process dies.
    """

    def reserve(request: HttpRequest) -> Any:
        return client.reserve(
            user(request),
            credit_type,
            amount(request) if callable(amount) else amount,
            description=description or f"{request.method} {request.path}",
            ttl_seconds=ttl_seconds,
            workspace_id=workspace(request),
        )

    def decorate(view: View) -> View:
        if iscoroutinefunction(view) is not isinstance(client, AsyncCreditsClient):
            raise TypeError("An async view needs an AsyncCreditsClient, and a sync view a CreditsClient.")

        @wraps(view)
        def charged(request: HttpRequest, *arguments: object, **options: object) -> HttpResponse:
            with reserve(request) as hold:
                response: HttpResponse = view(request, *arguments, hold=hold, **options)
                if _costs_nothing(response) and not hold.closed:
                    hold.release(f"status {response.status_code}")
            return response

        @wraps(view)
        async def charged_async(request: HttpRequest, *arguments: object, **options: object) -> HttpResponse:
            async with reserve(request) as hold:
                response: HttpResponse = await view(request, *arguments, hold=hold, **options)
                if _costs_nothing(response) and not hold.closed:
                    await hold.release(f"status {response.status_code}")
            return response

        return charged_async if iscoroutinefunction(view) else charged

    return decorate


def problem_response(error: CreditsError) -> HttpResponse:
    """The problem document of an error, as a response."""
    status, headers, body = answer_to(error)
    return HttpResponse(body, status=status, headers=headers)


def _costs_nothing(response: HttpResponse) -> bool:
    return bool(response.status_code >= HTTPStatus.MULTIPLE_CHOICES)
