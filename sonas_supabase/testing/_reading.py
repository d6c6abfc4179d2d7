"""What the fake tells of its ledger: the history, and one operation explained."""

from __future__ import annotations

import base64
import json
from typing import Any

from sonas_supabase.errors import InvalidArgument, OperationNotFound
from sonas_supabase.testing._account import Account, Hold


def history(
    account: Account, credit_type: str | None = None, limit: int = 50, cursor: str | None = None
) -> dict[str, Any]:
    """A page of the ledger, newest first."""
    if not 1 <= limit <= 1000:
        raise InvalidArgument(details={"argument": "p_limit", "value": limit}, hint="A page has 1 to 1000 rows.")
    rows = [row for row in reversed(account.ledger) if credit_type in (None, row["credit_type"])]
    before = _read_cursor(account, credit_type, cursor) if cursor is not None else len(rows)
    page = rows[len(rows) - before :][:limit] if before <= len(rows) else rows[:limit]
    left = before - len(page)
    return {
        "success": True,
        "code": "ok",
        "account_id": account.id,
        "rows": page,
        "next_cursor": _write_cursor(account, credit_type, left) if left else None,
    }


def _write_cursor(account: Account, credit_type: str | None, left: int) -> str:
    return base64.urlsafe_b64encode(json.dumps([account.id, credit_type, left]).encode()).decode().rstrip("=")


def _read_cursor(account: Account, credit_type: str | None, cursor: str) -> int:
    try:
        owner, kind, left = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if (owner, kind) == (account.id, credit_type):
            return int(left)
    except (ValueError, TypeError):
        pass
    raise InvalidArgument(
        details={"argument": "p_cursor"}, hint="A cursor is the next_cursor of a page of the same history, unchanged."
    )


def operation(account: Account, operation_id: str) -> dict[str, Any]:
    """What an operation did."""
    rows = [row for row in account.ledger if row["operation_id"] == operation_id]
    hold = next((one for one in account.holds.values() if one.operation_id == operation_id), None)
    if not rows and hold is None:
        raise OperationNotFound(details={"operation_id": operation_id})
    related = [row for row in account.ledger if row["related_operation_id"] == operation_id]
    refunds = [row for row in related if row["kind"] == "refund"]
    by_operation: dict[str, dict[str, Any]] = {}
    for row in refunds:
        found = by_operation.setdefault(
            row["operation_id"],
            {"operation_id": row["operation_id"], "amount": 0, "created_at": row["created_at"]},
        )
        found["amount"] += row["amount"]
    return {
        "success": True,
        "code": "ok",
        "operation_id": operation_id,
        "account_id": account.id,
        **_summary(rows, hold),
        "required": None,
        "available": None,
        "entries": [_entry(account, row) for row in rows],
        "related_operation_id": next((row["related_operation_id"] for row in rows), None),
        "refunded": sum(row["amount"] for row in refunds),
        "refunds": list(by_operation.values()),
        "related": [
            {key: row[key] for key in ("operation_id", "kind", "amount", "grant_id", "description")}
            for row in related
            if row["kind"] != "refund"
        ],
        "reservation": hold and _reservation(hold),
    }


def _summary(rows: list[dict[str, Any]], hold: Hold | None) -> dict[str, Any]:
    if rows:
        first = rows[0]
        amount = abs(sum(row["amount"] for row in rows if row["credit_type"] == first["credit_type"]))
        said = {key: first[key] for key in ("user_id", "kind", "credit_type", "description", "metadata", "created_at")}
        return {
            **said,
            "amount": amount,
            "status": "booked",
            "price": {"credit_type": first["credit_type"], "credits": amount},
        }
    assert hold is not None  # noqa: S101 - one of the two is there
    return {
        "user_id": None,
        "kind": "reserve",
        "credit_type": hold.credit_type,
        "amount": hold.amount,
        "price": {"credit_type": hold.credit_type, "credits": hold.amount},
        "status": hold.status,
        "description": hold.description,
        "metadata": dict(hold.metadata),
        "created_at": hold.expires_at.isoformat(),
    }


def _entry(account: Account, row: dict[str, Any]) -> dict[str, Any]:
    grant = next((one for one in account.grants[row["credit_type"]] if one.id == row["grant_id"]), None)
    after = row["balance_after"]
    return {
        **{key: row[key] for key in ("version", "credit_type", "kind", "grant_id", "amount", "created_at")},
        "source": grant and grant.source,
        "priority": grant and grant.order[0],
        "expires_at": grant.expires_at.isoformat() if grant and grant.expires_at else None,
        "balance_before": None if after is None else after - row["amount"],
        "balance_after": after,
    }


def _reservation(hold: Hold) -> dict[str, Any]:
    return {
        "reservation_id": hold.id,
        "status": hold.status,
        "amount": hold.amount,
        "captured": hold.captured,
        "released": hold.released,
        "shortfall": hold.shortfall,
        "expires_at": hold.expires_at.isoformat(),
        "reason": hold.reason,
    }
