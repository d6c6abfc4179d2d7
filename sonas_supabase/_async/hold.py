"""The hold: credits set aside for the length of a ``with`` block."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sonas_supabase._async.waiting import every, see_through
from sonas_supabase._call import Id
from sonas_supabase.errors import ReservationClosed, UnexpectedAnswer
from sonas_supabase.handing_over import HoldToken
from sonas_supabase.models import Capture, Release, Reservation

if TYPE_CHECKING:
    from sonas_supabase._async.client import AsyncCreditsClient
    from sonas_supabase._async.holds import AsyncHolds

_log = logging.getLogger("sonas_supabase")


class AsyncHold:
    """Credits held while the block runs: charged when it succeeds, given back when it does not.

    Entering reserves, and raises :class:`~sonas_supabase.InsufficientCredits` when there is not enough. Leaving
    without a word captures all of it; leaving by an exception (or a cancellation) releases it, and a release that
    fails never hides the exception. While the block runs, the hold extends itself; when the process dies, it expires
    after its ``ttl_seconds``.
    """

    def __init__(
        self,
        client: AsyncHolds,
        reserve: Callable[[], Awaitable[Reservation]],
        *,
        user_id: Id,
        workspace_id: Id | None,
        autonomous: bool,
        ttl_seconds: int,
        made_here: bool = True,
    ) -> None:
        self._client = client
        self._reserve = reserve
        self._user_id = user_id
        self._workspace_id = workspace_id
        # On a connection of the caller's nothing can be done behind its back, nor after its transaction.
        self._autonomous = autonomous
        self._made_here = made_here
        self._ttl_seconds = ttl_seconds
        self._stop_extending: Callable[[], object] | None = None
        self._reservation: Reservation | None = None
        self._closed = False

    @property
    def reservation(self) -> Reservation:
        """What ``reserve_credits`` answered. Raises RuntimeError outside the block."""
        if self._reservation is None:
            raise RuntimeError("The credits are reserved when the block is entered.")
        return self._reservation

    @property
    def reservation_id(self) -> UUID:
        """The id of the reservation."""
        return self.reservation.reservation_id

    @property
    def operation_id(self) -> UUID | None:
        """The id that the capture will have in the ledger; ``refund_credits`` takes it."""
        return self.reservation.operation_id

    @property
    def amount(self) -> int:
        """Credits held."""
        return self.reservation.amount

    @property
    def expires_at(self) -> datetime:
        """When the hold counts as released (UTC)."""
        return self.reservation.expires_at

    @property
    def closed(self) -> bool:
        """Whether this hold was captured or released here."""
        return self._closed

    @classmethod
    def from_token(cls, token: str, client: AsyncCreditsClient) -> AsyncHold:
        """Take up a hold that another process has handed over with ``detach``, for one block.

        Entering the block asks whether the hold is still open: a job that comes twice, or too late, does not begin.

        Raises:
            InvalidArgument: it is no token.
            ReservationClosed: on entering; ``details["status"]`` says whether it was captured, released or has expired.
        """
        handed = HoldToken.from_text(token)

        async def take_up() -> Reservation:
            operation_id = handed.reservation.operation_id
            if operation_id is None:
                raise UnexpectedAnswer("A reservation has no operation.")
            operation = await client.explain_operation(handed.user_id, operation_id, workspace_id=handed.workspace_id)
            status = str((operation.reservation or {}).get("status"))
            if status != "open":
                raise ReservationClosed(f"The hold is {status}.", details={"status": status})
            return handed.reservation

        return cls(
            client,
            take_up,
            user_id=handed.user_id,
            workspace_id=handed.workspace_id,
            autonomous=client._transport.autonomous,
            ttl_seconds=handed.ttl_seconds,
            made_here=False,
        )

    def detach(self) -> str:
        """Hand the hold over to another process: the text for :meth:`from_token`. The block then leaves it alone.

        It is as good as the credits it holds: keep it between servers. The hold expires as it would have.
        """
        if self._closed:
            raise RuntimeError("This hold was captured, released or handed over.")
        token = HoldToken(
            user_id=UUID(str(self._user_id)),
            workspace_id=UUID(str(self._workspace_id)) if self._workspace_id else None,
            reservation=self.reservation,
            ttl_seconds=self._ttl_seconds,
        )
        self._end()
        return token.to_text()

    async def capture(
        self,
        amount: int | None = None,
        *,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        final: bool = True,
        idempotency_key: str | None = None,
    ) -> Capture:
        """Charge ``amount`` credits, None for all that is held; the rest goes back.

        Above the hold, what is available is taken and the answer says the ``shortfall``. The same capture again is
        answered like the first. ``final`` False charges a part and keeps the rest held; a part that is sent again under
        its ``idempotency_key`` is charged once. SQL: ``capture_credits``.

        Raises:
            ReservationClosed: it was released, has expired, or was captured with another amount.
        """
        captured = await self._client.capture_credits(
            self._user_id,
            self.reservation_id,
            amount,
            description=description,
            metadata=metadata,
            workspace_id=self._workspace_id,
            final=final,
            idempotency_key=idempotency_key,
        )
        if final:
            self._end()
        return captured

    async def extend(self, ttl_seconds: int = 900) -> Reservation:
        """Keep it open for ``ttl_seconds`` from now, never shorter than it was. SQL: ``extend_reservation``.

        Raises:
            ReservationClosed: it was captured, released or has expired.
        """
        self._reservation = await self._client.extend_reservation(
            self._user_id, self.reservation_id, ttl_seconds=ttl_seconds, workspace_id=self._workspace_id
        )
        return self._reservation

    async def release(self, reason: str | None = None) -> Release:
        """Give all of it back. SQL: ``release_credits``.

        Raises:
            ReservationClosed: it was captured, released or has expired.
        """
        released = await self._client.release_credits(
            self._user_id, self.reservation_id, reason=reason, workspace_id=self._workspace_id
        )
        self._end()
        return released

    async def __aenter__(self) -> AsyncHold:
        if self._reservation is not None:
            raise RuntimeError("A hold is for one block. Call reserve() again.")
        if self._autonomous and self._made_here:
            self._reservation = await see_through(self._reserve, undo=self._give_back)
        else:
            self._reservation = await self._reserve()
        if self._autonomous:
            if not self._made_here:
                # It may have waited in a queue for most of its time.
                await self._keep_open()
            # Often enough that one extension may get lost.
            self._stop_extending = _extending(self, self._ttl_seconds / 3)
        return self

    async def _keep_open(self) -> None:
        try:
            await self._client.extend_reservation(
                self._user_id, self.reservation_id, ttl_seconds=self._ttl_seconds, workspace_id=self._workspace_id
            )
        except ReservationClosed:
            _log.debug("hold %s is closed already", self.reservation_id)
        except Exception as failure:
            _log.warning("hold %s was not extended: %s", self.reservation_id, failure)

    def _end(self) -> None:
        self._closed = True
        if self._stop_extending is not None:
            self._stop_extending()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._closed:
            return
        if self._stop_extending is not None:
            self._stop_extending()
        finish: Callable[[], Awaitable[object]] = self.capture
        if error is not None:
            finish = partial(self._give_back, self.reservation, kind)
        await (see_through(finish) if self._autonomous else finish())

    async def _give_back(self, reservation: Reservation, kind: type[BaseException] | None = None) -> None:
        try:
            await self._client.release_credits(
                self._user_id,
                reservation.reservation_id,
                reason=kind.__name__ if kind else "cancelled",
                workspace_id=self._workspace_id,
            )
        except ReservationClosed:
            # A capture whose answer got lost, or a hold that has expired: nothing is left to give back.
            _log.debug("hold %s is closed already", reservation.reservation_id)
        except Exception as failure:
            _log.warning(
                "hold %s was not released and counts until %s: %s",
                reservation.reservation_id,
                reservation.expires_at,
                failure,
            )
        self._end()


def _extending(hold: AsyncHold, seconds: float) -> Callable[[], object]:
    """Extend a hold every so many seconds, until what this answers is called or nothing refers to the hold any more."""
    kept = weakref.ref(hold)

    async def extend() -> None:
        there = kept()
        if there is None:
            stop()
        else:
            await there._keep_open()

    stop = every(seconds, extend)
    return stop
