"""One request's tab: who sent it, what it holds, and how that is settled."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Coroutine, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import UUID, uuid4

from starlette.requests import Request

from sonas_supabase import (
    AccountFrozen,
    AccountNotFound,
    CreditsError,
    CreditsUnavailable,
    IdempotencyConflict,
    InsufficientCredits,
    NotConfigured,
    Reservation,
    ReservationClosed,
)
from sonas_supabase.fastapi import _booking, _ratelimit
from sonas_supabase.fastapi._booking import Booking, Held
from sonas_supabase.fastapi._charge import Charge
from sonas_supabase.fastapi._inbox import Inbox
from sonas_supabase.fastapi._line import End, Line
from sonas_supabase.fastapi._spend import Spend
from sonas_supabase.fastapi._user import User
from sonas_supabase.fastapi.errors import (
    Misconfigured,
    NoAccount,
    NotAuthenticated,
    RequestInProgress,
)

if TYPE_CHECKING:
    from sonas_supabase.fastapi._app import Credits
    from sonas_supabase.fastapi._journal import Journal

SCOPE_KEY = "sonas_supabase.tab"

_log = logging.getLogger("sonas_supabase")
# asyncio keeps only weak references to tasks.
_going_on: set[asyncio.Task[Any]] = set()


class Tab:
    """What belongs to one request, from its first hold to the last capture."""

    def __init__(self, credits: Credits, scope: Mapping[str, Any], inbox: Inbox) -> None:
        self._credits = credits
        self._scope = scope
        self._inbox = inbox
        sent = b",".join(value for name, value in scope["headers"] if name == b"idempotency-key")
        # The draft standard writes the key in quotation marks, most clients do not.
        self._key = sent.strip().strip(b'"')
        self._user: User | None = None
        self._lines: list[Line] = []
        self._settling: asyncio.Task[None] | None = None

    @classmethod
    def of(cls, scope: Mapping[str, Any]) -> Tab:
        """The tab of a request. Raises NotConfigured when the middleware has not seen it."""
        tab = scope.get(SCOPE_KEY)
        if not isinstance(tab, cls):
            raise NotConfigured("Credits are not installed in this application: call Credits(...).install(app).")
        return tab

    async def user(self) -> User:
        """Who sent the request. Raises NotAuthenticated."""
        if self._user is None:
            sent = [value for name, value in self._scope["headers"] if name == b"authorization"]
            if len(sent) > 1:
                raise NotAuthenticated("There is more than one Authorization header.")
            self._user = await self._credits.auth.user(sent[0].decode("latin-1") if sent else None)
        return self._user

    async def hold(self, charge: Charge, request: Request) -> Spend:
        """Hold what a route costs. Raises what the client is to be told."""
        user = await self.user()
        if charge.on_unavailable == "allow" and self._credits.journal is None:
            raise Misconfigured('on_unavailable="allow" needs a journal: Credits(..., journal=Journal(path)).')
        booking = await self._booking(charge, user, request)
        try:
            held = await self._unless_cancelled(booking)
        except CreditsUnavailable as error:
            if charge.on_unavailable == "deny":
                raise
            _log.warning("%s goes on without a hold: %s", booking.description, error)
            return self._enter(user, booking, None)
        except InsufficientCredits as denial:
            denial.details["credit_type"] = charge.credit_type
            raise
        except AccountNotFound as error:
            raise NoAccount(error.message, hint=error.hint) from error
        except (AccountFrozen, IdempotencyConflict):
            raise
        except CreditsError as error:
            raise Misconfigured(f"{booking.description}: {error}", details=error.details) from error
        if held.status == "open" and not self._is_ours(held):
            raise RequestInProgress(
                "A request with this Idempotency-Key is still being worked on.",
                hint="Wait for its answer, or try again later.",
            )
        return self._enter(user, booking, held)

    def _is_ours(self, held: Held) -> bool:
        """Whether this request made the hold. Only a key of the client's can lead to somebody else's."""
        # The library sends a call again when its answer got lost, and is then answered like somebody who comes second.
        return held.status == "new" or (held.status == "open" and not self._key)

    def _enter(self, user: User, booking: Booking, held: Held | None) -> Spend:
        spend = Spend(
            user=user,
            credit_type=booking.credit_type,
            amount=booking.amount,
            operation_id=held.reservation.operation_id if held else None,
            replayed=held is not None and held.status == "captured",
            is_settled=lambda: self._settling is not None,
        )
        self._lines.append(Line(spend, booking, held.reservation if held else None))
        return spend

    async def _booking(self, charge: Charge, user: User, request: Request) -> Booking:
        method, path = self._scope["method"], _path(self._scope)
        metadata = {"method": method, "path": path}
        key = str(uuid4())
        if self._key:
            named = b"\0".join([method.encode(), path.encode(), self._key])
            key = hashlib.sha256(named).hexdigest()[:40]
            metadata["fingerprint"] = await self._fingerprint()
        return Booking(
            key=f"http:{key}:{len(self._lines) + 1}",
            user_id=user.id,
            workspace_id=_workspace(charge, request),
            credit_type=charge.credit_type,
            amount=charge.amount,
            description=charge.description or f"{method} {path}",
            metadata=metadata,
            ttl_seconds=charge.ttl_seconds,
        )

    async def _fingerprint(self) -> str:
        query = self._scope.get("query_string", b"")
        kind = dict(self._scope["headers"]).get(b"content-type", b"")
        # The boundary of a form is another one each time it is sent.
        body = "" if kind.startswith(b"multipart/") else await self._inbox.fingerprint()
        return hashlib.sha256(query + b"\0" + body.encode()).hexdigest()[:32]

    async def _unless_cancelled(self, booking: Booking) -> Held:
        """Hold, and give it back when the request is cancelled meanwhile: nobody else would know of it."""
        task = asyncio.ensure_future(_booking.hold(self._credits.client, booking))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            _go_on(self._undo(task, booking))
            raise

    async def _undo(self, task: asyncio.Future[Held], booking: Booking) -> None:
        try:
            held = await task
        except CreditsError:
            return
        if self._is_ours(held):
            await self._give_back(booking, held.reservation, "cancelled")

    def headers(self, end: End) -> list[tuple[bytes, bytes]]:
        """The balances as they will be when this response has gone out."""
        return _ratelimit.headers(line.balance_after(end) for line in self._lines)

    @property
    def is_open(self) -> bool:
        """Whether something has not been settled."""
        return bool(self._lines) and self._settling is None

    async def settle(self, end: End) -> None:
        """Charge or give back, once, even if the request is cancelled meanwhile."""
        if self.is_open:
            self._settling = _go_on(self._settle(end))
        if self._settling is not None:
            # Whoever comes second waits as well: a framework may cancel the sender of the last message.
            await asyncio.shield(self._settling)

    async def _settle(self, end: End) -> None:
        for line in self._lines:
            if line.spend.replayed:
                continue
            cost = line.cost(end)
            if cost:
                await self._charge(line, cost)
            elif line.reservation is not None:
                await self._give_back(line.booking, line.reservation, end.value)

    async def _charge(self, line: Line, cost: int) -> None:
        booking, journal = line.booking, self._credits.journal
        try:
            if line.reservation is None:
                raise CreditsUnavailable("Nothing could be held.")
            shortfall = await _booking.capture(self._credits.client, booking, line.reservation, cost)
        except CreditsUnavailable as error:
            if journal is None:
                _log.error("%s cost %d and could not be charged: %s", booking, cost, error)
            else:
                await self._keep(journal, booking, cost)
        except Exception:
            # The response has gone out: there is nobody left to tell but the operator.
            _log.exception("%s cost %d and could not be charged", booking, cost)
        else:
            if shortfall:
                _log.warning("%s cost %d, %d more than there was", booking, cost, shortfall)

    async def _keep(self, journal: Journal, booking: Booking, cost: int) -> None:
        try:
            await journal.append(booking, cost)
        except OSError:
            _log.exception("%s cost %d and could not be kept", booking, cost)

    async def _give_back(self, booking: Booking, reservation: Reservation, reason: str) -> None:
        try:
            await self._credits.client.release_credits(
                booking.user_id, reservation.reservation_id, reason=reason, workspace_id=booking.workspace_id
            )
        except ReservationClosed:
            _log.debug("%s is closed already", booking)
        except Exception as error:
            _log.warning("%s was not released and is held until it expires: %s", booking, error)


def _workspace(charge: Charge, request: Request) -> UUID | None:
    named = charge.workspace(request) if charge.workspace else None
    if not isinstance(named, str):
        return named
    try:
        return UUID(named)
    except ValueError as error:
        raise NoAccount("The workspace that is to pay is not known.") from error


def _path(scope: Mapping[str, Any]) -> str:
    raw = scope.get("raw_path")
    path = raw.decode("latin-1") if raw else quote(scope["path"])
    # A query may be in there; it can be long and private.
    return path.partition("?")[0][:500]


def _go_on(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    task = asyncio.ensure_future(work)
    _going_on.add(task)
    task.add_done_callback(_going_on.discard)
    return task
