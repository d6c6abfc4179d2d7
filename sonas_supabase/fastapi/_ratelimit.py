"""The balance as RateLimit header fields (draft-ietf-httpapi-ratelimit-headers).

A credit type is a policy. A quota is ``q`` credits per period; a period has no fixed length, so there is no ``w``. An
unlimited balance has no quota, and a limit no reset.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from datetime import UTC, datetime

Header = tuple[bytes, bytes]


def headers(balances: Iterable[tuple[str, int | None, int | None, datetime | None]]) -> list[Header]:
    """Fields for balances of (credit type, limit, remaining, end of period); None for what is unlimited or unknown."""
    policies: dict[str, str] = {}
    states: dict[str, str] = {}
    for credit_type, limit, remaining, resets_at in balances:
        # JSON's string syntax is that of structured fields, for the names that credit types have.
        name = json.dumps(credit_type)
        if limit is not None:
            policies[name] = f'{name};q={limit};qu="credits"'
        if remaining is not None:
            states[name] = f"{name};r={max(remaining, 0)}{_until(resets_at)}"
    fields = {b"ratelimit-policy": policies, b"ratelimit": states}
    return [(field, ", ".join(items.values()).encode("ascii")) for field, items in fields.items() if items]


def _until(moment: datetime | None) -> str:
    if moment is None:
        return ""
    return f";t={max(math.ceil((moment - datetime.now(UTC)).total_seconds()), 0)}"
