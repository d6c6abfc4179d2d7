"""What the fake keeps for web applications: answers under an Idempotency-Key, and what could not be charged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from sonas_supabase.errors import IdempotencyConflict
from sonas_supabase.testing._account import Account

_LARGEST_BODY = 16 * 1024


@dataclass
class HttpAnswer:
    """A claim on a key, and what was answered under it."""

    fingerprint: str
    claim_id: str
    claimed_until: datetime
    run_id: str = field(default_factory=lambda: str(uuid4()))
    status: int | None = None
    headers: Mapping[str, Any] | None = None
    body: str | None = None


def claim(account: Account, key: str, fingerprint: str, claim_id: str, lease_seconds: int = 60) -> dict[str, Any]:
    """Claim a key, or tell what came of it before."""
    now = datetime.now(UTC)
    until = now + timedelta(seconds=lease_seconds)
    answer = account.answers.setdefault(key, HttpAnswer(fingerprint, claim_id, until))
    told = {"success": True, "code": "ok", "run_id": answer.run_id, "body_limit": _LARGEST_BODY}
    if answer.fingerprint != fingerprint:
        raise IdempotencyConflict(details={"differs_in": ["request"]})
    if answer.status is not None:
        state = "not_stored" if answer.body is None else "answered"
        return {**told, "state": state, "status": answer.status, "headers": answer.headers, "body": answer.body}
    if answer.claim_id != claim_id and answer.claimed_until > now:
        return {**told, "state": "working"}
    answer.claim_id, answer.claimed_until = claim_id, until
    return {**told, "state": "claimed"}


def store(
    account: Account,
    key: str,
    claim_id: str,
    http_status: int,
    headers: Mapping[str, Any] | None = None,
    body: str | None = None,
) -> dict[str, Any]:
    """Keep what was answered."""
    answer = account.answers.get(key)
    is_mine = answer is not None and answer.claim_id == claim_id and answer.status is None
    if answer is not None and is_mine:
        answer.status, answer.headers, answer.body = http_status, headers, body
    return {"success": True, "code": "ok", "stored": is_mine}


def drop(account: Account, key: str, claim_id: str) -> dict[str, Any]:
    """Give a key back."""
    answer = account.answers.get(key)
    is_mine = answer is not None and answer.claim_id == claim_id and answer.status is None
    if is_mine:
        del account.answers[key]
    return {"success": True, "code": "ok", "dropped": is_mine}


def record_uncollected(
    account: Account,
    credit_type: str,
    amount: int,
    reason: str,
    description: str | None = None,
    kind: str = "charge",
) -> dict[str, Any]:
    """Put on record what could not be charged."""
    entry = {
        "uncollected_id": str(uuid4()),
        "kind": kind,
        "account_id": account.id,
        "user_id": account.actor or account.id,
        "credit_type": credit_type,
        "amount": amount,
        "reason": reason,
        "description": description,
        "created_at": datetime.now(UTC).isoformat(),
    }
    account.uncollected.append(entry)
    return {"success": True, "code": "ok", "replayed": False, **entry}


def list_uncollected(accounts: Iterable[Account], limit: int = 100) -> dict[str, Any]:
    """What is on record of these accounts, the newest first."""
    entries = [entry for account in accounts for entry in account.uncollected]
    entries.sort(key=lambda entry: entry["created_at"], reverse=True)
    sums: dict[str, Counter[str]] = {"charge": Counter(), "refund": Counter()}
    for entry in entries:
        sums[entry["kind"]][entry["credit_type"]] += entry["amount"]
    return {
        "success": True,
        "code": "ok",
        "rows": entries[:limit],
        "totals": dict(sums["charge"]),
        "owed": dict(sums["refund"]),
    }
