"""Credits for FastAPI, Starlette and any other ASGI application.

A route declares what it costs. In the order in which a request meets them:

1. :class:`CreditsMiddleware` opens a tab for the request.
2. The dependency :func:`spend` finds out who the user is (:class:`SupabaseAuth`) and holds the credits, or refuses:
   401, 402, 403, 409 or 503, as a problem document (RFC 9457).
3. The handler runs. It may set the actual cost on its :class:`Spend`.
4. The middleware sees the last byte go out, or an exception, a failure or a client that has left. It charges the hold
   or gives it back. What cannot be charged because the database is away waits in a :class:`Journal`.

::

    credits = Credits(AsyncCreditsClient.from_env(), SupabaseAuth.from_env())
    app = FastAPI()
    credits.install(app)

    @app.post("/chat")
    async def chat(prompt: str, spend: Annotated[Spend, Depends(spend("message", 1))]) -> str: ...
"""

from __future__ import annotations

from sonas_supabase.fastapi._app import Credits
from sonas_supabase.fastapi._dependencies import CurrentUser, current_user, spend
from sonas_supabase.fastapi._journal import Journal, Replay
from sonas_supabase.fastapi._middleware import CreditsMiddleware, Rule
from sonas_supabase.fastapi._spend import Spend
from sonas_supabase.fastapi._tokens import SupabaseAuth
from sonas_supabase.fastapi._user import Authenticator, User
from sonas_supabase.fastapi.errors import Misconfigured, NoAccount, NotAuthenticated, RequestInProgress

__all__ = [
    "Authenticator",
    "Credits",
    "CreditsMiddleware",
    "CurrentUser",
    "Journal",
    "Misconfigured",
    "NoAccount",
    "NotAuthenticated",
    "Replay",
    "RequestInProgress",
    "Rule",
    "Spend",
    "SupabaseAuth",
    "User",
    "current_user",
    "spend",
]
