"""The balance as RateLimit header fields (draft-ietf-httpapi-ratelimit-headers).

A credit type is a policy. A quota is ``q`` credits per period; a period has no fixed length, so there is no ``w``. An
unlimited balance has no quota, and a limit no reset.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import http_sf

from sonas_supabase.fastapi._pending_spend import Balance

Header = tuple[bytes, bytes]
# The largest integer that a structured field can say.
_LARGEST = 999_999_999_999_999


def headers(balances: Iterable[Balance]) -> list[Header]:
    """Fields for these balances."""
    policies: dict[str, dict[str, Any]] = {}
    states: dict[str, dict[str, Any]] = {}
    for balance in balances:
        if balance.limit is not None:
            policies[balance.credit_type] = {"q": min(balance.limit, _LARGEST), "qu": "credits"}
        if balance.remaining is not None:
            remaining = {"r": min(max(balance.remaining, 0), _LARGEST)}
            states[balance.credit_type] = remaining | _reset(balance.period_end)
    fields = {b"ratelimit-policy": policies, b"ratelimit": states}
    return [(field, http_sf.ser(list(items.items())).encode("ascii")) for field, items in fields.items() if items]


def _reset(moment: datetime | None) -> dict[str, int]:
    return {} if moment is None else {"t": max(math.ceil((moment - datetime.now(UTC)).total_seconds()), 0)}
