"""What no operation of the fake accepts, as the SQL functions refuse it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sonas_supabase.errors import InvalidArgument

_LONGEST_TEXT, _LONGEST_KEY, _LONGEST_HOLD, _MOST_METADATA, _MOST_ITEMS = 2000, 255, 86400, 65536, 100


def check(given: Mapping[str, Any]) -> None:
    """Raises InvalidArgument for a request that is not in order."""
    for name in ("description", "reason"):
        if len(given.get(name) or "") > _LONGEST_TEXT:
            raise _refused(name, f"A text has at most {_LONGEST_TEXT} characters.")
    key = given.get("idempotency_key")
    if key is not None and not 1 <= len(key) <= _LONGEST_KEY:
        raise _refused("idempotency_key", f"An idempotency key has 1 to {_LONGEST_KEY} characters.")
    if len(json.dumps(given.get("metadata") or {}).encode()) > _MOST_METADATA:
        raise _refused("metadata", f"Metadata has at most {_MOST_METADATA} bytes.")
    if not 1 <= given.get("ttl_seconds", 1) <= _LONGEST_HOLD:
        raise _refused("ttl_seconds", f"A hold lasts 1 to {_LONGEST_HOLD} seconds.")
    items = given.get("items")
    if items is not None and not 1 <= len(items) <= _MOST_ITEMS:
        raise _refused("items", f"p_items is a JSON array of 1 to {_MOST_ITEMS} objects.")
    for item in items or ():
        check({name.removeprefix("p_"): value for name, value in item.items()})


def _refused(argument: str, hint: str) -> InvalidArgument:
    return InvalidArgument(details={"argument": f"p_{argument}"}, hint=hint)
