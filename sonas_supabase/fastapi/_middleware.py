"""The ASGI side: it sees how a response ends, and settles what was held for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.websockets import WebSocketDisconnect

from sonas_supabase import CreditsError
from sonas_supabase.charging import Outcome
from sonas_supabase.fastapi._answers import SENT_BY_SERVER, StoredAnswer
from sonas_supabase.fastapi._inbox import Inbox, Message, Receive
from sonas_supabase.fastapi._problems import close_messages, problem
from sonas_supabase.fastapi._request_spends import SCOPE_KEY, RequestSpends
from sonas_supabase.fastapi._rules import Rule
from sonas_supabase.fastapi._services import Services
from sonas_supabase.fastapi.errors import INTERNAL_FROM, NotAuthenticated
from sonas_supabase.problems import refusal_in

Scope = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_LEFT = (ClientDisconnect, WebSocketDisconnect, OSError, asyncio.CancelledError)


class CreditsMiddleware:
    """Settles what requests hold: for FastAPI by ``Credits.install``, for any other ASGI application by wrapping it.

    With ``rules``, it also holds what they say before the application is called. The application finds the spends in
    ``scope["state"]["spends"]``, in the order of the rules.
    """

    def __init__(self, app: App, credits: Services, rules: Sequence[Rule] = ()) -> None:
        self._app = app
        self._credits = credits
        self._rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        if SCOPE_KEY in scope:
            # One around this one has begun, and settles.
            await self._hold(scope, scope[SCOPE_KEY])
            await self._app(scope, receive, send)
            return
        inbox = Inbox(receive, Headers(scope=scope))
        spends = RequestSpends(self._credits, scope, inbox)
        scope[SCOPE_KEY] = spends
        exchange = (_WebSocket if scope["type"] == "websocket" else _Response)(spends, inbox, send)
        error: BaseException | None = None
        try:
            await self._hold(scope, spends)
            await self._app(scope, inbox.receive, exchange.send)
        except (CreditsError, NotAuthenticated, StoredAnswer) as refusal:
            if exchange.has_started:
                error = refusal
                raise
            await exchange.refuse(refusal)
        except Exception as raised:
            denial = None if exchange.has_started else refusal_in(raised)
            if denial is None:
                error = raised
                raise
            spends.was_refused = True
            await exchange.refuse(denial)
        except BaseException as raised:
            error = raised
            raise
        finally:
            await spends.end(await exchange.outcome(error), status=exchange.status)

    async def _hold(self, scope: Scope, spends: RequestSpends) -> None:
        rules = [rule for rule in self._rules if rule.applies(scope)]
        if rules:
            connection = Request(scope, spends.reader()) if scope["type"] == "http" else HTTPConnection(scope)
            held = scope.setdefault("state", {}).setdefault("spends", [])
            spends.is_before_application = True
            for rule in rules:
                held.append(await rule.spend(connection))
            spends.is_before_application = False


class _Response:
    """The ``send`` of a request, and how its response ends."""

    def __init__(self, spends: RequestSpends, inbox: Inbox, send: Send) -> None:
        self._spends = spends
        self._inbox = inbox
        self._send = send
        self.status: int | None = None
        self._is_complete = False

    @property
    def has_started(self) -> bool:
        """Whether the client has been told a status."""
        return self.status is not None

    async def send(self, message: Message) -> None:
        """Send a message on. Before the last one, what the request costs is settled."""
        if message["type"] == "http.response.start":
            message = self._started(message)
        elif message["type"] in SENT_BY_SERVER or (
            message["type"] == "http.response.body" and not message.get("more_body", False)
        ):
            self._spends.record(message)
            await self._completed()
        elif message["type"].startswith("http.response."):
            self._spends.record(message)
        try:
            await self._send(message)
        except OSError:
            self._inbox.client_left = True
            raise

    def _started(self, message: Message) -> Message:
        self._spends.record(message)
        self.status = message["status"]
        headers = self._spends.headers(Outcome.of_status(message["status"]))
        return {**message, "headers": [*message.get("headers", []), *headers]}

    async def _completed(self) -> None:
        if self.status is not None and not self._is_complete:
            self._is_complete = True
            await self._spends.settle(Outcome.of_status(self.status), status=self.status)

    async def refuse(self, error: CreditsError | NotAuthenticated | StoredAnswer) -> None:
        """Answer with a problem, or with what was answered before."""
        answer = error if isinstance(error, StoredAnswer) else problem(error)
        await self.send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        await self.send({"type": "http.response.body", "body": answer.body})

    async def outcome(self, error: BaseException | None) -> Outcome:
        """How it has ended, now that the application has returned or raised."""
        if self.status is not None and (self._is_complete or self.status >= INTERNAL_FROM):
            return Outcome.of_status(self.status)
        has_left = await self._inbox.look()
        if not (has_left and (error is None or is_leaving(error))):
            return Outcome.FAILED if self.status is None else Outcome.BROKEN
        if self.status is None and isinstance(error, ClientDisconnect):
            # It left before the handler had all of the request.
            return Outcome.REFUSED
        return Outcome.SERVED if self.status is None else Outcome.of_status(self.status)


class _WebSocket:
    """The ``send`` of a WebSocket: accepted, it is charged."""

    def __init__(self, spends: RequestSpends, inbox: Inbox, send: Send) -> None:
        self._spends = spends
        self._inbox = inbox
        self._send = send
        self.has_started = False
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        """Send a message on. Before the handshake is answered, what it costs is settled."""
        if message["type"] == "websocket.accept" and not self._spends.was_refused:
            await self._spends.settle(Outcome.SERVED)
            self.has_started = True
        if self._spends.before_sending is not None:
            await self._spends.before_sending(message)
        try:
            await self._send(message)
        except OSError:
            self._inbox.client_left = True
            raise

    async def refuse(self, error: CreditsError | NotAuthenticated | StoredAnswer) -> None:
        """Close with a code and a reason."""
        assert not isinstance(error, StoredAnswer), "a WebSocket has no key"  # noqa: S101
        self._spends.was_refused = True
        for message in close_messages(error):
            await self.send(message)

    async def outcome(self, error: BaseException | None) -> Outcome:
        """How it has ended."""
        if not self.has_started:
            return Outcome.REFUSED if error is None or is_leaving(error) else Outcome.FAILED
        if error is None or (is_leaving(error) and await self._inbox.look()):
            return Outcome.SERVED
        return Outcome.BROKEN


def is_leaving(error: BaseException) -> bool:
    """Whether this is what frameworks raise when a client has left. They may put it into a group."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(is_leaving, error.exceptions))
    return isinstance(error, _LEFT)
