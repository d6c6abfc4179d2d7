"""Reads JSON that others have written, without trusting how deep it goes."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

MAX_DEPTH = 64
"""How many objects and lists may stand inside each other."""

# A string to its end (or to the end of the text, so that each character is looked at once), or a bracket.
_TOKENS = re.compile(r'"(?:[^"\\]+|\\.)*+(?:"|\\?\Z)|[\[{]|[\]}]', re.DOTALL)


def read_json(text: str, **options: Any) -> Any:
    """What `json.loads` reads from a text, unless it is nested deeper than `MAX_DEPTH`.

    The standard library's reader calls itself for each level and counts on Python's recursion limit. Where another
    package has raised that limit, deep nesting overflows the stack and ends the process. The depth is therefore
    measured first, in one pass.

    Args:
        text: what came from outside.
        options: those of `json.loads`.

    Raises:
        ValueError: it is no JSON, or too deep.
    """
    depth = 0
    for token in _TOKENS.finditer(text):
        mark = token[0]
        if mark in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise ValueError(f"The JSON is nested deeper than {MAX_DEPTH} levels.")
        elif mark in "]}":
            depth -= 1
    return json.loads(text, **options)


def read_base64_json(text: str) -> Any:
    """What `read_json` reads from base64 in the alphabet of addresses, whose padding may be left out.

    Raises:
        ValueError: it is no base64, no JSON, or too deep.
    """
    return read_json(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode())
