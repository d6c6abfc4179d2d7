"""The books, as an application's requests meet them: hold, charge, give back, and say what could not be charged."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal
from uuid import UUID

from sonas_supabase import (
    AsyncCreditsClient,
    CreditsUnavailable,
    IdempotencyConflict,
    InsufficientCredits,
    NotConfigured,
    Reservation,
    ReservationClosed,
    UnexpectedAnswer,
)
from sonas_supabase.fastapi._spend_request import SpendRequest
from sonas_supabase.observe import tell_uncollected

if TYPE_CHECKING:
    from sonas_supabase.fastapi._journal import Journal

_log = logging.getLogger("sonas_supabase")
_MOST_CRASHES = 50
# The disk is full or gone, or the file is none of ours.
_NO_JOURNAL = (OSError, NotConfigured)


@dataclass(frozen=True, slots=True, kw_only=True)
class Uncollected:
    """Work that was done and could not be charged, or a charge for what failed that could not be given back.

    Attributes:
        request: what was to be charged.
        credits: how much of it is missing.
        reason: a slug: ``insufficient_credits``, ``unavailable``, ``account_frozen`` and so on.
        kind: ``charge`` where the account owes it, ``refund`` where it is owed to the account.
    """

    request: SpendRequest
    credits: int
    reason: str
    kind: Literal["charge", "refund"] = "charge"


OnUncollected = Callable[[Uncollected], Awaitable[None] | None]


@dataclass(frozen=True, slots=True)
class Held:
    """A hold, and where it stands: ``new``, or of an earlier run under the same key ``open`` or ``captured``."""

    reservation: Reservation
    status: str
    charged: int | None = None
    """Credits that the earlier run has charged, and not given back."""


@dataclass(frozen=True, slots=True)
class Charged:
    """Credits of one operation, which can be given back up to that."""

    request: SpendRequest
    reservation: Reservation
    credits: int


@dataclass(frozen=True, slots=True)
class Refund:
    """Credits of an operation that are to be given back; ``request`` has the key that makes it one refund.

    ``is_all`` gives back what the operation cost to the last part of a credit.
    """

    request: SpendRequest
    operation_id: UUID
    credits: int
    reason: str
    is_all: bool = False

    async def do(self, client: AsyncCreditsClient) -> None:
        """Give them back, once."""
        await client.refund_credits(
            self.request.user_id,
            self.operation_id,
            None if self.is_all else self.credits,
            reason=self.reason,
            idempotency_key=self.request.key,
            workspace_id=self.request.workspace_id,
        )


class Books:
    """One client, and what happens beside it: the journal, and the hook for what could not be charged."""

    def __init__(
        self, client: AsyncCreditsClient, *, journal: Journal | None, on_uncollected: OnUncollected | None
    ) -> None:
        self.client = client
        self.journal = journal
        self.on_uncollected = on_uncollected

    async def charge(self, request: SpendRequest, reservation: Reservation | None, cost: int) -> tuple[Charged, ...]:
        """Charge the cost of a request that was served. What cannot be charged is told and kept; nothing is raised.

        Answers the operations that were charged.
        """
        missing, reason = 0, "insufficient_credits"
        charged: tuple[Charged, ...] = ()
        try:
            if reservation is None:
                missing, charged = await book(self.client, request, cost)
            else:
                missing, charged = await capture(self.client, request, reservation, cost)
        except CreditsUnavailable as error:
            missing, reason = await self._put_off(request, cost, error)
        except Exception as error:
            # The response has gone out: there is nobody left to tell but the operator.
            _log.exception("%s cost %d and could not be charged", request, cost)
            missing, reason = cost, str(getattr(error, "code", "error"))
        if missing:
            await self.uncollected(Uncollected(request=request, credits=missing, reason=reason))
        return charged

    async def _put_off(self, request: SpendRequest, cost: int, error: CreditsUnavailable) -> tuple[int, str]:
        if self.journal is None:
            _log.error("%s cost %d and could not be charged: %s", request, cost, error)
            return cost, error.code
        try:
            await self.journal.append(request, cost)
        except _NO_JOURNAL:
            _log.exception("%s cost %d and could not be kept", request, cost)
            return cost, error.code
        return 0, ""

    async def charge_later(self, request: SpendRequest, entry: str, cost: int) -> None:
        """Say in the journal what a request has cost that nothing was held for."""
        try:
            if self.journal is None:
                raise OSError("the journal is gone")
            await self.journal.settle(entry, request, cost)
        except _NO_JOURNAL:
            _log.exception("%s cost %d and could not be kept", request, cost)
            if cost:
                await self.uncollected(Uncollected(request=request, credits=cost, reason=CreditsUnavailable.code))

    async def is_in_journal(self, user_id: UUID, key: str) -> bool:
        """Whether a spend with this key waits there."""
        try:
            return self.journal is not None and await self.journal.holds(user_id, key)
        except _NO_JOURNAL:
            _log.exception("the journal cannot be read")
            return False

    async def enter_unheld(self, request: SpendRequest) -> str | None:
        """Let a request in that nothing can be held for: its entry in the journal, or None if it has to be refused."""
        try:
            return None if self.journal is None else await self.journal.open(request)
        except _NO_JOURNAL:
            _log.exception("%s is refused, since it could not be kept", request)
            return None

    async def refund(self, operation: Charged, *, cost: int, reason: str) -> None:
        """Give back what an operation was charged above its cost. What fails is told and kept; nothing is raised."""
        credits = operation.credits - cost
        request = replace(operation.request, key=f"{operation.request.key}:back:{operation.credits}:{cost}")
        try:
            if operation.reservation.operation_id is None:
                raise UnexpectedAnswer("A reservation has no operation.")
            is_all = operation.request.operation is not None and not cost
            refund = Refund(request, operation.reservation.operation_id, credits, reason, is_all)
            try:
                await refund.do(self.client)
            except CreditsUnavailable:
                if self.journal is None:
                    raise
                await self.journal.append_refund(refund)
        except Exception as error:
            _log.exception("%s: %d credits could not be given back", request, credits)
            why = str(getattr(error, "code", "error"))
            await self.uncollected(Uncollected(request=request, credits=credits, reason=why, kind="refund"))

    async def release(self, request: SpendRequest, reservation: Reservation, reason: str) -> None:
        """Give back what is held. A release that fails is logged: the hold expires by itself."""
        try:
            await self.client.release_credits(
                request.user_id, reservation.reservation_id, reason=reason, workspace_id=request.workspace_id
            )
        except ReservationClosed:
            _log.debug("%s is closed already", request)
        except Exception as error:
            _log.warning("%s was not released and is held until it expires: %s", request, error)

    async def uncollected(self, entry: Uncollected) -> None:
        """Tell the log, the counters, the database and the application. None of them can stop the others."""
        request = entry.request
        if entry.kind == "charge":
            _log.error("%s: %d credits could not be charged: %s", request, entry.credits, entry.reason)
            tell_uncollected(request.credit_type, entry.credits, entry.reason)
        try:
            await self.client.record_uncollected(
                request.user_id,
                request.credit_type,
                entry.credits,
                entry.reason,
                description=request.description,
                idempotency_key=request.key,
                kind=entry.kind,
                workspace_id=request.workspace_id,
            )
        except Exception as error:
            _log.error("%s: that is not on record in the database: %s", request, error)
        if self.on_uncollected is None:
            return
        try:
            told = self.on_uncollected(entry)
            if inspect.isawaitable(told):
                await told
        except Exception:
            _log.exception("on_uncollected failed")


async def hold(client: AsyncCreditsClient, request: SpendRequest) -> Held:
    """Hold what the request asks for, unless an earlier run under its key holds it or has paid it.

    A hold that was released or has expired belongs to a run whose server died. The next run has the next key.
    """
    for attempt in range(1, _MOST_CRASHES + 1):
        reservation = await _reserve(client, request, request.key if attempt == 1 else f"{request.key}#{attempt}")
        held = await _earlier(client, request, reservation) if reservation.replayed else Held(reservation, "new")
        if held.status in ("new", "open", "captured"):
            return held
    raise IdempotencyConflict(
        f"The server died {_MOST_CRASHES} times while it worked on a request with this key.", hint="Use a new key."
    )


async def _reserve(client: AsyncCreditsClient, request: SpendRequest, key: str) -> Reservation:
    if request.operation is None:
        return await client.reserve_credits(
            request.user_id,
            request.credit_type,
            request.amount,
            description=request.description,
            idempotency_key=key,
            metadata=request.metadata,
            ttl_seconds=request.ttl_seconds,
            workspace_id=request.workspace_id,
        )
    return await client.reserve_operation(
        request.user_id,
        request.operation,
        request.quantities,
        description=request.description,
        idempotency_key=key,
        metadata=request.metadata,
        ttl_seconds=request.ttl_seconds,
        book=request.book,
        workspace_id=request.workspace_id,
    )


async def _earlier(client: AsyncCreditsClient, request: SpendRequest, reservation: Reservation) -> Held:
    if reservation.operation_id is None:
        raise UnexpectedAnswer("A reservation has no operation.")
    operation = await client.explain_operation(
        request.user_id, reservation.operation_id, workspace_id=request.workspace_id
    )
    status = str((operation.reservation or {}).get("status"))
    return Held(reservation, status, abs(operation.amount) - operation.refunded if status == "captured" else None)


async def capture(
    client: AsyncCreditsClient, request: SpendRequest, reservation: Reservation, cost: int
) -> tuple[int, tuple[Charged, ...]]:
    """Charge a hold, or what it held in case it has expired. Answers the credits that were missing, and the operations.

    Raises:
        ReservationClosed: it was released.
    """
    try:
        if request.operation is not None:
            priced = await client.capture_operation(
                request.user_id, reservation.reservation_id, request.used, workspace_id=request.workspace_id
            )
            # What cost nothing has nothing to give back.
            charged = (Charged(request, reservation, priced.captured),) if priced.cost else ()
            return priced.shortfall, charged
        captured = await client.capture_credits(
            request.user_id, reservation.reservation_id, cost, workspace_id=request.workspace_id
        )
    except ReservationClosed as closed:
        status = closed.details.get("status")
        if status == "expired":
            return await book(client, request, cost)
        if status == "captured":
            return 0, (Charged(request, reservation, cost),)
        raise
    return captured.shortfall, (Charged(request, reservation, cost - captured.shortfall),)


async def book(
    client: AsyncCreditsClient, request: SpendRequest, cost: int, *, all_or_nothing: bool = False
) -> tuple[int, tuple[Charged, ...]]:
    """Hold and charge in one go, unless the key has been paid. Answers as :func:`capture` does.

    Raises:
        InsufficientCredits: there is nothing left, or not enough where it has to be all.
    """
    if request.part_of is not None:
        return await _charge_part(client, request, cost, all_or_nothing=all_or_nothing)
    try:
        held = await hold(client, request)
    except InsufficientCredits as denial:
        there = min(denial.available, cost)
        if not there or (all_or_nothing and there < cost):
            raise
        rest = replace(request, key=f"{request.key}:rest", amount=there, operation=None, quantities=None, used=None)
        missing, charged = await book(client, rest, there)
        return cost - there + missing, charged
    if held.status == "captured":
        return 0, (Charged(request, held.reservation, held.charged or 0),)
    return await capture(client, request, held.reservation, cost)


async def _charge_part(
    client: AsyncCreditsClient, part: SpendRequest, cost: int, *, all_or_nothing: bool
) -> tuple[int, tuple[Charged, ...]]:
    """Charge a part of a hold, unless its key says that it was. A hold that is closed has not charged it."""
    assert part.part_of is not None  # noqa: S101 - asked before
    try:
        await client.capture_credits(
            part.user_id, part.part_of, cost, workspace_id=part.workspace_id, final=False, idempotency_key=part.key
        )
    except ReservationClosed:
        return await book(client, replace(part, part_of=None), cost, all_or_nothing=all_or_nothing)
    return 0, ()
