"""The fake database: accounts, grants, holds and operations in memory, and the answers of the SQL functions."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import RLock
from typing import Any
from uuid import UUID, uuid4

from sonas_supabase import AsyncCreditsClient, CreditsClient
from sonas_supabase._breaker import Breaker
from sonas_supabase.errors import (
    ERRORS,
    IdempotencyConflict,
    InvalidAmount,
    InvalidArgument,
    NotConfigured,
    OperationNotFound,
    ReservationClosed,
    ReservationNotFound,
    UnknownCreditType,
)

FREE: Mapping[str, int | None] = {"integration": 100, "message": 10, "project": 3}
PLANS: Mapping[str, Mapping[str, int | None]] = {
    "free": FREE,
    "starter": {"integration": 2000, "message": 100, "project": None},
    "builder": {"integration": 10000, "message": 250, "project": None},
    "pro": {"integration": 20000, "message": 500, "project": None},
    "elite": {"integration": 50000, "message": 1200, "project": None},
}
LIMITS = frozenset({"project"})
PRIORITIES = {
    "rollover": 10,
    "trial": 20,
    "promotion": 20,
    "compensation": 20,
    "plan": 30,
    "top_up": 50,
    "goodwill": 60,
}
UPGRADE_URL = "/pricing"


@dataclass
class _Grant:
    id: str
    source: str
    amount: int
    remaining: int
    expires_at: datetime | None
    description: str | None
    held: int = 0
    starts_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def order(self) -> tuple[int, datetime, datetime, str]:
        last = datetime.max.replace(tzinfo=UTC)
        priority = PRIORITIES[self.source]
        if self.source == "goodwill" and self.expires_at is not None:
            priority = PRIORITIES["promotion"]
        return priority, self.expires_at or last, self.starts_at, self.id


@dataclass
class _Operation:
    id: str
    credit_type: str
    amount: int
    taken: list[tuple[_Grant, int]]
    refunded: int = 0


@dataclass
class _Hold:
    operation_id: str
    credit_type: str
    amount: int
    slices: list[tuple[_Grant, int]]
    expires_at: datetime
    status: str = "open"
    captured: int = 0
    answer: dict[str, Any] | None = None


@dataclass
class _Account:
    plan: str = "free"
    status: str = "active"
    used: dict[str, int] = field(default_factory=dict)
    grants: dict[str, list[_Grant]] = field(default_factory=dict)
    operations: dict[str, _Operation] = field(default_factory=dict)
    holds: dict[str, _Hold] = field(default_factory=dict)
    keys: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    period_start: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def period_end(self) -> datetime:
        return self.period_start + timedelta(days=31)


class FakeCredits:
    """Accounts in memory. One may be shared by several clients and threads."""

    def __init__(self) -> None:
        self._accounts: dict[str, _Account] = {}
        self._lock = RLock()

    def add_user(self, *, plan: str = "free") -> UUID:
        """A new user, with the allowances of a plan."""
        user_id = uuid4()
        account = self._accounts[str(user_id)] = _Account()
        self._set_plan(account, plan)
        return user_id

    def client(self) -> CreditsClient:
        """A client over this fake."""
        return CreditsClient(_Transport(self))

    def async_client(self) -> AsyncCreditsClient:
        """An asyncio client over this fake."""
        return AsyncCreditsClient(_AsyncTransport(self))

    def answer(self, function: str, params: Mapping[str, Any]) -> Any:
        """What the SQL function would answer. Raises CreditsError."""
        known: dict[str, Callable[..., dict[str, Any]]] = {
            "consume_credits": self._consume,
            "check_credits": self._check,
            "reserve_credits": self._reserve,
            "capture_credits": self._capture,
            "release_credits": self._release,
            "refund_credits": self._refund,
            "grant_credits": self._grant,
            "change_plan": self._change_plan,
            "get_credit_summary": self._summary,
            "freeze_account": self._freeze,
            "unfreeze_account": self._unfreeze,
        }
        if function not in known:
            raise NotConfigured(
                f"The fake of sonas_supabase.testing does not know {function}.", hint="Test it against `sonas up`."
            )
        given = {name.removeprefix("p_"): value for name, value in params.items()}
        with self._lock:
            account = self._account(given.pop("user_id"), given.pop("workspace_id", None))
            return self._once(account, function, known[function], given)

    def _account(self, user_id: str, workspace_id: str | None) -> _Account:
        found = self._accounts.get(workspace_id or user_id)
        if found is None:
            raise ERRORS["account_not_found"](
                hint="There is no such account.", details={"user_id": user_id, "workspace_id": workspace_id}
            )
        for hold in found.holds.values():
            if hold.status == "open" and hold.expires_at <= datetime.now(UTC):
                _free(hold)
                hold.status = "expired"
        return found

    def _once(
        self, account: _Account, function: str, work: Callable[..., dict[str, Any]], given: dict[str, Any]
    ) -> dict[str, Any]:
        """Do the work, once per idempotency key. A denial does not use the key up."""
        key = given.pop("idempotency_key", None)
        request = json.dumps([function, given], sort_keys=True)
        if key is not None and key in account.keys:
            before, answer = account.keys[key]
            if before != request:
                raise _conflict(key, before, function, given)
            return {**answer, "replayed": True}
        answer = work(account, **given)
        if key is not None and answer["success"]:
            account.keys[key] = (request, answer)
        return answer

    def _consume(
        self,
        account: _Account,
        credit_type: str,
        amount: int = 1,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        strict: bool = False,
    ) -> dict[str, Any]:
        _must_be_active(account)
        if denied := self._denial(account, credit_type, amount, strict=strict):
            return denied
        taken = self._take(account, credit_type, amount)
        for grant, part in taken:
            grant.remaining -= part
        operation = self._operation(account, credit_type, amount, taken)
        return self._answered(account, credit_type, amount, operation.id)

    def _check(self, account: _Account, credit_type: str, amount: int = 1) -> dict[str, Any]:
        return self._denial(account, credit_type, amount) or self._answered(account, credit_type, amount, None)

    def _reserve(
        self,
        account: _Account,
        credit_type: str,
        amount: int = 1,
        ttl_seconds: int = 900,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        strict: bool = False,
    ) -> dict[str, Any]:
        _must_be_active(account)
        if not 1 <= ttl_seconds <= 86400:
            raise InvalidArgument(details={"argument": "p_ttl_seconds"}, hint="A hold lasts 1 to 86400 seconds.")
        if denied := self._denial(account, credit_type, amount, strict=strict):
            return denied
        slices = self._take(account, credit_type, amount)
        for grant, part in slices:
            grant.held += part
        until = datetime.now(UTC) + timedelta(seconds=ttl_seconds)
        hold = _Hold(str(uuid4()), credit_type, amount, slices, until)
        reservation_id = str(uuid4())
        account.holds[reservation_id] = hold
        return {
            **self._answered(account, credit_type, amount, hold.operation_id),
            "reservation_id": reservation_id,
            "expires_at": until.isoformat(),
        }

    def _capture(
        self,
        account: _Account,
        reservation_id: str,
        amount: int | None = None,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        final: bool = True,
    ) -> dict[str, Any]:
        hold = _hold(account, reservation_id)
        wanted = hold.amount if amount is None else amount
        if hold.status == "captured" and hold.answer is not None and wanted == hold.captured + hold.answer["shortfall"]:
            return {**hold.answer, "replayed": True}
        _must_be_open(reservation_id, hold)
        _must_be_active(account)
        _free(hold)
        available = self._available(account, hold.credit_type)
        captured = wanted if available is None else min(wanted, available)
        taken = self._take(account, hold.credit_type, captured)
        for grant, part in taken:
            grant.remaining -= part
        self._operation(account, hold.credit_type, captured, taken, hold.operation_id)
        hold.status, hold.captured = "captured", captured
        hold.answer = {
            **self._answered(account, hold.credit_type, captured, hold.operation_id),
            "reservation_id": reservation_id,
            "captured": captured,
            "released": max(hold.amount - captured, 0),
            "shortfall": wanted - captured,
            "held": 0,
        }
        return hold.answer

    def _release(self, account: _Account, reservation_id: str, reason: str | None = None) -> dict[str, Any]:
        hold = _hold(account, reservation_id)
        _must_be_open(reservation_id, hold)
        _free(hold)
        hold.status = "released"
        return {
            **self._answered(account, hold.credit_type, hold.amount, hold.operation_id),
            "reservation_id": reservation_id,
            "released": hold.amount,
        }

    def _refund(
        self, account: _Account, operation_id: str, amount: int | None = None, reason: str | None = None
    ) -> dict[str, Any]:
        operation = account.operations.get(operation_id)
        if operation is None:
            raise OperationNotFound(hint="The account has no such spend.", details={"operation_id": operation_id})
        left = operation.amount - operation.refunded
        given = left if amount is None else amount
        if not 1 <= given <= left:
            raise InvalidAmount(
                details={"amount": given, "refundable": left}, hint=f"{left} credits are left to give back."
            )
        operation.refunded += given
        account.used[operation.credit_type] -= given
        rest = given
        for nth, (grant, part) in reversed(list(enumerate(operation.taken))):
            back = min(rest, part)
            grant.remaining += back
            operation.taken[nth] = (grant, part - back)
            rest -= back
        answer = self._answered(account, operation.credit_type, given, str(uuid4()))
        return {**answer, "refunds_operation_id": operation_id, "returned": given, "expired": 0}

    def _grant(
        self,
        account: _Account,
        credit_type: str,
        amount: int,
        source: str = "promotion",
        description: str | None = None,
        expires_at: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> dict[str, Any]:
        self._must_be_known(account, credit_type)
        if source not in PRIORITIES or source == "plan":
            raise InvalidArgument(details={"argument": "p_source", "value": source}, hint="Pass another source.")
        until = None if expires_at is None else datetime.fromisoformat(expires_at)
        grant = _Grant(str(uuid4()), source, amount, amount, until, description)
        account.grants[credit_type].append(grant)
        return {**self._answered(account, credit_type, amount, str(uuid4())), "grant_id": grant.id}

    def _change_plan(self, account: _Account, plan_id: str, effective: str = "now", **_: Any) -> dict[str, Any]:
        if plan_id not in PLANS or effective != "now":
            raise InvalidArgument(details={"argument": "p_plan_id", "value": plan_id}, hint="There is no such plan.")
        self._set_plan(account, plan_id)
        return {
            **self._of_account(account),
            "plan": plan_id,
            "quantity": 1,
            "pending_plan": None,
            "pending_at": None,
            "operation_id": str(uuid4()),
        }

    def _freeze(self, account: _Account, reason: str | None = None) -> dict[str, Any]:
        account.status = "frozen"
        return self._of_account(account)

    def _unfreeze(self, account: _Account, reason: str | None = None) -> dict[str, Any]:
        account.status = "active"
        return self._of_account(account)

    def _summary(self, account: _Account) -> dict[str, Any]:
        [user_id] = [key for key, found in self._accounts.items() if found is account]
        grants = [
            {
                "grant_id": grant.id,
                "credit_type": credit_type,
                "source": grant.source,
                "amount": grant.amount,
                "remaining": grant.remaining,
                "held": grant.held,
                "priority": grant.order[0],
                "starts_at": grant.starts_at.isoformat(),
                "expires_at": None if grant.expires_at is None else grant.expires_at.isoformat(),
                "frozen": False,
                "description": grant.description,
            }
            for credit_type, found in account.grants.items()
            for grant in found
            if grant.remaining
        ]
        return {
            **self._of_account(account),
            "account_id": user_id,
            "user_id": user_id,
            "plan": account.plan,
            "plan_name": account.plan.capitalize(),
            "upgrade_url": UPGRADE_URL,
            "support_contact": None,
            "message": "This account is frozen." if account.status == "frozen" else None,
            "free_credits": "own",
            "pending_plan": None,
            "pending_at": None,
            "period_start": account.period_start.isoformat(),
            "now": datetime.now(UTC).isoformat(),
            "grants": grants,
        }

    def _of_account(self, account: _Account) -> dict[str, Any]:
        return {
            "success": True,
            "code": "ok",
            "operation_id": None,
            "status": account.status,
            "period_end": account.period_end.isoformat(),
            "replayed": False,
            "balances": [self._balance(account, credit_type) for credit_type in sorted(account.grants)],
        }

    def _balance(self, account: _Account, credit_type: str) -> dict[str, Any]:
        available, used = self._available(account, credit_type), account.used.get(credit_type, 0)
        share = 0 if not available and not used else 100 * used // ((available or 0) + used)
        is_limit = credit_type in LIMITS
        return {
            "credit_type": credit_type,
            "kind": "limit" if is_limit else "credit",
            "allowance": PLANS[account.plan][credit_type],
            "used": used,
            "reserved": sum(grant.held for grant in account.grants[credit_type]),
            "remaining": available,
            "unlimited": available is None,
            "percent_used": 0 if available is None else share,
            "warning": None if available is None or share < 80 else "low" if available else "exhausted",
            "period_start": None if is_limit else account.period_start.isoformat(),
            "period_end": None if is_limit else account.period_end.isoformat(),
        }

    def _set_plan(self, account: _Account, plan: str) -> None:
        """What a plan grants more than the one before is there at once; what it grants less is taken from no one."""
        before, account.plan = account.plan, plan
        for credit_type, allowance in PLANS[plan].items():
            grants = account.grants.setdefault(credit_type, [])
            granted = sum(grant.amount for grant in grants if grant.source == "plan")
            more = (allowance or 0) - granted
            if allowance is not None and (more > 0 or not grants):
                grants.append(_Grant(str(uuid4()), "plan", max(more, 0), max(more, 0), None, plan))
        if before == "free" and plan != "free":
            account.used = {kind: used for kind, used in account.used.items() if kind in LIMITS}

    def _must_be_known(self, account: _Account, credit_type: str) -> None:
        if credit_type not in account.grants:
            raise UnknownCreditType(
                details={"credit_type": credit_type, "known": sorted(account.grants)},
                hint=f"Known credit types: {', '.join(sorted(account.grants))}.",
            )

    def _available(self, account: _Account, credit_type: str) -> int | None:
        if PLANS[account.plan][credit_type] is None:
            return None
        return sum(grant.remaining - grant.held for grant in account.grants[credit_type] if _is_open(grant))

    def _take(self, account: _Account, credit_type: str, amount: int) -> list[tuple[_Grant, int]]:
        """Which grants so many credits come from, in burn order."""
        if PLANS[account.plan][credit_type] is None:
            return []
        taken = []
        for grant in sorted((g for g in account.grants[credit_type] if _is_open(g)), key=lambda g: g.order):
            part = min(amount, grant.remaining - grant.held)
            if part:
                taken.append((grant, part))
                amount -= part
        return taken

    def _operation(
        self, account: _Account, credit_type: str, amount: int, taken: list[tuple[_Grant, int]], id: str = ""
    ) -> _Operation:
        operation = _Operation(id or str(uuid4()), credit_type, amount, taken)
        account.operations[operation.id] = operation
        account.used[credit_type] = account.used.get(credit_type, 0) + amount
        return operation

    def _denial(
        self, account: _Account, credit_type: str, amount: int, *, strict: bool = False
    ) -> dict[str, Any] | None:
        self._must_be_known(account, credit_type)
        available = self._available(account, credit_type)
        if available is None or amount <= available:
            return None
        is_limit = credit_type in LIMITS
        code = "limit_reached" if is_limit else "insufficient_credits"
        details = {
            "required": amount,
            "available": available,
            "resets_at": None if is_limit else account.period_end.isoformat(),
            "plan": account.plan,
            "upgrade_url": UPGRADE_URL,
            "credit_type": credit_type,
        }
        message = f"Not enough {credit_type} credits: {amount} required, {available} available."
        hint = f"Get more at {UPGRADE_URL}."
        if strict:
            raise ERRORS[code](message, details=details, hint=hint)
        answer = self._answered(account, credit_type, amount, str(uuid4()))
        return {**answer, "success": False, "code": code, "message": message, "hint": hint, "details": details}

    def _answered(self, account: _Account, credit_type: str, amount: int, operation_id: str | None) -> dict[str, Any]:
        balance = self._balance(account, credit_type)
        return {
            "success": True,
            "code": "ok",
            "operation_id": operation_id,
            "credit_type": credit_type,
            "amount": amount,
            "remaining": balance["remaining"],
            "limit": balance["allowance"],
            "used": balance["used"],
            "reserved": balance["reserved"],
            "unlimited": balance["unlimited"],
            "period_end": balance["period_end"],
            "replayed": False,
        }


def _conflict(key: str, before: str, function: str, given: Mapping[str, Any]) -> IdempotencyConflict:
    other, then = json.loads(before)
    differs = sorted(name for name in {*then, *given} if then.get(name) != given.get(name))
    return IdempotencyConflict(
        details={"idempotency_key": key, "differs_in": differs if other == function else ["function"]},
        hint="The key belongs to another request.",
    )


def _is_open(grant: _Grant) -> bool:
    return grant.expires_at is None or grant.expires_at > datetime.now(UTC)


def _must_be_active(account: _Account) -> None:
    if account.status == "frozen":
        raise ERRORS["account_frozen"](hint="The account is frozen.")


def _hold(account: _Account, reservation_id: str) -> _Hold:
    if reservation_id not in account.holds:
        raise ReservationNotFound(hint="There is no such hold.", details={"reservation_id": reservation_id})
    return account.holds[reservation_id]


def _must_be_open(reservation_id: str, hold: _Hold) -> None:
    if hold.status != "open":
        details: dict[str, Any] = {"reservation_id": reservation_id, "status": hold.status}
        if hold.status == "captured":
            details["captured"] = hold.captured
        raise ReservationClosed(hint=f"The hold was {hold.status}.", details=details)


def _free(hold: _Hold) -> None:
    for grant, part in hold.slices:
        grant.held -= part


class _Transport:
    autonomous = True
    breaker: Breaker | None = None

    def __init__(self, fake: FakeCredits) -> None:
        self._fake = fake

    def send(self, call: Any, limits: Any) -> Any:
        """Answer a call."""
        return self._fake.answer(call.function, json.loads(json.dumps(call.params)))

    def close(self) -> None:
        """Nothing is open."""


class _AsyncTransport:
    autonomous = True
    breaker: Breaker | None = None

    def __init__(self, fake: FakeCredits) -> None:
        self._fake = fake

    async def send(self, call: Any, limits: Any) -> Any:
        """Answer a call."""
        return self._fake.answer(call.function, json.loads(json.dumps(call.params)))

    async def close(self) -> None:
        """Nothing is open."""
