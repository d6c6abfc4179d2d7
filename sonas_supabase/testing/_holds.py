"""Holding: reserve, extend, capture and release."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from sonas_supabase.errors import InvalidAmount, ReservationClosed, ReservationNotFound
from sonas_supabase.testing._account import Account, Hold, Slice
from sonas_supabase.testing._rules import Rules, must_be_active


class Holds(Rules):
    """The functions of the chapter ``holds``."""

    def _reserve(
        self,
        account: Account,
        credit_type: str,
        amount: int = 1,
        ttl_seconds: int = 900,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        strict: bool = False,
    ) -> dict[str, Any]:
        must_be_active(account)
        if denied := self._denial(account, credit_type, amount, strict=strict):
            return denied
        until = datetime.now(UTC) + timedelta(seconds=ttl_seconds)
        hold = Hold(
            str(uuid4()), str(uuid4()), credit_type, amount, amount, [], until, description, dict(metadata or {})
        )
        self._pin(account, hold, amount)
        account.holds[hold.id] = hold
        return {
            **self._answered(account, credit_type, amount, hold.operation_id),
            "reservation_id": hold.id,
            "expires_at": until.isoformat(),
        }

    def _pin(self, account: Account, hold: Hold, amount: int) -> None:
        for grant, part in self._take(account, hold.credit_type, amount):
            grant.held += part
            pinned = next((one for one in hold.slices if one.grant is grant), None)
            if pinned is None:
                hold.slices.append(Slice(grant, part))
            else:
                pinned.left += part

    def _extend(self, account: Account, reservation_id: str, ttl_seconds: int = 900) -> dict[str, Any]:
        hold = _hold(account, reservation_id)
        _must_be_open(reservation_id, hold)
        must_be_active(account)
        hold.expires_at = max(hold.expires_at, datetime.now(UTC) + timedelta(seconds=ttl_seconds))
        return {
            **self._answered(account, hold.credit_type, hold.left, hold.operation_id),
            "reservation_id": reservation_id,
            "expires_at": hold.expires_at.isoformat(),
        }

    def _capture(
        self,
        account: Account,
        reservation_id: str,
        amount: int | None = None,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        final: bool = True,
    ) -> dict[str, Any]:
        hold = _hold(account, reservation_id)
        if final and hold.status == "captured" and hold.answer is not None and _is_same_capture(hold, amount):
            return {**hold.answer, "replayed": True}
        _must_be_open(reservation_id, hold)
        must_be_active(account)
        wanted = hold.left if amount is None else amount
        if wanted == 0 and not final:
            raise InvalidAmount(details={"amount": 0}, hint="Nothing of this hold is left to capture.")
        available = self._available(account, hold.credit_type)
        extra = max(wanted - hold.left, 0)
        if available is not None:
            extra = min(extra, available)
            self._pin(account, hold, extra)
        hold.left += extra
        captured = min(wanted, hold.left)
        is_first = final and hold.captured == 0
        operation_id = hold.operation_id if is_first else str(uuid4())
        taken = []
        rest = captured
        for one in hold.slices:
            part = min(rest, one.left)
            one.left, rest = one.left - part, rest - part
            one.grant.held -= part
            if part:
                taken.append((one.grant, part))
        hold.captured, hold.left = hold.captured + captured, hold.left - captured
        hold.shortfall += wanted - captured
        released = hold.left if final else 0
        if final:
            account.free(hold)
            hold.status = "captured"
        self._book(
            account, hold.credit_type, "capture", captured, taken, operation_id,
            description=description or hold.description, metadata={**hold.metadata, **(metadata or {})},
            related=None if is_first else hold.operation_id,
        )  # fmt: skip
        hold.answer = {
            **self._answered(account, hold.credit_type, captured, operation_id),
            "reservation_id": reservation_id,
            "captured": captured,
            "released": released,
            "shortfall": wanted - captured,
            "held": hold.left,
        }
        return hold.answer

    def _release(self, account: Account, reservation_id: str, reason: str | None = None) -> dict[str, Any]:
        hold = _hold(account, reservation_id)
        _must_be_open(reservation_id, hold)
        account.free(hold)
        hold.status, hold.reason = "released", reason
        return {
            **self._answered(account, hold.credit_type, hold.released, hold.operation_id),
            "reservation_id": reservation_id,
            "released": hold.released,
        }


def _hold(account: Account, reservation_id: str) -> Hold:
    if reservation_id not in account.holds:
        raise ReservationNotFound(hint="There is no such hold.", details={"reservation_id": reservation_id})
    return account.holds[reservation_id]


def _must_be_open(reservation_id: str, hold: Hold) -> None:
    if hold.status != "open":
        details: dict[str, Any] = {"reservation_id": reservation_id, "status": hold.status}
        if hold.status == "captured":
            details["captured"] = hold.captured
        raise ReservationClosed(hint=f"The hold was {hold.status}.", details=details)


def _is_same_capture(hold: Hold, amount: int | None) -> bool:
    if hold.answer is None:
        return False
    asked = hold.answer["captured"] + hold.answer["shortfall"]
    return amount == asked or (amount is None and hold.released + hold.answer["shortfall"] == 0)
