"""One spend of a request between its hold and its end: what is held, and what has been charged of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from sonas_supabase import Reservation
from sonas_supabase.charging import ChargeMode, Outcome, credits_to_charge
from sonas_supabase.fastapi._books import Books, Charged
from sonas_supabase.fastapi._heartbeat import Heartbeat
from sonas_supabase.fastapi._spend import Spend
from sonas_supabase.fastapi._spend_request import SpendRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """A balance as it will be when the response has gone out; None for what is unlimited or unknown."""

    credit_type: str
    limit: int | None = None
    remaining: int | None = None
    period_end: datetime | None = None


@dataclass(slots=True, kw_only=True)
class PendingSpend:
    """``reservation`` is None when nothing is held: the request is exempt, or the database could not be reached."""

    books: Books
    request: SpendRequest
    spend: Spend
    charge: ChargeMode
    at_least: int
    reservation: Reservation | None
    # Where the journal has this spend, for a request that was let in while the database could not be reached.
    journal_entry: str | None = None
    handed_over: bool = False
    # Extends the hold while the request is being worked on.
    heartbeat: Heartbeat | None = None
    charged: int | None = None
    operations: list[Charged] = field(default_factory=list)

    def cost(self, outcome: Outcome) -> int:
        """Credits that this spend costs if the request ends like that."""
        return credits_to_charge(
            self.charge, outcome, self.spend.said, amount=self.spend.amount, at_least=self.at_least
        )

    def is_undecided(self, outcome: Outcome) -> bool:
        """Whether a handler that is still at work may yet say a cost, which nothing but the hold could pay."""
        unsaid = self.spend.said.cost is None
        return unsaid and self.charged is None and outcome is Outcome.SERVED and self.charge == "cost"

    async def settle(self, outcome: Outcome) -> None:
        """Charge or give back what this outcome comes to. May be called again when the cost has changed."""
        cost = self.cost(outcome)
        if self.handed_over or cost == self.charged:
            return
        before, self.charged = self.charged, cost
        self.stop_extending()
        if self.journal_entry is not None:
            await self.books.charge_later(self.request, self.journal_entry, cost)
        elif before is not None or self.reservation is None:
            await self._change(before or 0, cost, outcome)
        elif cost:
            request = replace(self.request, used=self.spend.quantities) if self.request.operation else self.request
            self.operations.extend(await self.books.charge(request, self.reservation, cost))
        else:
            await self.books.release(self.request, self.reservation, outcome.value)

    async def _change(self, before: int, cost: int, outcome: Outcome) -> None:
        if cost > before:
            more = replace(self.request, key=f"{self.request.key}:more:{before}:{cost}", amount=cost - before)
            self.operations.extend(await self.books.charge(more, None, cost - before))
        # Each operation gives back what it was charged at most, the last one first.
        surplus = before - cost
        while surplus > 0 and self.operations:
            last = self.operations.pop()
            kept = max(last.credits - surplus, 0)
            surplus -= last.credits - kept
            await self.books.refund(last, cost=kept, reason=outcome.value)
            if kept:
                self.operations.append(replace(last, credits=kept))

    def keep_open(self) -> None:
        """Extend the hold, again and again, until it is settled."""
        if self.reservation is not None and self.charged is None:
            self.heartbeat = Heartbeat(self.request.ttl_seconds / 3, self._extend)

    async def _extend(self) -> None:
        if self.reservation is not None:
            await self.books.client.extend_reservation(
                self.request.user_id,
                self.reservation.reservation_id,
                ttl_seconds=self.request.ttl_seconds,
                workspace_id=self.request.workspace_id,
            )

    def stop_extending(self) -> None:
        """Let it expire as it may."""
        if self.heartbeat is not None:
            self.heartbeat.stop()

    def balance_after(self, outcome: Outcome) -> Balance:
        """The balance as it will be when this is settled."""
        held = self.reservation
        # What a replay answers is the balance of long ago.
        if held is None or self.spend.replayed or self.handed_over:
            return Balance(credit_type=self.spend.credit_type)
        remaining = held.remaining
        if remaining is not None:
            remaining += held.amount - self.cost(outcome)
        return Balance(
            credit_type=self.spend.credit_type, limit=held.limit, remaining=remaining, period_end=held.period_end
        )
