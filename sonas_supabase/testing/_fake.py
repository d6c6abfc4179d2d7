"""The fake database: its accounts, its functions by name, and what a key has done."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from threading import RLock
from typing import Any
from uuid import UUID, uuid4

from sonas_supabase import AsyncCreditsClient, CreditsClient
from sonas_supabase._breaker import Breaker
from sonas_supabase.errors import ERRORS, IdempotencyConflict, NotConfigured
from sonas_supabase.testing import _http
from sonas_supabase.testing._account import Account
from sonas_supabase.testing._grants import Grants
from sonas_supabase.testing._holds import Holds
from sonas_supabase.testing._reading import history, operation
from sonas_supabase.testing._requests import check
from sonas_supabase.testing._rules import must_be_active


class FakeCredits(Holds, Grants):
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
            "claim_http_request": _http.claim,
            "store_http_answer": _http.store,
            "drop_http_claim": _http.drop,
            "record_uncollected": _http.record_uncollected,
            "list_uncollected": lambda account, limit=100: _http.list_uncollected([account], limit),
        }
        if function not in known:
            raise NotConfigured(
                f"The fake of sonas_supabase.testing does not know {function}.", hint="Test it against `sonas up`."
            )
        given = {name.removeprefix("p_"): value for name, value in params.items()}
        check(given)
        with self._lock:
            if function == "list_uncollected" and "user_id" not in given:
                return _http.list_uncollected(self._accounts.values(), **given)
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
                found.free(hold)
                hold.status = "expired"
        found.actor = user_id
        return found

    def _once(
        self, account: Account, function: str, work: Callable[..., dict[str, Any]], given: dict[str, Any]
    ) -> dict[str, Any]:
        """Do the work, once per idempotency key. A denial does not use the key up."""
        key = given.pop("idempotency_key", None)
        if key is not None and function == "record_uncollected":
            # Its keys are those of the spends that it is about.
            key = f"{function}:{key}"
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
        must_be_active(account)
        if denied := self._denial(account, credit_type, amount, strict=strict):
            return denied
        operation = self._spend(account, credit_type, "consume", amount, description, metadata)
        return self._answered(account, credit_type, amount, operation.id)

    def _consume_batch(self, account: Account, items: list[dict[str, Any]]) -> dict[str, Any]:
        """All items or none; the same key twice is one spend. A key of another request is refused before all else."""
        asked = [{"amount": 1, **{key.removeprefix("p_"): value for key, value in item.items()}} for item in items]
        first: dict[str, dict[str, Any]] = {}
        wanted: dict[str, int] = {}
        for nth, item in enumerate(asked):
            key = item.get("idempotency_key")
            if key is None:
                continue
            differs = {name for name in {*first.setdefault(key, item), *item} if first[key].get(name) != item.get(name)}
            if differs:
                raise IdempotencyConflict(details={"idempotency_key": key, "item": nth, "differs_in": sorted(differs)})
            if key in account.keys:
                self._once(account, "consume_credits", self._consume, dict(item))
        must_be_active(account)
        for nth, item in enumerate(asked):
            key = item.get("idempotency_key")
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


def _conflict(key: str, before: str, function: str, given: Mapping[str, Any]) -> IdempotencyConflict:
    other, then = json.loads(before)
    asked = {**given, "strict": False}
    differs = sorted(name for name in {*then, *asked} if then.get(name) != asked.get(name))
    return IdempotencyConflict(
        details={"idempotency_key": key, "differs_in": differs if other == function else ["function"]},
        hint="The key belongs to another request.",
    )


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
