"""One spend on a request's tab: what the handler sees, and what was booked for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from sonas_supabase import Reservation
from sonas_supabase.fastapi._booking import Booking
from sonas_supabase.fastapi._spend import Spend


class End(Enum):
    """How a response ended."""

    DELIVERED = "delivered"
    BROKEN = "broken half-way"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Line:
    """``reservation`` is None while the database cannot be reached."""

    spend: Spend
    booking: Booking
    reservation: Reservation | None

    def cost(self, end: End) -> int:
        """Credits to charge."""
        if end is End.FAILED:
            return 0
        if self.spend.cost is not None:
            return self.spend.cost
        return self.spend.amount if end is End.DELIVERED else 0

    def balance_after(self, end: End) -> tuple[str, int | None, int | None, datetime | None]:
        """Credit type, limit, remaining and end of period, as they will be when this is settled."""
        held = self.reservation
        # What a replay answers is the balance of long ago.
        if held is None or self.spend.replayed:
            return self.spend.credit_type, None, None, None
        remaining = held.remaining
        if remaining is not None:
            remaining += held.amount - self.cost(end)
        return self.spend.credit_type, held.limit, remaining, held.period_end
