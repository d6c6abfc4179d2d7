"""Credits for Django, sync and async: errors become problem documents, and a decorator holds what a view costs.

::

    MIDDLEWARE = ["sonas_supabase.django.CreditsProblems", ...]

    @spends(credits, "message", 5)
    def chat(request, hold):
        hold.cost = 2  # what it really cost; all 5 if nothing is said
        return HttpResponse("done")

An async view takes an ``AsyncCreditsClient``.
"""

from __future__ import annotations

import asyncio
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
from sonas_supabase.charging import ChargeMode, Outcome
from sonas_supabase.django._settling import settle, settle_async, settled, settled_async
from sonas_supabase.problems import answer_to, refusal_in
from sonas_supabase.views import (
    AsyncViewHold,
    ViewCharge,
    ViewHold,
    ViewSpends,
    WrongDeclaration,
    check_amounts,
    check_credit_type,
)

__all__ = ["AsyncViewHold", "CreditsProblems", "ViewHold", "WrongDeclaration", "problem_response", "spends"]

View = Callable[..., Any]
_SPENDS = "_sonas_supabase_spends"
_STATUS = {
    Http404: HTTPStatus.NOT_FOUND,
    PermissionDenied: HTTPStatus.FORBIDDEN,
    SuspiciousOperation: HTTPStatus.BAD_REQUEST,
    BadRequest: HTTPStatus.BAD_REQUEST,
}
_ANSWERED_BY_DJANGO = tuple(_STATUS)


class CreditsProblems:
    """The middleware: it settles what views hold when their response ends, and answers errors with problem documents.

    The denial of a metered table, too, which a statement of the view's own has met. Put it first: it does not see what
    middleware before it makes of a response.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self._get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Serve one request."""
        spends = _spends_of(request)
        spends.is_installed = True
        if self._is_async:
            return self._serve(request, spends)
        try:
            response: HttpResponseBase = self._get_response(request)
        except BaseException as error:
            settle(spends, spends.outcome(_status_of(error)))
            raise
        return settled(response, spends)

    async def _serve(self, request: HttpRequest, spends: ViewSpends) -> HttpResponseBase:
        try:
            response: HttpResponseBase = await self._get_response(request)
        except asyncio.CancelledError:
            # Django cancels what it waits for when the client has left. A view in a thread goes on to its end.
            if not spends.leave():
                await settle_async(spends, _outcome_of_leaving(spends))
            raise
        except BaseException as error:
            await settle_async(spends, spends.outcome(_status_of(error)))
            raise
        return await settled_async(response, spends)

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
    charge: ChargeMode = "held",
    at_least: int = 0,
    description: str | None = None,
    ttl_seconds: int = 900,
) -> Callable[[View], View]:
    """Hold credits while a view runs and its response goes out; the view is given ``hold``.

    Args:
        client: an ``AsyncCreditsClient`` for an async view, else a ``CreditsClient``.
        credit_type: which credits.
        amount: how many to hold, or a function of the request; 0 from it holds nothing.
        user: answers the id of the signed-in user.
        workspace: answers which workspace pays; None for the user.
        charge: who pays. ``held``: once the view has run, what it has set as the cost, else all that was held, even
            when the client has left. ``cost``: what the view has set and nothing else. ``on_start``: the amount, before
            the view runs. A failure of the server gives back in each of them.
        at_least: the least that a request costs which was served.
        description: what the ledger says; the method and the path if left out.
        ttl_seconds: how long the hold lives when the process dies.

    Raises:
        WrongDeclaration: this can never work; raised here, and not at the first request.
    """
    check_credit_type(credit_type)
    check_amounts(amount, at_least=at_least, ttl_seconds=ttl_seconds, charge=charge)

    def asked(request: HttpRequest) -> ViewCharge:
        return ViewCharge(
            user_id=user(request),
            credit_type=credit_type,
            amount=amount(request) if callable(amount) else amount,
            description=description or f"{request.method} {request.path}",
            ttl_seconds=ttl_seconds,
            workspace_id=workspace(request),
            charge=charge,
            at_least=at_least,
        )

    def decorate(view: View) -> View:
        if iscoroutinefunction(view) is not isinstance(client, AsyncCreditsClient):
            raise TypeError("An async view needs an AsyncCreditsClient, and a sync view a CreditsClient.")
        if isinstance(client, AsyncCreditsClient):
            return _charged_async(view, client, asked)
        return _charged(view, client, asked)

    return decorate


def _charged(view: View, client: CreditsClient, asked: Callable[[HttpRequest], ViewCharge]) -> View:
    @wraps(view)
    def charged(request: HttpRequest, *arguments: object, **options: object) -> HttpResponseBase:
        spends = _spends_of(request)
        try:
            spends.enter()
            hold = ViewHold(client, asked(request))
            hold.begin()
            spends.holds.append(hold)
            spends.has_begun = True
            response: HttpResponseBase = view(request, *arguments, hold=hold, **options)
        except BaseException as error:
            if spends.exit() or not spends.is_installed:
                settle(spends, spends.outcome(_status_of(error)))
            raise
        if spends.exit():
            # The client has left meanwhile, and nothing is sent.
            settle(spends, spends.outcome(response.status_code))
        return response if spends.is_installed else settled(response, spends)

    return charged


def _charged_async(view: View, client: AsyncCreditsClient, asked: Callable[[HttpRequest], ViewCharge]) -> View:
    @wraps(view)
    async def charged(request: HttpRequest, *arguments: object, **options: object) -> HttpResponseBase:
        spends = _spends_of(request)
        try:
            spends.has_begun = False
            hold = AsyncViewHold(client, asked(request))
            await hold.begin()
            spends.holds.append(hold)
            spends.has_begun = True
            response: HttpResponseBase = await view(request, *arguments, hold=hold, **options)
        except BaseException as error:
            if not spends.is_installed:
                has_left = isinstance(error, asyncio.CancelledError)
                outcome = _outcome_of_leaving(spends) if has_left else spends.outcome(_status_of(error))
                await settle_async(spends, outcome)
            raise
        return response if spends.is_installed else await settled_async(response, spends)

    return charged


def problem_response(error: CreditsError) -> HttpResponse:
    """The problem document of an error, as a response."""
    status, headers, body = answer_to(error)
    return HttpResponse(body, status=status, headers=headers)


def _spends_of(request: HttpRequest) -> ViewSpends:
    spends: ViewSpends | None = getattr(request, _SPENDS, None)
    if spends is None:
        spends = ViewSpends()
        setattr(request, _SPENDS, spends)
    return spends


def _status_of(error: BaseException) -> int:
    if isinstance(error, CreditsError):
        return error.status
    return next(
        (status for kind, status in _STATUS.items() if isinstance(error, kind)), HTTPStatus.INTERNAL_SERVER_ERROR
    )


def _outcome_of_leaving(spends: ViewSpends) -> Outcome:
    return Outcome.SERVED if spends.has_begun else Outcome.NOT_BEGUN
