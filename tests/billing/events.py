"""Events as Stripe sends them, signed as Stripe signs them."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

from sonas_supabase.local.stripe import signed

SECRET = "whsec_test_of_the_tests"

Json = dict[str, Any]


def at(text: str) -> int:
    """Seconds since 1970 of a time in UTC: `2027-03-01`, `2027-03-16 12:00`."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def message(event: Json, *, secret: str = SECRET, signed_at: int | None = None) -> tuple[bytes, dict[str, str]]:
    """The body of an event, and the headers that it comes with."""
    body = json.dumps(event)
    return body.encode(), {"stripe-signature": signed(body, secret, signed_at or int(time.time()))}
