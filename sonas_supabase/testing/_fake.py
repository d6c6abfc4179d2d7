"""The fake database: accounts, grants, holds and operations in memory, and the answers of the SQL functions."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
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
from sonas_supabase.testing._account import PRIORITIES, Account, Grant, Hold, Operation, Slice
from sonas_supabase.testing._reading import history, operation
from sonas_supabase.testing._requests import check

FREE: Mapping[str, int | None] = {"integration": 100, "message": 10, "project": 3}
PLANS: Mapping[str, Mapping[str, int | None]] = {
    "free": FREE,
    "starter": {"integration": 2000, "message": 100, "project": None},
    "builder": {"integration": 10000, "message": 250, "project": None},
    "pro": {"integration": 20000, "message": 500, "project": None},
    "elite": {"integration": 50000, "message": 1200, "project": None},
}
LIMITS = frozenset({"project"})
UPGRADE_URL = "/pricing"


class FakeCredits:
    """Accounts in memory. One may be shared by several clients and threads."""

    def __init__(self) -> None:
        self._accounts: dict[str, Account] = {}
        self._lock = RLock()

    def add_user(self, *, plan: str = "free") -> UUID:
        """A new user, with the allowances of a plan."""
        user_id = uuid4()
        account = self._accounts[str(user_id)] = Account(str(user_id))
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
            "consume_credits_batch": self._consume_batch,
            "check_credits": self._check,
            "reserve_credits": self._reserve,
            "capture_credits": self._capture,
            "extend_reservation": self._extend,
            "release_credits": self._release,
            "refund_credits": self._refund,
            "grant_credits": self._grant,
            "revoke_grant": self._revoke,
            "get_credit_history": history,
            "explain_operation": operation,
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
        check(given)
        with self._lock:
            account = self._account(given.pop("user_id"), given.pop("workspace_id", None))
            return self._once(account, function, known[function], given)

    def _account(self, user_id: str, workspace_id: str | None) -> Account:
        found = self._accounts.get(workspace_id or user_id)
        if found is None:
            raise ERRORS["account_not_found"](
                hint="There is no such account.", details={"user_id": user_id, "workspace_id": workspace_id}
            )
        for hold in found.holds.values():
            if hold.status == "open" and hold.expires_at <= datetime.now(UTC):
                hold.free()
                hold.status = "expired"
        found.actor = user_id
        return found

    def _once(
        self, account: Account, function: str, work: Callable[..., dict[str, Any]], given: dict[str, Any]
    ) -> dict[str, Any]:
        """Do the work, once per idempotency key. A denial does not use the key up."""
        key = given.pop("idempotency_key", None)
        # How a denial is told does not make it another request.
        request = json.dumps([function, {**given, "strict": False}], sort_keys=True)
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
        account: Account,
        credit_type: str,
        amount: int = 1,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        strict: bool = False,
    ) -> dict[str, Any]:
        _must_be_active(account)
        if denied := self._denial(account, credit_type, amount, strict=strict):
            return denied
        operation = self._spend(account, credit_type, "consume", amount, description, metadata)
        return self._answered(account, credit_type, amount, operation.id)

    def _consume_batch(self, account: Account, items: list[dict[str, Any]]) -> dict[str, Any]:
        """All items or none; the same key twice is one spend."""
        _must_be_active(account)
        asked = [{"amount": 1, **{key.removeprefix("p_"): value for key, value in item.items()}} for item in items]
        first: dict[str, dict[str, Any]] = {}
        wanted: dict[str, int] = {}
        for nth, item in enumerate(asked):
            key = item.get("idempotency_key")
            if key is not None and first.setdefault(key, item) != item:
                raise IdempotencyConflict(details={"idempotency_key": key, "item": nth})
            if key in account.keys or (key is not None and first[key] is not item):
                continue
            before = wanted.get(item["credit_type"], 0)
            if denied := self._denial(account, item["credit_type"], item["amount"], before=before):
                return {**denied, "details": {**denied["details"], "item": nth}}
            wanted[item["credit_type"]] = before + item["amount"]
        answers = [self._once(account, "consume_credits", self._consume, dict(item)) for item in asked]
        spent = {answer["operation_id"]: answer["amount"] for answer in answers}
        return {
            "success": True,
            "code": "ok",
            "operation_id": answers[-1]["operation_id"],
            "amount": sum(spent.values()),
            "replayed": all(answer["replayed"] for answer in answers),
            "items": answers,
        }

    def _check(self, account: Account, credit_type: str, amount: int = 1) -> dict[str, Any]:
        self._must_be_known(account, credit_type)
        if account.status == "frozen":
            frozen = {"success": False, "code": "account_frozen", "message": "This account is frozen."}
            return {**self._answered(account, credit_type, amount, None), **frozen}
        return self._denial(account, credit_type, amount) or self._answered(account, credit_type, amount, None)

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
        _must_be_active(account)
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
        _must_be_active(account)
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
        _must_be_active(account)
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
            hold.free()
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
        hold.free()
        hold.status, hold.reason = "released", reason
        return {
            **self._answered(account, hold.credit_type, hold.released, hold.operation_id),
            "reservation_id": reservation_id,
            "released": hold.released,
        }

    def _refund(
        self, account: Account, operation_id: str, amount: int | None = None, reason: str | None = None
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
        refund_id = str(uuid4())
        rest = given
        for nth, (grant, part) in reversed(list(enumerate(operation.taken))):
            back = min(rest, part)
            if back:
                grant.remaining += back
                operation.taken[nth] = (grant, part - back)
                account.post(
                    operation.credit_type,
                    "refund",
                    back,
                    refund_id,
                    grant=grant,
                    description=reason,
                    related=operation.id,
                )
            rest -= back
        if rest:
            account.post(
                operation.credit_type, "refund", rest, refund_id, grant=None, description=reason, related=operation.id
            )
        answer = self._answered(account, operation.credit_type, given, refund_id)
        return {**answer, "refunds_operation_id": operation_id, "returned": given, "expired": 0}

    def _grant(
        self,
        account: Account,
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
        grant = Grant(str(uuid4()), source, amount, amount, until, description)
        account.grants[credit_type].append(grant)
        given_id = str(uuid4())
        account.post(credit_type, "grant", amount, given_id, grant=grant, description=description, metadata=metadata)
        return {**self._answered(account, credit_type, amount, given_id), "grant_id": grant.id}

    def _revoke(
        self, account: Account, grant_id: str, reason: str | None = None, amount: int | None = None
    ) -> dict[str, Any]:
        found = [(kind, one) for kind, grants in account.grants.items() for one in grants if one.id == grant_id]
        if not found:
            raise InvalidArgument(details={"argument": "p_grant_id"}, hint="This account has no such grant.")
        [(credit_type, grant)] = found
        free = grant.remaining - grant.held
        if amount is not None and amount > free and not grant.voided:
            raise InvalidAmount(
                details={"amount": amount, "revocable": free}, hint="More than a grant has left cannot be taken back."
            )
        taken, was_voided = min(free, amount or free), grant.voided
        revoked_id = str(uuid4())
        grant.remaining -= taken
        grant.voided = grant.voided or amount is None
        if taken:
            account.post(credit_type, "void", -taken, revoked_id, grant=grant, description=reason)
        answer = self._answered(account, credit_type, taken, revoked_id)
        return {**answer, "grant_id": grant_id, "replayed": was_voided}

    def _change_plan(self, account: Account, plan_id: str, effective: str = "now", **_: Any) -> dict[str, Any]:
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

    def _freeze(self, account: Account, reason: str | None = None) -> dict[str, Any]:
        account.status = "frozen"
        return self._of_account(account)

    def _unfreeze(self, account: Account, reason: str | None = None) -> dict[str, Any]:
        account.status = "active"
        return self._of_account(account)

    def _summary(self, account: Account) -> dict[str, Any]:
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
            "account_id": account.id,
            "user_id": account.id,
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

    def _of_account(self, account: Account) -> dict[str, Any]:
        return {
            "success": True,
            "code": "ok",
            "operation_id": None,
            "status": account.status,
            "period_end": account.period_end.isoformat(),
            "replayed": False,
            "balances": [self._balance(account, credit_type) for credit_type in sorted(account.grants)],
        }

    def _balance(self, account: Account, credit_type: str) -> dict[str, Any]:
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

    def _set_plan(self, account: Account, plan: str) -> None:
        """What a plan grants more than the one before is there at once; what it grants less is taken from no one."""
        before, account.plan = account.plan, plan
        for credit_type, allowance in PLANS[plan].items():
            grants = account.grants.setdefault(credit_type, [])
            granted = sum(grant.amount for grant in grants if grant.source == "plan")
            more = (allowance or 0) - granted
            if allowance is not None and (more > 0 or not grants):
                grant = Grant(str(uuid4()), "plan", max(more, 0), max(more, 0), None, plan)
                grants.append(grant)
                if more > 0:
                    account.post(credit_type, "grant", more, str(uuid4()), grant=grant, description=plan)
        if before == "free" and plan != "free":
            account.used = {kind: used for kind, used in account.used.items() if kind in LIMITS}

    def _must_be_known(self, account: Account, credit_type: str) -> None:
        if credit_type not in account.grants:
            raise UnknownCreditType(
                details={"credit_type": credit_type, "known": sorted(account.grants)},
                hint=f"Known credit types: {', '.join(sorted(account.grants))}.",
            )

    def _available(self, account: Account, credit_type: str) -> int | None:
        if PLANS[account.plan][credit_type] is None:
            return None
        return sum(grant.remaining - grant.held for grant in account.grants[credit_type] if grant.is_open)

    def _take(self, account: Account, credit_type: str, amount: int) -> list[tuple[Grant, int]]:
        """Which grants so many credits come from, in burn order."""
        if PLANS[account.plan][credit_type] is None:
            return []
        taken = []
        for grant in sorted((g for g in account.grants[credit_type] if g.is_open), key=lambda g: g.order):
            part = min(amount, grant.remaining - grant.held)
            if part:
                taken.append((grant, part))
                amount -= part
        return taken

    def _spend(
        self,
        account: Account,
        credit_type: str,
        kind: str,
        amount: int,
        description: str | None,
        metadata: Mapping[str, Any] | None,
    ) -> Operation:
        taken = self._take(account, credit_type, amount)
        return self._book(
            account, credit_type, kind, amount, taken, str(uuid4()), description=description, metadata=metadata
        )

    def _book(
        self,
        account: Account,
        credit_type: str,
        kind: str,
        amount: int,
        taken: list[tuple[Grant, int]],
        id: str,
        **said: Any,
    ) -> Operation:
        """Take the parts off their grants, a row of the ledger for each; what no grant has is unlimited."""
        for grant, part in taken:
            grant.remaining -= part
            account.post(credit_type, kind, -part, id, grant=grant, **said)
        if (rest := amount - sum(part for _, part in taken)) > 0:
            account.post(credit_type, kind, -rest, id, grant=None, **said)
        account.used[credit_type] = account.used.get(credit_type, 0) + amount
        operation = account.operations[id] = Operation(id, credit_type, amount, taken)
        return operation

    def _denial(
        self, account: Account, credit_type: str, amount: int, *, strict: bool = False, before: int = 0
    ) -> dict[str, Any] | None:
        self._must_be_known(account, credit_type)
        available = self._available(account, credit_type)
        if available is not None:
            available -= before
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

    def _answered(self, account: Account, credit_type: str, amount: int, operation_id: str | None) -> dict[str, Any]:
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


def _must_be_active(account: Account) -> None:
    if account.status == "frozen":
        raise ERRORS["account_frozen"](hint="The account is frozen.")


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
