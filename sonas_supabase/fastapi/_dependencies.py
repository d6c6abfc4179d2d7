"""The dependencies: what a handler declares to know its user, and to cost credits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Depends, Header, Security
from fastapi.security import HTTPBearer
from starlette.requests import Request

from sonas_supabase.fastapi._charge import Charge, OnUnavailable, Payer
from sonas_supabase.fastapi._openapi import BEARER, MARK
from sonas_supabase.fastapi._spend import Spend
from sonas_supabase.fastapi._tab import Tab
from sonas_supabase.fastapi._user import User

# For the OpenAPI document alone: what counts is read from the request itself, with FastAPI as without.
_Bearer = Annotated[
    Any,
    Security(
        HTTPBearer(
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


async def current_user(request: Request, bearer: _Bearer = None) -> User:
    """The signed-in user. A dependency; elsewhere, call it with a request.

    Raises:
        NotAuthenticated: the request carries no good token; answered with 401.
    """
    return await Tab.of(request.scope).user()


CurrentUser = Annotated[User, Depends(current_user)]
"""The type of a handler's parameter that is the signed-in user."""


def spend(
    credit_type: str,
    amount: int = 1,
    *,
    description: str | None = None,
    ttl_seconds: int = 900,
    on_unavailable: OnUnavailable = "deny",
    workspace: Payer | None = None,
) -> Callable[..., Awaitable[Spend]]:
    """A dependency that holds credits for the request. In Starlette, call what it answers with the request.

    A route may have several: it gets all of them or runs not at all.

    Args:
        credit_type: which credits.
        amount: how many to hold. The handler may set another cost.
        description: what the ledger says; the method and the path if left out.
        ttl_seconds: how long the hold lives when the process dies, from 1 second to 24 hours.
        on_unavailable: what happens while the database cannot be reached: ``deny`` answers 503, ``allow`` lets the
            request through and books it from the journal later.
        workspace: says, from the request, which workspace pays; None for the user.
    """
    charge = Charge(
        credit_type=credit_type,
        amount=amount,
        description=description,
        ttl_seconds=ttl_seconds,
        on_unavailable=on_unavailable,
        workspace=workspace,
    )

    async def hold(request: Request, bearer: _Bearer = None, idempotency_key: _Key = None) -> Spend:
        return await Tab.of(request.scope).hold(charge, request)

    return hold
