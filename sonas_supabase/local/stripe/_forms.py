"""Stripe's way of writing nested values in a form: `line_items[0][price]=price_1`."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl

_PART = re.compile(r"\[([^\]]*)\]")


def nested(form: str) -> dict[str, Any]:
    """The values of a form or a query."""
    tree: dict[str, Any] = {}
    for key, value in parse_qsl(form, keep_blank_values=True):
        parts = [key.partition("[")[0], *_PART.findall(key)]
        at = tree
        for part in parts[:-1]:
            at = at.setdefault(part or str(len(at)), {})
        at[parts[-1] or str(len(at))] = value
    return {name: _lists(value) for name, value in tree.items()}


def _lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if value and all(name.isdigit() for name in value):
        return [_lists(value[name]) for name in sorted(value, key=int)]
    return {name: _lists(part) for name, part in value.items()}
