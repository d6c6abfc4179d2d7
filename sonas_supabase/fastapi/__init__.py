"""Credits for FastAPI, Starlette and any other ASGI application.

A route declares what it costs. In the order in which a request meets them:

1. :class:`CreditsMiddleware` opens the spends of the request.
2. The dependency :func:`spend` finds out who the user is (:class:`SupabaseAuth`) and holds the credits, or refuses:
   401, 402, 403, 409 or 503, as a problem document (RFC 9457).
3. The handler runs. It may set the actual cost on its :class:`Spend`.
4. The middleware sees the last byte go out, or an exception, a failure or a client that has left, and charges the hold
   or gives it back, as the route has declared. What cannot be charged because the database is away waits in a
   :class:`Journal`; what cannot be charged at all is told to the application.

One spend has three shapes: ``SpendRequest`` is what the books are asked for, ``PendingSpend`` what is held and
charged of it until the end, :class:`Spend` what the handler sees.

::

    credits = Credits(AsyncCreditsClient.from_env(), SupabaseAuth.from_env())
    app = FastAPI()
    credits.install(app)

    @app.post("/chat")
    async def chat(prompt: str, spend: Annotated[Spend, Depends(spend("message", 1))]) -> str: ...
"""

from __future__ import annotations

from sonas_supabase.charging import WrongDeclaration
from sonas_supabase.fastapi._api_keys import ApiKeyAuth
from sonas_supabase.fastapi._app import Credits
from sonas_supabase.fastapi._books import Uncollected
from sonas_supabase.fastapi._dependencies import CurrentCaller, CurrentUser, current_caller, current_user, spend
from sonas_supabase.fastapi._journal import DeadLetter, Journal, Replay
from sonas_supabase.fastapi._meter import Meter, meter
from sonas_supabase.fastapi._middleware import CreditsMiddleware
from sonas_supabase.fastapi._rules import Rule
from sonas_supabase.fastapi._spend import Spend
from sonas_supabase.fastapi._tokens import SupabaseAuth
from sonas_supabase.fastapi._user import Authenticator, User
from sonas_supabase.fastapi.errors import (
    AnswerNotStored,
    Misconfigured,
    NoAccount,
    NotAuthenticated,
    RequestInProgress,
)

__all__ = [
    "AnswerNotStored",
    "ApiKeyAuth",
    "Authenticator",
    "Credits",
    "CreditsMiddleware",
    "CurrentCaller",
    "CurrentUser",
    "DeadLetter",
    "Journal",
    "Meter",
    "Misconfigured",
    "NoAccount",
    "NotAuthenticated",
    "Replay",
    "RequestInProgress",
    "Rule",
    "Spend",
    "SupabaseAuth",
    "Uncollected",
    "User",
    "WrongDeclaration",
    "current_caller",
    "current_user",
    "meter",
    "spend",
]
