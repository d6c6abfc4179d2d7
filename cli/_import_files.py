"""Balances in files: rows of one's own, Stripe's credit grants, and customers exported from Autumn."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from ._guard import Stop

SUFFIXES = (".csv", ".json", ".jsonl", ".ndjson")
# What Autumn does not renew by itself.
_ONCE = (None, "", "lifetime", "one_off")


@dataclass
class Read:
    """Rows as `import_balances` takes them, and what was left out, with how often."""

    rows: list[dict[str, Any]]
    user: str
    balance: str
    expires: str | None = None
    source: str | None = None
    left_out: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Lot:
    """Credits of one user with one end, from one source."""

    user: str
    amount: Decimal
    expires_at: str | None
    source: str


def is_file(name: str) -> bool:
    """Whether the argument names a file, and no table."""
    return name.lower().endswith(SUFFIXES) and Path(name).is_file()


def read_file(
    path: Path, *, user: str, balance: str, expires: str | None, source: str | None,
    customers: Path | None, feature: str | None, rate: str, with_allowances: bool,
) -> Read:  # fmt: skip
    """The balances in a file. Raises Stop for what cannot be read."""
    try:
        items = list(_items(path))
        people = _people(customers) if customers else {}
        factor = Decimal(rate)
    except (OSError, ValueError, InvalidOperation) as error:
        raise Stop(f"{path} cannot be read: {error}.", "Pass a CSV, a JSON array, or a JSON object a line.") from None
    if any(one.get("object") == "billing.credit_grant" for one in items):
        return _lots(_of_stripe, items, people, factor)
    if any("features" in one or "balances" in one for one in items):
        name = _feature(items, feature)
        return _lots(lambda one, out: _of_autumn(one, name, with_allowances, out), items, people, factor)
    if factor != 1:
        items = [{**one, balance: str(Decimal(str(one.get(balance))) * factor)} for one in items]
    rows = [{**one, user: people.get(str(one.get(user)), one.get(user))} for one in items]
    return Read(rows, user, balance, expires, source)


def _items(path: Path) -> Iterator[dict[str, Any]]:
    text = path.read_text(encoding="utf-8-sig")
    if path.suffix.lower() == ".csv":
        # An empty cell is none.
        for row in csv.DictReader(text.splitlines()):
            yield {key: value if value != "" else None for key, value in row.items()}
        return
    if path.suffix.lower() in (".jsonl", ".ndjson"):
        found: Any = [json.loads(line, parse_float=str) for line in text.splitlines() if line.strip()]
    else:
        found = json.loads(text, parse_float=str)
    if isinstance(found, dict):
        found = next((found[key] for key in ("data", "list", "customers", "rows") if key in found), [found])
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise ValueError("there is no list of objects in it")
    yield from found


def _people(path: Path) -> dict[str, str]:
    """Who is who: the first column is the name in the file, the second the user's id or e-mail."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        return {row[0].strip(): row[1].strip() for row in csv.reader(file) if len(row) > 1}


def _lots(read: Any, items: list[dict[str, Any]], people: Mapping[str, str], factor: Decimal) -> Read:
    """One row for each user, end and source: what ends at the same time is one lot."""
    left_out: Counter[str] = Counter()
    sums: dict[tuple[str, str | None, str], Decimal] = {}
    for one in items:
        for lot in read(one, left_out):
            key = (people.get(lot.user, lot.user), lot.expires_at, lot.source)
            sums[key] = sums.get(key, Decimal(0)) + lot.amount * factor
    rows = [
        {"user": user, "credits": format(amount, "f"), "expires_at": expires_at, "source": source}
        for (user, expires_at, source), amount in sums.items()
    ]
    return Read(rows, "user", "credits", "expires_at", "source", left_out)


def _of_stripe(grant: dict[str, Any], left_out: Counter[str]) -> Iterator[Lot]:
    now = datetime.now(UTC).timestamp()
    if grant.get("voided_at"):
        left_out["voided"] += 1
    elif grant.get("expires_at") and grant["expires_at"] <= now:
        left_out["expired"] += 1
    elif (grant.get("effective_at") or 0) > now:
        left_out["effective only later"] += 1
    else:
        told = grant.get("metadata") or {}
        customer = grant.get("customer")
        named = customer.get("id") if isinstance(customer, dict) else customer
        yield Lot(
            user=str(told.get("user_id") or told.get("supabase_user_id") or named),
            amount=_available(grant),
            expires_at=_moment(grant.get("expires_at"), 1),
            source="promotion" if grant.get("category") == "promotional" else "top_up",
        )


def _available(grant: dict[str, Any]) -> Decimal:
    """What is left of a grant where a balance summary stands beside it, else what was granted."""
    balances = grant.get("balances") or grant.get("credit_balance_summary", {}).get("balances") or []
    amount = balances[0]["available_balance"] if balances else grant["amount"]
    return Decimal(str(amount["monetary"]["value"]))


def _feature(items: list[dict[str, Any]], asked: str | None) -> str:
    names = sorted({name for one in items for name in _features(one)})
    if asked in names:
        return str(asked)
    if asked is None and len(names) == 1:
        return names[0]
    raise Stop(f"Which feature is it? The file has {', '.join(names) or 'none'}.", "Pass --feature.", code="usage")


def _features(customer: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = customer.get("balances") or customer.get("features") or {}
    if isinstance(found, list):
        return {str(one.get("feature_id") or one.get("id")): one for one in found}
    return dict(found)


def _of_autumn(customer: dict[str, Any], feature: str, with_allowances: bool, left_out: Counter[str]) -> Iterator[Lot]:
    balance = _features(customer).get(feature)
    if balance is None:
        return
    if balance.get("unlimited"):
        left_out["unlimited"] += 1
        return
    for part in balance.get("breakdown") or [balance]:
        interval = part.get("interval", (part.get("reset") or {}).get("interval"))
        if interval not in _ONCE and not with_allowances:
            left_out[f"allowances by the {interval}, which plans grant"] += 1
            continue
        amount = next(
            (part[key] for key in ("balance", "remaining", "current_balance") if part.get(key) is not None), None
        )
        yield Lot(
            user=str(customer.get("id")),
            amount=Decimal("NaN") if amount is None else Decimal(str(amount)),
            expires_at=_moment(part.get("expires_at"), 1000),
            source="top_up",
        )


def _moment(value: Any, per_second: int) -> str | None:
    if value is None or isinstance(value, str):
        return value or None
    return datetime.fromtimestamp(value / per_second, UTC).isoformat()
