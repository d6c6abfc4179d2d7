"""Credits for Flask: errors become problem documents, and a decorator holds what a view costs.

::

    credits = FlaskCredits(CreditsClient.from_env(), user=lambda: g.user_id)
    credits.init_app(app)

    @app.post("/chat")
    @credits.spend("message", 5)
    def chat(hold: ViewHold) -> str:
        hold.cost = 2  # what it really cost; all 5 if nothing is said
        return "done"
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any, TypeVar
from uuid import UUID

from flask import Flask, Response, current_app, make_response, request
from werkzeug.exceptions import HTTPException

from sonas_supabase import CreditsClient, CreditsError
from sonas_supabase.charging import ChargeMode, Outcome
from sonas_supabase.problems import answer_to, refusal_in
from sonas_supabase.views import (
    SettledBody,
    ViewCharge,
    ViewHold,
    ViewSpends,
    WrongDeclaration,
    check_amounts,
    check_credit_type,
)

__all__ = ["FlaskCredits", "ViewHold", "WrongDeclaration", "problem_response"]

T = TypeVar("T")

_SPENDS = "sonas_supabase.spends"


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
        """Settle what views hold when their response ends, and answer every CreditsError with a problem document.

        The denial of a metered table, too, which a statement of the view's own has met. Call it before anything is
        registered with ``after_request``: Flask calls those last first, and this one is to see what goes out.
        """
        if "sonas_supabase" not in app.extensions:
            app.extensions["sonas_supabase"] = self
            app.after_request(_answered)
            app.teardown_request(_ended)
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
        charge: ChargeMode = "held",
        at_least: int = 0,
        description: str | None = None,
        ttl_seconds: int = 900,
    ) -> Callable[[Callable[..., T]], Callable[..., Response]]:
        """Hold credits while a view runs and its response goes out; the view is given ``hold``.

        Args:
            credit_type: which credits.
            amount: how many to hold, or a function of the request; 0 from it holds nothing.
            charge: who pays. ``held``: once the view has run, what it has set as the cost, else all that was held, even
                when the client has left. ``cost``: what the view has set and nothing else. ``on_start``: the amount,
                before the view runs. A failure of the server gives back in each of them.
            at_least: the least that a request costs which was served.
            description: what the ledger says; the method and the path if left out.
            ttl_seconds: how long the hold lives when the process dies.

        Raises:
            WrongDeclaration: this can never work; raised here, and not at the first request.
        """
        check_credit_type(credit_type)
        check_amounts(amount, at_least=at_least, ttl_seconds=ttl_seconds, charge=charge)

        def asked() -> ViewCharge:
            return ViewCharge(
                user_id=self._user(),
                credit_type=credit_type,
                amount=amount() if callable(amount) else amount,
                description=description or f"{request.method} {request.path}",
                ttl_seconds=ttl_seconds,
                workspace_id=self._workspace(),
                charge=charge,
                at_least=at_least,
            )

        def decorate(view: Callable[..., T]) -> Callable[..., Response]:
            @wraps(view)
            def charged(*arguments: object, **options: object) -> Response:
                spends = _spends_of_request()
                try:
                    hold = self._begin(spends, asked)
                    response = make_response(current_app.ensure_sync(view)(*arguments, hold=hold, **options))
                except BaseException as error:
                    if not spends.is_installed:
                        _settle(spends, spends.outcome(_status_of(error)))
                    raise
                return response if spends.is_installed else _answered(response)

            return charged

        return decorate

    def _begin(self, spends: ViewSpends, asked: Callable[[], ViewCharge]) -> ViewHold:
        spends.has_begun = False
        hold = ViewHold(self.client, asked())
        hold.begin()
        spends.holds.append(hold)
        spends.has_begun = True
        return hold


def problem_response(error: CreditsError) -> Response:
    """The problem document of an error, as a response."""
    status, headers, body = answer_to(error)
    return Response(body, status, headers)


def _spends_of_request() -> ViewSpends:
    spends: ViewSpends | None = request.environ.get(_SPENDS)
    if spends is None:
        spends = request.environ[_SPENDS] = ViewSpends(is_installed="sonas_supabase" in current_app.extensions)
    return spends


def _answered(response: Response) -> Response:
    """The response is known: settle, or when its body has ended where it is produced while it goes out."""
    spends: ViewSpends | None = request.environ.get(_SPENDS)
    if spends is None:
        return response
    outcome = spends.outcome(response.status_code)
    if response.is_sequence:
        _settle(spends, outcome)
        return response
    if outcome is not Outcome.SERVED:
        # An answer to an error has a body that is no sequence, either.
        _settle(spends, outcome, final=False)
    if not isinstance(response.response, SettledBody):
        body: Any = response.response
        response.response = SettledBody(body, lambda ended: _settle(spends, ended), outcome)
    return response


def _ended(error: BaseException | None) -> None:
    """The request is over. Without a response an exception has gone through to the server."""
    spends: ViewSpends | None = request.environ.get(_SPENDS)
    if spends is not None and not spends.is_answered:
        _settle(spends, spends.outcome(_status_of(error)))


def _settle(spends: ViewSpends, outcome: Outcome, *, final: bool = True) -> None:
    for hold in spends.holds:
        if isinstance(hold, ViewHold):
            hold.settle(outcome, final=final)


def _status_of(error: BaseException | None) -> int:
    if isinstance(error, HTTPException) and error.code is not None:
        return error.code
    return error.status if isinstance(error, CreditsError) else HTTPStatus.INTERNAL_SERVER_ERROR
