"""The spends of one request or WebSocket: who sent it, what it holds, and how that is settled."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from collections.abc import Awaitable, Callable, Coroutine, Mapping, MutableMapping
from typing import Any, TypeVar
from urllib.parse import quote
from uuid import UUID, uuid4

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection

from sonas_supabase import (
    AccountFrozen,
    AccountNotFound,
    CreditsError,
    CreditsUnavailable,
    Forbidden,
    IdempotencyConflict,
    InsufficientCredits,
    NotConfigured,
)
from sonas_supabase.charging import Outcome
from sonas_supabase.fastapi import _answers, _background, _books, _ratelimit
from sonas_supabase.fastapi._answers import Run, StoredAnswer
from sonas_supabase.fastapi._books import Charged, Held
from sonas_supabase.fastapi._declaration import Declaration, asked
from sonas_supabase.fastapi._inbox import Inbox, Message, Receive
from sonas_supabase.fastapi._pending_spend import PendingSpend
from sonas_supabase.fastapi._services import Services
from sonas_supabase.fastapi._spend import Spend
from sonas_supabase.fastapi._spend_request import SpendRequest
from sonas_supabase.fastapi._user import User
from sonas_supabase.fastapi.errors import Misconfigured, NoAccount, NotAuthenticated
from sonas_supabase.handing_over import HoldToken

T = TypeVar("T")

SCOPE_KEY = "sonas_supabase.spends"

_log = logging.getLogger("sonas_supabase")


class RequestSpends:
    """What belongs to one request, from its first hold to the last capture."""

    def __init__(self, services: Services, scope: MutableMapping[str, Any], inbox: Inbox) -> None:
        self.books = self._books = services.books
        self._auth = services.auth
        self._answer_timeout = services.answer_timeout
        self._scope = scope
        self._inbox = inbox
        self._headers = Headers(scope=scope)
        self._key = _idempotency_key(self._headers) if scope["type"] == "http" else b""
        self._run: Run | None = None
        self._user: User | None = None
        self._pending: list[PendingSpend] = []
        self._lock = asyncio.Lock()
        self._has_ended = False
        # Whether this library has refused the request: the application's own answers are another matter.
        self.was_refused = False
        self.is_before_application = False
        self._handler_has_run = True
        self.before_sending: Callable[[Message], Awaitable[None]] | None = None

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

    async def hold(self, declaration: Declaration, connection: HTTPConnection, *, before_handler: bool) -> Spend:
        """Hold what a route costs. Raises what the client is to be told."""
        try:
            return await self._hold(declaration, connection)
        except BaseException as error:
            if before_handler or self.is_before_application:
                self._handler_has_run = False
            self.was_refused = self.was_refused or isinstance(error, CreditsError | NotAuthenticated | StoredAnswer)
            raise

    async def _hold(self, declaration: Declaration, connection: HTTPConnection) -> Spend:
        user = await self.user()
        if declaration.on_unavailable == "allow" and self._books.journal is None:
            raise Misconfigured('on_unavailable="allow" needs a journal: Credits(..., journal=Journal(path)).')
        if self._key and self._run is None:
            await self._claim(user, declaration, connection)
        request = await self.request(declaration, connection)
        if not request.amount:
            return self._enter(user, request, declaration, None)
        try:
            held = await self._unless_cancelled(_books.hold(self._books.client, request), self._undo_hold, request)
        except CreditsUnavailable as error:
            entry = None if declaration.on_unavailable == "deny" else await self._books.enter_unheld(request)
            if entry is None:
                raise
            _log.warning("%s goes on without a hold: %s", request.description, error)
            return self._enter(user, request, declaration, None, journal_entry=entry)
        except InsufficientCredits as denial:
            denial.details["credit_type"] = request.credit_type
            raise
        except AccountNotFound as error:
            raise NoAccount(error.message, hint=error.hint) from error
        except (AccountFrozen, Forbidden, IdempotencyConflict):
            raise
        except CreditsError as error:
            raise Misconfigured(f"{request.description}: {error}", details=error.details) from error
        spend = self._enter(user, request, declaration, held)
        if declaration.charge == "on_start" and held.charged is None:
            await _background.finish(self._settle_one(self._pending[-1], Outcome.SERVED))
        return spend

    async def _claim(self, user: User, declaration: Declaration, connection: HTTPConnection) -> None:
        """Have the Idempotency-Key for this request alone. Raises StoredAnswer, and what a conflict is."""
        method, path = self._scope["method"], _path(self._scope)
        # A header may say who pays. A key belongs to the account that does.
        payer = await self._payer(declaration, connection)
        claiming = _answers.claim(
            self._books.client,
            user.id,
            _answers.key_of(method, path, self._key, payer),
            await self._fingerprint(),
            patience=self._patience(),
            has_left=self._inbox.look,
        )
        try:
            self._run = await self._unless_cancelled(claiming, _answers.give_back)
        except CreditsUnavailable:
            if declaration.on_unavailable == "deny":
                raise
        except AccountNotFound as error:
            raise NoAccount(error.message, hint=error.hint) from error

    def _patience(self) -> float:
        """How long to wait for another request under the same key: as the client prefers, if that is shorter."""
        prefers = re.search(r"(?:^|[,;\s])wait\s*=\s*(\d{1,6})", self._headers.get("prefer", ""))
        return min(self._answer_timeout, float(prefers[1])) if prefers else self._answer_timeout

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
            is_charged=declaration.charge == "on_start",
        )
        pending = PendingSpend(
            books=self._books,
            request=request,
            spend=spend,
            charge=declaration.charge,
            at_least=declaration.at_least if request.amount else 0,
            reservation=held.reservation if held else None,
            journal_entry=journal_entry,
            charged=held.charged if held else None,
        )
        if held is not None and held.charged:
            pending.operations.append(Charged(request, held.reservation, held.charged))
        self._pending.append(pending)
        pending.keep_open()
        return spend

    def _hand_over(self, pending: PendingSpend) -> str:
        if pending.reservation is None or pending.charged is not None or pending.handed_over or self._has_ended:
            raise RuntimeError("There is no hold that could be handed over.")
        pending.handed_over = True
        pending.stop_extending()
        request = pending.request
        token = HoldToken(
            user_id=request.user_id,
            workspace_id=request.workspace_id,
            reservation=pending.reservation,
            ttl_seconds=request.ttl_seconds,
        )
        return token.to_text()

    async def request(self, declaration: Declaration, connection: HTTPConnection) -> SpendRequest:
        """What the books are to be asked for."""
        user = await self.user()
        method, path = self._scope.get("method", "WEBSOCKET"), _path(self._scope)
        metadata = {"method": method, "path": path}
        is_exempt = await declaration.is_exempt(connection)
        if declaration.operation is not None and not is_exempt:
            priced = await self._quote(declaration, connection)
        else:
            some = 0 if is_exempt else await declaration.amount_for(connection)
            priced = {"credit_type": declaration.credit_type, "amount": some}
        amount = priced["amount"]
        if amount and amount < declaration.at_least:
            raise Misconfigured(f"at_least={declaration.at_least} is more than the {amount} credits to be held.")
        # A key is the actor, whatever the request says.
        actor = user.key_name or await declaration.actor_for(connection)
        if actor is not None:
            metadata["actor"] = actor
        if user.key_id is not None:
            metadata["key_id"] = str(user.key_id)
        return SpendRequest(
            key=await self._spend_key(user, method, path),
            user_id=user.id,
            workspace_id=await self._payer(declaration, connection),
            description=await declaration.description_for(connection) or f"{method} {path}",
            metadata=metadata,
            ttl_seconds=declaration.ttl_seconds,
            **priced,
        )

    async def _quote(self, declaration: Declaration, connection: HTTPConnection) -> dict[str, Any]:
        """What of the request the price book says: which credits, and how many at most."""
        operation = await asked(declaration.operation, connection)
        quantities = await asked(declaration.quantities, connection)
        priced = await self._books.client.quote_operation(operation, quantities, book=declaration.book)
        return {
            "credit_type": priced.credit_type,
            "amount": max(1, priced.maximum),
            "operation": operation,
            "quantities": priced.quantities,
            "book": declaration.book,
        }

    async def _payer(self, declaration: Declaration, connection: HTTPConnection) -> UUID | None:
        """Which workspace pays; None for the user. A key spends from its own account. Raises NoAccount."""
        user, named = await self.user(), await declaration.workspace_for(connection)
        if user.key_id is None:
            return named
        if named is not None and named != user.workspace_id:
            raise NoAccount("This API key is for another account.")
        return user.workspace_id

    async def _spend_key(self, user: User, method: str, path: str) -> str:
        """What makes this spend one, whichever worker of whichever attempt asks for it."""
        line = len(self._pending) + 1
        if not self._key:
            return f"http:{uuid4()}:{line}"
        # Without the database there is no run; then the key itself says which requests are one.
        unclaimed = f"http:{_answers.key_of(method, path, self._key, None)[:40]}:{line}"
        if self._run is None or await self._books.is_in_journal(user.id, unclaimed):
            return unclaimed
        return f"http:{self._run.run_id}:{line}"

    async def _fingerprint(self) -> str:
        query = self._scope.get("query_string", b"")
        kind = self._headers.get("content-type", "").partition(";")[0].strip().lower()
        body = await self._inbox.fingerprint()
        return hashlib.sha256(b"\0".join([query, kind.encode(), body.encode()])).hexdigest()

    async def _unless_cancelled(
        self, work: Coroutine[Any, Any, T], undo: Callable[..., Coroutine[Any, Any, None]], *arguments: Any
    ) -> T:
        """Do the work, and undo it when the request is cancelled meanwhile: nothing else would know of it."""
        task = _background.start(work)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            _background.start(undo(task, *arguments))
            raise

    async def _undo_hold(self, task: asyncio.Task[Held], request: SpendRequest) -> None:
        try:
            held = await task
        except CreditsError:
            return
        if held.status != "captured":
            await self._books.release(request, held.reservation, "cancelled")

    def headers(self, outcome: Outcome) -> list[tuple[bytes, bytes]]:
        """The balances as they will be when this response has gone out."""
        charged = self._charged_as(outcome, is_answered=True)
        return _ratelimit.headers(pending.balance_after(charged) for pending in self._pending)

    def _charged_as(self, outcome: Outcome, *, is_answered: bool) -> Outcome:
        """A route gets all that it costs or does not run; what it did get is then given back, however it charges."""
        ended_early = outcome is Outcome.REFUSED or (outcome is Outcome.SERVED and not is_answered)
        return Outcome.NOT_BEGUN if ended_early and not self._handler_has_run else outcome

    def reader(self) -> Receive:
        """A ``receive`` for the functions of a rule, which leaves the body for the application."""
        return self._inbox.reader()

    def watch(
        self,
        *,
        received: Callable[[Message], Awaitable[Message]] | None = None,
        sent: Callable[[Message], Awaitable[None]] | None = None,
    ) -> None:
        """Show each message of a WebSocket to a meter; without arguments to none any more."""
        self._inbox.after_receiving = received
        self.before_sending = sent

    def record(self, message: Message) -> None:
        """Take down what is sent, for whoever sends the same request again."""
        if self._run is not None:
            self._run.record(message)

    async def settle(self, outcome: Outcome, *, status: int | None = None) -> None:
        """Charge or give back before the last message goes out. The cost may still change until the end."""
        if (self._pending or self._run) and not self._has_ended:
            undecided = [pending for pending in self._pending if pending.is_undecided(outcome)]
            await _background.finish(self._settle_all(outcome, status, leaving_out=undecided))

    async def end(self, outcome: Outcome, *, status: int | None = None) -> None:
        """Settle for good: the application has done with the request."""
        self._inbox.close()
        if (self._pending or self._run) and not self._has_ended:
            self._has_ended = True
            await _background.finish(self._settle_all(outcome, status, leaving_out=[]))

    async def _settle_all(self, outcome: Outcome, status: int | None, *, leaving_out: list[PendingSpend]) -> None:
        charged_as = self._charged_as(outcome, is_answered=status is not None)
        for pending in self._pending:
            if pending not in leaving_out:
                await self._settle_one(pending, charged_as)
        if self._run is not None:
            if self._may_be_sent_again(outcome, status):
                await self._run.failed()
            else:
                await self._run.answered()

    def _may_be_sent_again(self, outcome: Outcome, status: int | None) -> bool:
        """Whether the key is given back: after a failure of the server, a denial, or a client that left at once."""
        if outcome is Outcome.REFUSED:
            return self.was_refused or status is None or status == InsufficientCredits.status
        return outcome in (Outcome.FAILED, Outcome.BROKEN)

    async def _settle_one(self, pending: PendingSpend, outcome: Outcome) -> None:
        # The last message may be cancelled while it charges, and the end come meanwhile.
        async with self._lock:
            await pending.settle(outcome)


def _idempotency_key(headers: Headers) -> bytes:
    # The draft standard writes the key in quotation marks, most clients do not.
    return ",".join(headers.getlist("idempotency-key")).strip().strip('"').encode("latin-1")


def _path(scope: Mapping[str, Any]) -> str:
    raw = scope.get("raw_path")
    path = raw.decode("latin-1") if raw else quote(scope["path"])
    # A query may be in there; it can be long and private.
    return str(path).partition("?")[0][:500]
