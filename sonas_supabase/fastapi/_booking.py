"""One spend, written down so that it can be booked now, again, or later, and costs once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from sonas_supabase import AsyncCreditsClient, IdempotencyConflict, Reservation, ReservationClosed, UnexpectedAnswer

_MOST_ATTEMPTS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """What a request holds. Everything here is part of what its key stands for."""

    key: str
    user_id: UUID
    workspace_id: UUID | None
    credit_type: str
    amount: int
    description: str
    metadata: Mapping[str, Any]
    ttl_seconds: int

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        ids = {"user_id": str(self.user_id), "workspace_id": self.workspace_id and str(self.workspace_id)}
        return {**asdict(self), **ids}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Booking:
        """What :meth:`to_json` wrote."""
        workspace = values["workspace_id"]
        ids = {"user_id": UUID(values["user_id"]), "workspace_id": UUID(workspace) if workspace else None}
        return cls(**{**values, **ids})


@dataclass(frozen=True, slots=True)
class Held:
    """A hold, and where it stands: ``new``, or of an earlier request ``open`` or ``captured``."""

    reservation: Reservation
    status: str


async def hold(client: AsyncCreditsClient, booking: Booking) -> Held:
    """Hold what the booking says, unless an earlier request with its key holds it or has paid it.

    A hold that was released or has expired belongs to an attempt that failed. The next one is a request of its own, and
    has the next key.
    """
    for attempt in range(1, _MOST_ATTEMPTS + 1):
        reservation = await client.reserve_credits(
            booking.user_id,
            booking.credit_type,
            booking.amount,
            description=booking.description,
            idempotency_key=booking.key if attempt == 1 else f"{booking.key}#{attempt}",
            metadata=booking.metadata,
            ttl_seconds=booking.ttl_seconds,
            workspace_id=booking.workspace_id,
        )
        status = await _status(client, booking, reservation) if reservation.replayed else "new"
        if status in ("new", "open", "captured"):
            return Held(reservation, status)
    raise IdempotencyConflict(
        f"{_MOST_ATTEMPTS} requests with this idempotency key have failed.", hint="Use a new key."
    )


async def _status(client: AsyncCreditsClient, booking: Booking, reservation: Reservation) -> str:
    if reservation.operation_id is None:
        raise UnexpectedAnswer("A reservation has no operation.")
    operation = await client.explain_operation(
        booking.user_id, reservation.operation_id, workspace_id=booking.workspace_id
    )
    return str((operation.reservation or {}).get("status"))


async def capture(client: AsyncCreditsClient, booking: Booking, reservation: Reservation, cost: int) -> int:
    """Charge a hold, or what it held in case it has expired. Answers the shortfall in credits.

    Raises:
        InsufficientCredits: it had expired, and others have spent the credits since.
        ReservationClosed: somebody has released it.
    """
    try:
        captured = await client.capture_credits(
            booking.user_id, reservation.reservation_id, cost, workspace_id=booking.workspace_id
        )
    except ReservationClosed as closed:
        status = closed.details.get("status")
        if status == "expired":
            return await book(client, booking, cost)
        if status == "captured":
            return 0
        raise
    return captured.shortfall


async def book(client: AsyncCreditsClient, booking: Booking, cost: int) -> int:
    """Hold and charge in one go, unless the key has been paid. Answers the shortfall in credits.

    Raises:
        InsufficientCredits: there is not enough.
    """
    held = await hold(client, booking)
    if held.status == "captured":
        return 0
    return await capture(client, booking, held.reservation, cost)
