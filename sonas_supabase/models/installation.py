"""How the installed system is doing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemStatus:
    """How the system is doing. ``due`` accounts have something to be booked; nothing depends on when that happens."""

    accounts: int
    due: int
    oldest_due_at: datetime | None
    open_reservations: int
    transactions_estimate: int
    scheduler: str | None
    server_version: str
    now: datetime
