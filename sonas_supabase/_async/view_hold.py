"""The hold of a view: charged when its response has ended, by what the view has said."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from sonas_supabase._async.hold import AsyncHold
from sonas_supabase._async.waiting import Slots, see_through
from sonas_supabase.charging import Outcome, Said, ViewCharge, checked_cost, credits_to_charge
from sonas_supabase.errors import InsufficientCredits, ReservationClosed
from sonas_supabase.models import Capture, Release
from sonas_supabase.observe import tell_uncollected

if TYPE_CHECKING:
    from sonas_supabase._async.client import AsyncCreditsClient

_log = logging.getLogger("sonas_supabase")
_LONGEST_SETTLING = 300


class AsyncViewHold(AsyncHold):
    """A hold that a view is given. It says what the work really cost::

        hold.cost = 3      # or, as tokens go out:
        hold.add(1)

    and is charged when the response has ended, as ``charge=`` declares. ``hold.capture(3)`` charges at once, and counts
    as having said so.

    Attributes:
        credit_type: which credits.
    """

    def __init__(self, client: AsyncCreditsClient, asked: ViewCharge) -> None:
        self._key = f"view:{uuid4()}"
        super().__init__(
            client,
            partial(
                client.reserve_credits,
                asked.user_id,
                asked.credit_type,
                asked.amount,
                description=asked.description,
                idempotency_key=self._key,
                ttl_seconds=asked.ttl_seconds,
                workspace_id=asked.workspace_id,
            ),
            user_id=asked.user_id,
            workspace_id=asked.workspace_id,
            autonomous=True,
            ttl_seconds=asked.ttl_seconds,
        )
        self.credit_type = asked.credit_type
        self._calls = client
        self._asked = asked
        self._cost: int | None = None
        self._added = 0
        self._charged: list[tuple[UUID | None, int]] = []
        self._is_settled = False
        self._was_handed_over = False
        # The end of a body and its close may come from two threads or tasks.
        self._turn = Slots(1)

    @property
    def amount(self) -> int:
        """Credits that were asked for; 0 when nothing is held."""
        return self._asked.amount

    @property
    def cost(self) -> int | None:
        """What the work cost, in credits, as far as it is known; None as long as nothing was said.

        More than is held may be set: what is available is then charged.

        Raises:
            InvalidAmount: it is not a whole number of credits from 0 to 2^53.
            RuntimeError: the response has ended, and the charge with it.
        """
        return self._cost

    @cost.setter
    def cost(self, value: int) -> None:
        self._cost = self._checked(value)

    def add(self, credits: int = 1) -> None:
        """Add to the cost, from 0. It stays charged when a stream breaks. Raises what setting the cost raises."""
        added = self._checked(credits)
        self._cost = checked_cost((self._cost or 0) + added)
        self._added += added

    def _checked(self, value: object) -> int:
        if self._is_settled:
            raise RuntimeError("The response has ended and this hold is settled. Set the cost before.")
        return checked_cost(value)

    async def begin(self) -> None:
        """Hold what the view costs, and charge it at once where that is declared. Raises what ``reserve`` raises."""
        if self._asked.amount:
            await self.__aenter__()
            if self._asked.charge == "on_start":
                await see_through(partial(self._capture, self._asked.amount))

    async def capture(
        self,
        amount: int | None = None,
        *,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        final: bool = True,
        idempotency_key: str | None = None,
    ) -> Capture:
        """Charge at once, as a hold does. It stays charged unless the server fails before the response has begun."""
        captured = await super().capture(
            amount, description=description, metadata=metadata, final=final, idempotency_key=idempotency_key
        )
        if not captured.replayed:
            self._charged.append((captured.operation_id, captured.captured))
            self._cost = (self._cost or 0) + captured.captured
            self._added += captured.captured
        return captured

    async def release(self, reason: str | None = None) -> Release:
        """Give all of it back, as a hold does. The view then costs nothing, unless it says something else."""
        released = await super().release(reason)
        self._cost = self._cost or 0
        return released

    def detach(self) -> str:
        """Hand the hold over to another process. The view then neither charges nor gives back."""
        token = super().detach()
        self._was_handed_over = True
        return token

    async def settle(self, outcome: Outcome, *, final: bool = True) -> None:
        """Charge or give back what this outcome comes to. Nothing is raised; it may be called again with another.

        After the ``final`` one nothing more can be said of the cost.
        """
        self._is_settled = final
        if not self._was_handed_over:
            await see_through(partial(self._settle_in_turn, outcome))

    async def _settle_in_turn(self, outcome: Outcome) -> None:
        if not await self._turn.take(_LONGEST_SETTLING):
            _log.error("%s is not settled: it is being settled without end", self._asked.description)
            return
        try:
            await self._settle(outcome)
        finally:
            self._turn.give()

    async def _settle(self, outcome: Outcome) -> None:
        said = Said(cost=self._cost, added=self._added)
        at_least = self._asked.at_least if self._asked.amount else 0
        cost = credits_to_charge(self._asked.charge, outcome, said, amount=self._asked.amount, at_least=at_least)
        due = cost - sum(credits for _, credits in self._charged)
        if due > 0:
            await self._charge(due)
        elif self._reservation is not None and not self._closed:
            await self._give_back(self._reservation)
        # Each operation gives back what it was charged at most, the last one first.
        surplus = -due
        while surplus > 0 and self._charged:
            operation_id, credits = self._charged.pop()
            back = min(credits, surplus)
            surplus -= back
            await self._refund(operation_id, back, outcome.value)
            if back < credits:
                self._charged.append((operation_id, credits - back))

    async def _charge(self, due: int) -> None:
        missing, reason = due, "insufficient_credits"
        try:
            is_held = self._reservation is not None and not self._closed
            missing = await (self._capture(due) if is_held else self._consume(due))
        except InsufficientCredits:
            _log.debug("%s: there was not enough", self._asked.description)
        except Exception as error:
            # The response goes out all the same: the operator alone can be told.
            _log.exception("%s cost %d and could not be charged", self._asked.description, due)
            reason = str(getattr(error, "code", "error"))
        if missing:
            await self._uncollected(missing, reason, "charge")

    async def _capture(self, due: int) -> int:
        try:
            captured = await super().capture(due)
        except ReservationClosed as closed:
            if closed.details.get("status") != "expired":
                raise
            self._end()
            return await self._consume(due)
        self._charged.append((captured.operation_id, captured.captured))
        return captured.shortfall

    async def _consume(self, due: int) -> int:
        """Charge beside the hold. Answers what was missing."""
        try:
            await self._consume_all(due)
        except InsufficientCredits as denial:
            there = min(denial.available, due)
            if not there:
                raise
            await self._consume_all(there)
            return due - there
        return 0

    async def _consume_all(self, credits: int) -> None:
        consumed = await self._calls.consume_credits(
            self._asked.user_id,
            self._asked.credit_type,
            credits,
            description=self._asked.description,
            idempotency_key=f"{self._key}:more:{len(self._charged)}:{credits}",
            workspace_id=self._asked.workspace_id,
        )
        self._charged.append((consumed.operation_id, credits))

    async def _refund(self, operation_id: UUID | None, credits: int, reason: str) -> None:
        try:
            if operation_id is None:
                raise ReservationClosed("The charge has no operation.")
            await self._calls.refund_credits(
                self._asked.user_id,
                operation_id,
                credits,
                reason=reason,
                idempotency_key=f"{self._key}:back:{operation_id}:{credits}",
                workspace_id=self._asked.workspace_id,
            )
        except Exception as error:
            _log.exception("%s: %d credits could not be given back", self._asked.description, credits)
            await self._uncollected(credits, str(getattr(error, "code", "error")), "refund")

    async def _uncollected(self, credits: int, reason: str, kind: str) -> None:
        """Tell the log, the listeners and the database. None of them can stop the others."""
        if kind == "charge":
            _log.error("%s: %d credits could not be charged: %s", self._asked.description, credits, reason)
            tell_uncollected(self._asked.credit_type, credits, reason)
        try:
            await self._calls.record_uncollected(
                self._asked.user_id,
                self._asked.credit_type,
                credits,
                reason,
                description=self._asked.description,
                idempotency_key=f"{self._key}:{kind}:{len(self._charged)}",
                kind=kind,
                workspace_id=self._asked.workspace_id,
            )
        except Exception as error:
            _log.error("%s: that is not on record in the database: %s", self._asked.description, error)
