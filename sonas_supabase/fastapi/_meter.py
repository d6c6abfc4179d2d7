"""A WebSocket session that pays as it goes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from types import TracebackType
from typing import Literal
from uuid import UUID, uuid4

from starlette.websockets import WebSocket

from sonas_supabase import CreditsError, InsufficientCredits, Reservation, ReservationClosed
from sonas_supabase.charging import LONGEST_HOLD, WrongDeclaration, checked_cost
from sonas_supabase.fastapi import _background
from sonas_supabase.fastapi._books import hold
from sonas_supabase.fastapi._declaration import AskedOf, Declaration, Payer
from sonas_supabase.fastapi._heartbeat import Heartbeat
from sonas_supabase.fastapi._inbox import Message
from sonas_supabase.fastapi._request_spends import RequestSpends
from sonas_supabase.fastapi._spend_request import SpendRequest
from sonas_supabase.fastapi._websockets import refuse
from sonas_supabase.fastapi.errors import CLOSED_BECAUSE, NotAuthenticated

Per = Literal["received", "sent"] | float | timedelta | None


@dataclass(slots=True)
class _Block:
    """A hold of the session: what of it was charged in parts, and what was used since."""

    request: SpendRequest
    reservation: Reservation
    charged: int = 0
    used: int = 0
    parts: int = 0
    # A part whose answer got lost, with its key: it is charged again before anything else.
    unsure: tuple[str, int] | None = None

    @property
    def room(self) -> int:
        return self.reservation.amount - self.charged - self.used


class Meter:
    """What :func:`meter` answers. ``used`` are the credits that the session has used by now."""

    def __init__(
        self,
        websocket: WebSocket,
        declaration: Declaration,
        *,
        amount: int,
        per: Literal["received", "sent"] | float | None,
    ) -> None:
        self._websocket = websocket
        self._declaration = declaration
        self._amount = amount
        self._per = per
        self._spends = RequestSpends.of(websocket.scope)
        self._books = self._spends.books
        self._lock = asyncio.Lock()
        self._session = uuid4()
        self._holds = 0
        self._block: _Block | None = None
        self._heartbeats: list[Heartbeat] = []
        self.used = 0

    async def add(self, credits: int = 1) -> None:
        """Use credits, all or none of them. Raises InsufficientCredits, once the session has been closed."""
        checked_cost(credits)
        try:
            async with self._lock:
                await self._use(credits)
        except CreditsError as refusal:
            await refuse(self._websocket, refusal)
            raise

    async def _use(self, credits: int) -> None:
        if credits > (self._block.room if self._block else 0):
            # What was used is charged, and the next hold is big enough for all of what comes.
            await _background.finish(self._close_block())
            await self._hold(max(credits, self._block_size))
        assert self._block is not None  # noqa: S101 - it has just been held
        self._block.used += credits
        self.used += credits

    @property
    def _block_size(self) -> int:
        assert isinstance(self._declaration.amount, int)  # noqa: S101 - a meter's block is a figure
        return self._declaration.amount

    async def _hold(self, wanted: int) -> None:
        declared = await self._spends.request(self._declaration, self._websocket)
        self._holds += 1
        request = replace(declared, key=f"meter:{self._session}:{self._holds}", amount=wanted)
        try:
            held = await hold(self._books.client, request)
        except InsufficientCredits as denial:
            if wanted <= self._amount or denial.available < self._amount:
                denial.details["credit_type"] = request.credit_type
                raise
            request = replace(request, key=f"{request.key}:rest", amount=denial.available)
            held = await hold(self._books.client, request)
        self._block = _Block(request, held.reservation)

    async def _close_block(self) -> None:
        """Charge what was used of the hold; the rest goes back."""
        block, self._block = self._block, None
        if block is None:
            return
        if block.unsure is not None:
            await self._charge_unsure(block, *block.unsure)
        if block.used:
            await self._books.charge(block.request, block.reservation, block.used)
        else:
            await self._books.release(block.request, block.reservation, "not used")

    async def _charge_unsure(self, block: _Block, key: str, amount: int) -> None:
        block.used -= amount
        part = replace(block.request, key=key, amount=amount, part_of=block.reservation.reservation_id)
        await self._books.charge(part, None, amount)

    async def _charge_part(self, block: _Block, key: str, amount: int) -> None:
        await self._books.client.capture_credits(
            block.request.user_id,
            block.reservation.reservation_id,
            amount,
            workspace_id=block.request.workspace_id,
            final=False,
            idempotency_key=key,
        )

    async def _renew(self) -> None:
        """Charge what was used by now and keep the rest held: a session lasts as long as its client stays."""
        async with self._lock:
            block = self._block
            if block is None:
                return
            try:
                await self._renew_block(block)
            except ReservationClosed:
                await self._close_block()

    async def _renew_block(self, block: _Block) -> None:
        if block.unsure is None and block.used:
            block.parts += 1
            block.unsure = (f"{block.request.key}:part:{block.parts}", block.used)
        if block.unsure is not None:
            key, amount = block.unsure
            await self._charge_part(block, key, amount)
            block.charged, block.used, block.unsure = block.charged + amount, block.used - amount, None
        await self._books.client.extend_reservation(
            block.request.user_id,
            block.reservation.reservation_id,
            ttl_seconds=block.request.ttl_seconds,
            workspace_id=block.request.workspace_id,
        )

    async def _end(self) -> None:
        async with self._lock:
            await self._close_block()

    async def _tick(self) -> None:
        try:
            await self.add(self._amount)
        except CreditsError:
            self._stop()

    async def _received(self, message: Message) -> Message:
        if message["type"] == "websocket.receive":
            try:
                await self.add(self._amount)
            except CreditsError as refusal:
                return {"type": "websocket.disconnect", "code": CLOSED_BECAUSE + refusal.status, "reason": refusal.code}
        return message

    async def _sent(self, message: Message) -> None:
        if message["type"] == "websocket.send":
            try:
                await self.add(self._amount)
            except CreditsError as refusal:
                raise OSError("the session was closed") from refusal

    def _stop(self) -> None:
        for heartbeat in self._heartbeats:
            heartbeat.stop()

    async def __aenter__(self) -> Meter:
        try:
            await self._spends.user()
            async with self._lock:
                await self._hold(self._block_size)
        except (CreditsError, NotAuthenticated) as refusal:
            await refuse(self._websocket, refusal)
            raise
        self._heartbeats.append(Heartbeat(self._declaration.ttl_seconds / 3, self._renew))
        if self._per == "received":
            self._spends.watch(received=self._received)
        elif self._per == "sent":
            self._spends.watch(sent=self._sent)
        elif self._per is not None:
            self._heartbeats.append(Heartbeat(self._per, self._tick))
            await self.add(self._amount)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        self._spends.watch()
        await _background.finish(self._end())


def meter(
    websocket: WebSocket,
    credit_type: str,
    *,
    per: Per = None,
    amount: int = 1,
    block: int = 10,
    description: str | None = None,
    ttl_seconds: int = 900,
    workspace: UUID | str | Payer | None = None,
    actor: AskedOf[str | None] | None = None,
) -> Meter:
    """Meter a WebSocket session: ``async with meter(websocket, "message", per="received") as session``.

    ``block`` credits are held at a time (or what is there), charged in parts while the hold is extended, when they are
    used up, and at the end; what was not used goes back. When there is no more, the session is closed with code and
    reason.

    Args:
        websocket: the session; an application with :meth:`Credits.install`.
        credit_type: which credits.
        per: what costs ``amount``: each message ``received`` or ``sent``, or each time so many seconds begin. None for
            what ``session.add(n)`` says and nothing else.
        amount: credits for each of them.
        block: credits held at a time; never fewer than ``amount``.
        description: what the ledger says.
        ttl_seconds: how long what is held lives when the process dies.
        workspace: which workspace pays; None for the user.
        actor: which agent or key acts for the user.

    Raises:
        WrongDeclaration: this can never work.
        InsufficientCredits: there is not enough to begin with; the session has been closed.
    """
    seconds = per.total_seconds() if isinstance(per, timedelta) else per
    if not (seconds in ("received", "sent", None) or _is_time(seconds)):
        raise WrongDeclaration(f"per={per!r} cannot be declared: it is received, sent, or seconds up to a day.")
    blocks = max(block, amount) if isinstance(block, int) and isinstance(amount, int) else block
    declaration = Declaration(
        credit_type=credit_type, amount=blocks, charge="held", at_least=0, description=description,
        ttl_seconds=ttl_seconds, on_unavailable="deny", workspace=workspace, actor=actor, exempt=None,
    )  # fmt: skip
    if isinstance(amount, bool) or not isinstance(amount, int) or amount < 1:
        raise WrongDeclaration(f"amount={amount!r} cannot be declared: it is a whole number of credits from 1 on.")
    return Meter(websocket, declaration, amount=amount, per=seconds)


def _is_time(seconds: object) -> bool:
    return isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 < seconds <= LONGEST_HOLD
