"""What is available, where it comes from and what an answer says: the rules that all of the fake's functions share."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from sonas_supabase.errors import ERRORS, UnknownCreditType
from sonas_supabase.testing._account import Account, Grant, Operation

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


class Rules:
    """Over one account; the base of what the functions are made of."""

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
            "next_steps": {credit_type: self._next_step(account, credit_type) for credit_type in account.grants},
            "may_buy": True,
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
            "reserved": self._held(account, credit_type),
            "remaining": available,
            "unlimited": available is None,
            "percent_used": 0 if available is None else share,
            "warning": None if available is None or share < 80 else "low" if available else "exhausted",
            "period_start": None if is_limit else account.period_start.isoformat(),
            "period_end": None if is_limit else account.period_end.isoformat(),
            "renews_at": None if is_limit else account.period_end.isoformat(),
        }

    @staticmethod
    def _next_step(account: Account, credit_type: str) -> str | None:
        if account.plan != list(PLANS)[-1]:
            return "upgrade"
        return None if credit_type in LIMITS else "buy_credits"

    def _set_plan(self, account: Account, plan: str) -> None:
        """What a plan grants more than the one before is there at once; what it grants less is taken from no one.

        From the free plan to another a new period begins, with the whole allowance.
        """
        before, account.plan = account.plan, plan
        if before == "free" and plan != "free":
            self._end_period(account)
        for credit_type, allowance in PLANS[plan].items():
            grants = account.grants.setdefault(credit_type, [])
            granted = sum(grant.amount for grant in grants if grant.source == "plan" and grant.is_open)
            more = (allowance or 0) - granted
            if allowance is not None and (more > 0 or not grants):
                grant = Grant(str(uuid4()), "plan", max(more, 0), max(more, 0), None, plan)
                grants.append(grant)
                if more > 0:
                    account.post(credit_type, "grant", more, str(uuid4()), grant=grant, description=plan)

    def _end_period(self, account: Account) -> None:
        account.period_start = datetime.now(UTC)
        account.used = {kind: used for kind, used in account.used.items() if kind in LIMITS}
        for credit_type in account.grants.keys() - LIMITS:
            for grant in account.grants[credit_type]:
                if grant.source == "plan" and grant.is_open:
                    grant.expires_at = account.period_start
                    account.expire(credit_type, grant)

    def _must_be_known(self, account: Account, credit_type: str) -> None:
        if credit_type not in account.grants:
            raise UnknownCreditType(
                details={"credit_type": credit_type, "known": sorted(account.grants)},
                hint=f"Known credit types: {', '.join(sorted(account.grants))}.",
            )

    def _available(self, account: Account, credit_type: str) -> int | None:
        if PLANS[account.plan][credit_type] is None:
            return None
        grants = [grant for grant in account.grants[credit_type] if grant.is_open]
        left = sum(grant.remaining - grant.held for grant in grants)
        if credit_type in LIMITS:
            # What was made while there was no limit counts as well.
            places = sum(grant.amount - grant.revoked for grant in account.grants[credit_type])
            left = min(left, places - account.used.get(credit_type, 0) - self._held(account, credit_type))
        return max(left, 0)

    def _held(self, account: Account, credit_type: str) -> int:
        live = (hold for hold in account.holds.values() if hold.status == "open")
        return sum(hold.left for hold in live if hold.credit_type == credit_type)

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
            "next_step": self._next_step(account, credit_type),
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


def must_be_active(account: Account) -> None:
    if account.status == "frozen":
        raise ERRORS["account_frozen"](hint="The account is frozen.")
