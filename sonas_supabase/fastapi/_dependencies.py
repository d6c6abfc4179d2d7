"""The dependencies: what a handler declares to know its user, and to cost credits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Depends, Header, Security
from fastapi.security import HTTPBearer
from starlette.requests import HTTPConnection

from sonas_supabase.charging import ChargeMode
from sonas_supabase.fastapi._declaration import Amount, AskedOf, Declaration, OnUnavailable, Payer, Quantities
from sonas_supabase.fastapi._openapi import BEARER, MARK
from sonas_supabase.fastapi._request_spends import RequestSpends
from sonas_supabase.fastapi._spend import Spend
from sonas_supabase.fastapi._user import User
from sonas_supabase.fastapi.errors import NotAuthenticated


# For the OpenAPI document alone: what counts is read from the request itself, with FastAPI as without.
class _AnyBearer(HTTPBearer):
    async def __call__(self, connection: HTTPConnection) -> Literal[True]:  # type: ignore[override]
        """That it is FastAPI which asks, before it calls the handler. Its own cannot be asked by a WebSocket."""
        return True


_Bearer = Annotated[
    Any,
    Security(
        _AnyBearer(
            scheme_name=BEARER, bearerFormat="JWT", description="An access token of Supabase Auth.", auto_error=False
        )
    ),
]
_Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="Names this request. Sent again under the same key, it costs once.",
        json_schema_extra=MARK,
    ),
]


async def current_user(connection: HTTPConnection, bearer: _Bearer = None) -> User:
    """The signed-in user. A dependency; elsewhere, call it with a request.

    A program with an API key is refused: :func:`current_caller` lets both in, and so does :func:`spend`.

    Raises:
        NotAuthenticated: the request carries no good token; answered with 401.
    """
    user = await current_caller(connection)
    if user.key_id is not None:
        raise NotAuthenticated("This needs a person who is signed in, and no API key.")
    return user


async def current_caller(connection: HTTPConnection, bearer: _Bearer = None) -> User:
    """The signed-in user, or the person for whom an API key acts, on the account that the key is for.

    Raises:
        NotAuthenticated: the request carries neither a good token nor a key; answered with 401.
    """
    return await RequestSpends.of(connection.scope).user()


CurrentUser = Annotated[User, Depends(current_user)]
"""The type of a handler's parameter that is the signed-in user."""

CurrentCaller = Annotated[User, Depends(current_caller)]
"""The type of a handler's parameter that is the signed-in user, or a program with an API key."""


def spend(
    credit_type: str = "",
    amount: Amount = 1,
    *,
    operation: str | AskedOf[str] | None = None,
    quantities: Quantities | AskedOf[Quantities] | None = None,
    book: str | None = None,
    charge: ChargeMode = "held",
    at_least: int = 0,
    description: str | AskedOf[str] | None = None,
    ttl_seconds: int = 900,
    on_unavailable: OnUnavailable = "deny",
    workspace: UUID | str | Payer | None = None,
    actor: AskedOf[str | None] | None = None,
    exempt: AskedOf[bool] | None = None,
) -> Callable[..., Awaitable[Spend]]:
    """A dependency that holds credits for the request. In Starlette, call what it answers with the request.

    A route may have several: it gets all of them or does not run. A WebSocket is charged at its handshake. Wherever a
    function may stand, it is asked with the request, and may be a coroutine function.

    Args:
        credit_type: which credits. Left out where an ``operation`` says it.
        amount: how many to hold, or a function; 0 from it holds nothing. The handler may set another cost.
        operation: instead of credits: what the price book has a price for. The most that it costs is held; the
            handler sets ``quantities`` to what was used, and is charged for that exactly.
        quantities: the largest quantities of the operation; one call if left out.
        book: which price book; the default one if left out.
        charge: who pays. ``held``: once the handler has run, what it has set as the cost, else all that was held, even
            when the client has left. ``cost``: what the handler has set and nothing else. ``on_start``: the amount,
            before the handler runs. A failure of the server gives back in each of them.
        at_least: the least that a request costs which was served.
        description: what the ledger says; the method and the path if left out.
        ttl_seconds: how long the hold lives when the process dies, from 1 second to 24 hours.
        on_unavailable: what happens while the database cannot be reached: ``deny`` answers 503, ``allow`` lets the
            request through and charges it from the journal later.
        workspace: which workspace pays; None for the user.
        actor: which agent or key acts for the user; kept in the metadata, where budgets find it.
        exempt: whether this request costs nothing.

    Raises:
        WrongDeclaration: this can never work; raised here, and not at the first request.
    """
    declaration = Declaration(
        credit_type=credit_type,
        amount=amount,
        charge=charge,
        at_least=at_least,
        description=description,
        ttl_seconds=ttl_seconds,
        on_unavailable=on_unavailable,
        workspace=workspace,
        actor=actor,
        exempt=exempt,
        operation=operation,
        quantities=quantities,
        book=book,
    )

    async def hold(connection: HTTPConnection, bearer: _Bearer = None, idempotency_key: _Key = None) -> Spend:
        return await RequestSpends.of(connection.scope).hold(declaration, connection, before_handler=bearer is not None)

    return hold
