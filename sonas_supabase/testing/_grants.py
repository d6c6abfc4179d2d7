"""Giving and taking back: refunds, grants, plans, freezing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from sonas_supabase.errors import InvalidAmount, InvalidArgument, OperationNotFound
from sonas_supabase.testing._account import PRIORITIES, Account, Grant
from sonas_supabase.testing._rules import LIMITS, PLANS, Rules


class Grants(Rules):
    """What moves credits besides spending and holding."""

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
        if operation.credit_type in LIMITS or operation.made_at >= account.period_start:
            account.used[operation.credit_type] -= given
        refund_id = str(uuid4())
        rest = given
        for nth, (grant, part) in reversed(list(enumerate(operation.taken))):
            back = min(rest, part)
            if back:
                into = grant if grant.is_open else self._instead_of(account, operation.credit_type, grant)
                into.remaining += back
                operation.taken[nth] = (into, part - back)
                account.post(
                    operation.credit_type,
                    "refund",
                    back,
                    refund_id,
                    grant=into,
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

    def _instead_of(self, account: Account, credit_type: str, ended: Grant) -> Grant:
        """What comes back to a grant that has ended lives for a day longer."""
        until = datetime.now(UTC) + timedelta(days=1)
        grant = Grant(str(uuid4()), "compensation", 0, 0, until, ended.description)
        account.grants[credit_type].append(grant)
        return grant

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
        grant.revoked += taken
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
