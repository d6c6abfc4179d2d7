"""Errors as a caller of SQL sees them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg


@dataclass
class Seen:
    """What was raised: filled in when the block of `raises` is over."""

    slug: str = ""
    state: str = ""
    hint: str = ""
    details: dict[str, Any] = field(default_factory=dict)


@contextmanager
def raises(slug: str, state: str | None = None) -> Iterator[Seen]:
    """Expects an error of the closed list: its slug as MESSAGE, PTnnn, JSON in DETAIL, a sentence in HINT."""
    seen = Seen()
    try:
        yield seen
    except psycopg.Error as error:
        seen.slug = error.diag.message_primary or ""
        seen.state = error.sqlstate or ""
        assert seen.slug == slug, f"{seen.state} {seen.slug} instead of {slug}"
        assert seen.state.startswith("PT")
        assert state is None or seen.state == state
        seen.details = json.loads(error.diag.message_detail or "{}")
        seen.hint = error.diag.message_hint or ""
        assert seen.hint.endswith(".")
    else:
        raise AssertionError(f"{slug} was not raised")
