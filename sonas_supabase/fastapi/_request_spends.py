"""The spends of one request or WebSocket: who sent it, what it holds, and how that is settled."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Mapping, MutableMapping
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection

from sonas_supabase import (
    AccountFrozen,
    AccountNotFound,
    CreditsError,
    CreditsUnavailable,
    IdempotencyConflict,
    InsufficientCredits,
    NotConfigured,
    Reservation,
)
from sonas_supabase.fastapi import _background, _books, _ratelimit
from sonas_supabase.fastapi._books import Books, Held
from sonas_supabase.fastapi._declaration import Declaration
from sonas_supabase.fastapi._inbox import Inbox
from sonas_supabase.fastapi._outcome import Outcome
from sonas_supabase.fastapi._pending_spend import PendingSpend
from sonas_supabase.fastapi._spend import Spend
from sonas_supabase.fastapi._spend_request import SpendRequest
from sonas_supabase.fastapi._user import Authenticator, User
from sonas_supabase.fastapi.errors import Misconfigured, NoAccount, NotAuthenticated, RequestInProgress

SCOPE_KEY = "sonas_supabase.spends"

_log = logging.getLogger("sonas_supabase")


class RequestSpends:
    """What belongs to one request, from its first hold to the last capture."""

    def __init__(self, books: Books, auth: Authenticator, scope: MutableMapping[str, Any], inbox: Inbox) -> None:
        self._books = books
        self._auth = auth
        self._scope = scope
        self._inbox = inbox
        self._headers = Headers(scope=scope)
        self._key = _idempotency_key(self._headers)
        self._user: User | None = None
        self._pending: list[PendingSpend] = []
        self._lock = asyncio.Lock()
        self._has_ended = False
        # Whether this library has refused the request: the application's own answers are another matter.
        self.was_refused = False

    @classmethod
    def of(cls, scope: Mapping[str, Any]) -> RequestSpends:
        """The spends of a request. Raises NotConfigured when the middleware has not seen it."""
        spends = scope.get(SCOPE_KEY)
        if not isinstance(spends, cls):
            raise NotConfigured("Credits are not installed in this application: call Credits(...).install(app).")
        return spends

    async def user(self) -> User:
        """Who sent the request. Raises NotAuthenticated."""
        if self._user is None:
            sent = self._headers.getlist("authorization")
            if len(sent) > 1:
                raise NotAuthenticated("There is more than one Authorization header.")
            self._user = await self._auth.user(sent[0] if sent else None)
        return self._user

    async def hold(self, declaration: Declaration, connection: HTTPConnection) -> Spend:
        """Hold what a route costs. Raises what the client is to be told."""
        try:
            return await self._hold(declaration, connection)
        except (CreditsError, NotAuthenticated):
            self.was_refused = True
            raise

    async def _hold(self, declaration: Declaration, connection: HTTPConnection) -> Spend:
        user = await self.user()
        journal = self._books.journal
        if declaration.on_unavailable == "allow" and journal is None:
            raise Misconfigured('on_unavailable="allow" needs a journal: Credits(..., journal=Journal(path)).')
        request = await self._request(declaration, user, connection)
        if not request.amount:
            return self._enter(user, request, declaration, None)
        try:
            held = await self._unless_cancelled(request)
        except CreditsUnavailable as error:
            if declaration.on_unavailable == "deny" or journal is None:
                raise
            entry = await journal.open(request)
            if entry is None:
                raise
            _log.warning("%s goes on without a hold: %s", request.description, error)
            return self._enter(user, request, declaration, None, journal_entry=entry)
        except InsufficientCredits as denial:
            denial.details["credit_type"] = declaration.credit_type
            raise
        except AccountNotFound as error:
            raise NoAccount(error.message, hint=error.hint) from error
        except (AccountFrozen, IdempotencyConflict):
            raise
        except CreditsError as error:
            raise Misconfigured(f"{request.description}: {error}", details=error.details) from error
        if held.status == "open" and not self._is_ours(held):
            raise RequestInProgress(
                "A request with this Idempotency-Key is still being worked on.",
                hint="Wait for its answer, or try again later.",
            )
        spend = self._enter(user, request, declaration, held)
        if declaration.charge == "on_start":
            await _background.finish(self._settle_one(self._pending[-1], Outcome.SERVED))
        return spend

    def _is_ours(self, held: Held) -> bool:
        """Whether this request made the hold. Only a key of the client's can lead to somebody else's."""
        # The library sends a call again when its answer got lost, and is then answered like somebody who comes second.
        return held.status == "new" or (held.status == "open" and not self._key)

    def _enter(
        self,
        user: User,
        request: SpendRequest,
        declaration: Declaration,
        held: Held | None,
        *,
        journal_entry: str | None = None,
    ) -> Spend:
        spend = Spend(
            user=user,
            credit_type=request.credit_type,
            amount=request.amount,
            operation_id=held.reservation.operation_id if held else None,
            replayed=held is not None and held.status == "captured",
            is_settled=lambda: self._has_ended,
            hand_over=lambda: self._hand_over(pending),
        )
        pending = PendingSpend(
            books=self._books,
            request=request,
            spend=spend,
            charge=declaration.charge,
            at_least=declaration.at_least if request.amount else 0,
            reservation=held.reservation if held else None,
            journal_entry=journal_entry,
        )
        self._pending.append(pending)
        return spend

    def _hand_over(self, pending: PendingSpend) -> str:
        if pending.reservation is None or pending.charged is not None or pending.handed_over or self._has_ended:
            raise RuntimeError("There is no hold that could be handed over.")
        pending.handed_over = True
        return token_of(pending.request, pending.reservation)

    async def _request(self, declaration: Declaration, user: User, connection: HTTPConnection) -> SpendRequest:
        method, path = self._scope.get("method", "WEBSOCKET"), _path(self._scope)
        metadata = {"method": method, "path": path}
        amount = 0 if await declaration.is_exempt(connection) else await declaration.amount_for(connection)
        if amount and amount < declaration.at_least:
            raise Misconfigured(f"at_least={declaration.at_least} is more than the {amount} credits to be held.")
        actor = await declaration.actor_for(connection)
        if actor is not None:
            metadata["actor"] = actor
        key = str(uuid4())
        if self._key:
            named = b"\0".join([method.encode(), path.encode(), self._key])
            key = hashlib.sha256(named).hexdigest()[:40]
            metadata["fingerprint"] = await self._fingerprint()
        return SpendRequest(
            key=f"http:{key}:{len(self._pending) + 1}",
            user_id=user.id,
            workspace_id=await declaration.workspace_for(connection),
            credit_type=declaration.credit_type,
            amount=amount,
            description=await declaration.description_for(connection) or f"{method} {path}",
            metadata=metadata,
            ttl_seconds=declaration.ttl_seconds,
        )

    async def _fingerprint(self) -> str:
        query = self._scope.get("query_string", b"")
        body = await self._inbox.fingerprint()
        return hashlib.sha256(query + b"\0" + body.encode()).hexdigest()[:32]

    async def _unless_cancelled(self, request: SpendRequest) -> Held:
        """Hold, and give it back when the request is cancelled meanwhile: nobody else would know of it."""
        task = _background.start(_books.hold(self._books.client, request))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            _background.start(self._undo(task, request))
            raise

    async def _undo(self, task: asyncio.Task[Held], request: SpendRequest) -> None:
        try:
            held = await task
        except CreditsError:
            return
        if self._is_ours(held):
            await self._books.release(request, held.reservation, "cancelled")

    def headers(self, outcome: Outcome) -> list[tuple[bytes, bytes]]:
        """The balances as they will be when this response has gone out."""
        return _ratelimit.headers(pending.balance_after(outcome) for pending in self._pending)

    async def settle(self, outcome: Outcome) -> None:
        """Charge or give back before the last message goes out. The cost may still change until the end."""
        if self._pending and not self._has_ended:
            undecided = [pending for pending in self._pending if pending.is_undecided(outcome)]
            await _background.finish(self._settle_all(outcome, leaving_out=undecided))

    async def end(self, outcome: Outcome) -> None:
        """Settle for good: the application has done with the request."""
        self._inbox.close()
        if self._pending and not self._has_ended:
            self._has_ended = True
            await _background.finish(self._settle_all(outcome, leaving_out=[]))

    async def _settle_all(self, outcome: Outcome, *, leaving_out: list[PendingSpend]) -> None:
        for pending in self._pending:
            if pending not in leaving_out:
                await self._settle_one(pending, outcome)

    async def _settle_one(self, pending: PendingSpend, outcome: Outcome) -> None:
        # The last message may be cancelled while it charges, and the end come meanwhile.
        async with self._lock:
            await pending.settle(outcome)


def token_of(request: SpendRequest, reservation: Reservation) -> str:
    """What another process needs to take a hold up."""
    raise NotImplementedError


def _idempotency_key(headers: Headers) -> bytes:
    # The draft standard writes the key in quotation marks, most clients do not.
    return ",".join(headers.getlist("idempotency-key")).strip().strip('"').encode("latin-1")


def _path(scope: Mapping[str, Any]) -> str:
    raw = scope.get("raw_path")
    path = raw.decode("latin-1") if raw else quote(scope["path"])
    # A query may be in there; it can be long and private.
    return str(path).partition("?")[0][:500]
