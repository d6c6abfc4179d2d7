"""The ASGI side: it sees when a response has really gone out, and settles what was held for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from starlette.requests import Request

from sonas_supabase import CreditsError
from sonas_supabase.fastapi._inbox import Inbox, Message, Receive
from sonas_supabase.fastapi._line import End
from sonas_supabase.fastapi._problems import Problem, problem
from sonas_supabase.fastapi._spend import Spend
from sonas_supabase.fastapi._tab import SCOPE_KEY, Tab
from sonas_supabase.fastapi.errors import FAILED_FROM, NotAuthenticated

if TYPE_CHECKING:
    from sonas_supabase.fastapi._app import Credits

Scope = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Rule:
    """What a request to an application without dependencies costs.

    Attributes:
        method: the HTTP method, or ``*``.
        path: the path, in which ``*`` stands for anything.
        spend: what :func:`spend` made.
    """

    method: str
    path: str
    spend: Callable[[Request], Awaitable[Spend]]

    def applies(self, scope: Scope) -> bool:
        """Whether this request has to pay."""
        return self.method in ("*", scope["method"]) and fnmatchcase(scope["path"], self.path)


class CreditsMiddleware:
    """Settles what requests hold: for FastAPI by ``Credits.install``, for any other ASGI application by wrapping it.

    With ``rules``, it also holds what they say before the application is called. The application finds the spends in
    ``scope["state"]["spends"]``, in the order of the rules.
    """

    def __init__(self, app: App, credits: Credits, rules: Sequence[Rule] = ()) -> None:
        self._app = app
        self._credits = credits
        self._rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if SCOPE_KEY in scope:
            # One around this one has opened the tab, and settles it.
            await self._hold(scope)
            await self._app(scope, receive, send)
            return
        inbox = Inbox(receive)
        tab = Tab(self._credits, scope, inbox)
        scope[SCOPE_KEY] = tab
        outbox = _Outbox(tab, inbox, send)
        try:
            await self._hold(scope)
            await self._app(scope, inbox.receive, outbox.send)
        except (CreditsError, NotAuthenticated) as error:
            if outbox.has_started:
                raise
            await outbox.answer(problem(error))
        finally:
            await tab.settle(outbox.end)

    async def _hold(self, scope: Scope) -> None:
        rules = [rule for rule in self._rules if rule.applies(scope)]
        if rules:
            request = Request(scope)
            spends = scope.setdefault("state", {}).setdefault("spends", [])
            for rule in rules:
                spends.append(await rule.spend(request))


class _Outbox:
    """The ``send`` of a request. ``end`` is how the response has ended so far."""

    def __init__(self, tab: Tab, inbox: Inbox, send: Send) -> None:
        self._tab = tab
        self._inbox = inbox
        self._send = send
        self.end = End.FAILED
        self.has_started = False
        self._has_failed = False

    async def send(self, message: Message) -> None:
        """Send a message on, and settle when it was the last."""
        if message["type"] == "http.response.start":
            message = self._started(message)
        last = message["type"] == "http.response.pathsend" or (
            message["type"] == "http.response.body" and not message.get("more_body", False)
        )
        if last and self._tab.is_open:
            await self._inbox.look()
        await self._send(message)
        if self._has_failed:
            return
        if message["type"] == "http.response.body" and not last:
            self.end = End.BROKEN
        if last and not self._inbox.client_left:
            self.end = End.DELIVERED
        if last:
            await self._tab.settle(self.end)

    def _started(self, message: Message) -> Message:
        self.has_started = True
        self._has_failed = message["status"] >= FAILED_FROM
        end = End.FAILED if self._has_failed else End.DELIVERED
        return {**message, "headers": [*message.get("headers", []), *self._tab.headers(end)]}

    async def answer(self, problem: Problem) -> None:
        """Answer with a problem."""
        await self.send({"type": "http.response.start", "status": problem.status, "headers": problem.headers})
        await self.send({"type": "http.response.body", "body": problem.body})
