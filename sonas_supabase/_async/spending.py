"""The calls that spend: consume, hold, capture, release, refund."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from sonas_supabase import _calls
from sonas_supabase._async.caller import AsyncCaller
from sonas_supabase._async.hold import AsyncHold
from sonas_supabase._calls import Id, Item
from sonas_supabase.models import Advice, Answer, Batch, Capture, Refund, Release, Reservation


class AsyncSpending(AsyncCaller):
    """Spend credits, hold them, give them back."""

    async def consume_credits(
        self,
        user_id: Id,
        credit_type: str,
        amount: int = 1,
        *,
        description: str | None = None,
        idempotency_key: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        workspace_id: Id | None = None,
        strict: bool = False,
    ) -> Answer:
        """Spend ``amount`` credits, all or nothing. SQL: ``consume_credits``.

        The same ``idempotency_key`` takes effect once. ``strict`` keeps a denial off the record in ``usage``, and
        off what else the transaction has done.

        Raises:
            InsufficientCredits: there is not enough (also LimitReached, MemberCapReached).
            IdempotencyConflict: the key belongs to another request.
            AccountFrozen, AccountNotFound, UnknownCreditType, InvalidAmount, InvalidArgument.
        """
        return await self._call(
            _calls.consume_credits(
                user_id,
                credit_type,
                amount,
                description=description,
                idempotency_key=idempotency_key,
                metadata=metadata,
                workspace_id=workspace_id,
                strict=strict,
            )
        )

    async def consume_credits_batch(
        self, user_id: Id, items: Sequence[Item], *, workspace_id: Id | None = None
    ) -> Batch:
        """Spend several items, all or none. SQL: ``consume_credits_batch``.

        Each of the 1 to 100 items is a mapping with ``credit_type`` and, as in :meth:`consume_credits`, ``amount``,
        ``description``, ``idempotency_key`` and ``metadata``.

        Raises:
            InsufficientCredits: one of them cannot be had, so none was spent.
            InvalidAmount, InvalidArgument: ``details["item"]`` says which item.
        """
        return await self._call(_calls.consume_credits_batch(user_id, items, workspace_id=workspace_id))

    async def check_credits(
        self, user_id: Id, credit_type: str, amount: int = 1, *, workspace_id: Id | None = None
    ) -> Advice:
        """Whether ``amount`` credits could be spent now. SQL: ``check_credits``.

        Advice for a user interface: it changes nothing, holds nothing and does not raise when there is not enough.
        To be sure, reserve.
        """
        return await self._call(_calls.check_credits(user_id, credit_type, amount, workspace_id=workspace_id))

    def reserve(
        self,
        user_id: Id,
        credit_type: str,
        amount: int = 1,
        *,
        description: str | None = None,
        idempotency_key: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        ttl_seconds: int = 900,
        workspace_id: Id | None = None,
        strict: bool = False,
    ) -> AsyncHold:
        """Hold credits for the length of an ``async with`` block, at most ``ttl_seconds``.

        Success charges all of the hold, or what ``hold.capture(amount)`` says; an exception gives it back. The
        arguments and errors are those of :meth:`reserve_credits`, which the block begins with.
        """
        reserve = partial(
            self.reserve_credits,
            user_id,
            credit_type,
            amount,
            description=description,
            idempotency_key=idempotency_key,
            metadata=metadata,
            ttl_seconds=ttl_seconds,
            workspace_id=workspace_id,
            strict=strict,
        )
        return AsyncHold(self, reserve, user_id=user_id, workspace_id=workspace_id, shielded=self._transport.autonomous)

    async def reserve_credits(
        self,
        user_id: Id,
        credit_type: str,
        amount: int = 1,
        *,
        description: str | None = None,
        idempotency_key: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        ttl_seconds: int = 900,
        workspace_id: Id | None = None,
        strict: bool = False,
    ) -> Reservation:
        """Hold ``amount`` credits for 1 to 86400 seconds, all or nothing. SQL: ``reserve_credits``.

        Capture it, release it, or let it expire: then it cost nothing. :meth:`reserve` does this for a block.

        Raises:
            InsufficientCredits: there is not enough (also LimitReached, MemberCapReached).
            IdempotencyConflict: the key belongs to another request.
            AccountFrozen, AccountNotFound, UnknownCreditType, InvalidAmount, InvalidArgument.
        """
        return await self._call(
            _calls.reserve_credits(
                user_id,
                credit_type,
                amount,
                description=description,
                idempotency_key=idempotency_key,
                metadata=metadata,
                ttl_seconds=ttl_seconds,
                workspace_id=workspace_id,
                strict=strict,
            )
        )

    async def capture_credits(
        self,
        user_id: Id,
        reservation_id: Id,
        amount: int | None = None,
        *,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        workspace_id: Id | None = None,
    ) -> Capture:
        """Charge a hold, once: ``amount`` credits, None for all of it. SQL: ``capture_credits``.

        Above the hold, what is available is taken and the answer says the ``shortfall``. The same capture again is
        answered like the first.

        Raises:
            ReservationNotFound: the account has no such hold.
            ReservationClosed: it was released, has expired, or was captured with another amount.
            AccountFrozen, AccountNotFound, InvalidAmount, InvalidArgument.
        """
        return await self._call(
            _calls.capture_credits(
                user_id, reservation_id, amount, description=description, metadata=metadata, workspace_id=workspace_id
            )
        )

    async def release_credits(
        self,
        user_id: Id,
        reservation_id: Id,
        *,
        reason: str | None = None,
        workspace_id: Id | None = None,
    ) -> Release:
        """Give a hold back without charging anything. SQL: ``release_credits``.

        Raises:
            ReservationNotFound: the account has no such hold.
            ReservationClosed: it is no longer open. When the first answer got lost on the way, this is the second:
                ``details["status"]`` is then ``released``.
        """
        return await self._call(
            _calls.release_credits(user_id, reservation_id, reason=reason, workspace_id=workspace_id)
        )

    async def refund_credits(
        self,
        user_id: Id,
        operation_id: Id,
        amount: int | None = None,
        *,
        reason: str | None = None,
        idempotency_key: str | None = None,
        workspace_id: Id | None = None,
    ) -> Refund:
        """Give back ``amount`` credits of a spend, None for what is left of it. SQL: ``refund_credits``.

        They return to the very grants they came from. It is also how a limit gets back what was deleted.

        Raises:
            OperationNotFound: the account has no such spend.
            InvalidAmount: more than is left to give back; ``details["refundable"]`` says how much.
            IdempotencyConflict: the key belongs to another request.
        """
        return await self._call(
            _calls.refund_credits(
                user_id, operation_id, amount, reason=reason, idempotency_key=idempotency_key, workspace_id=workspace_id
            )
        )
