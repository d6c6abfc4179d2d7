"""A JSON object as the SDK's classes describe it, so that mypy checks each path that is read.

The SDK's own objects are no dicts, raise for a field that is absent, and take the SDK to build. A view is read like one
(`invoice.parent.subscription_details.subscription`), is typed as one, and has None for what is absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from sonas_supabase.billing.errors import Unreadable

T = TypeVar("T")

_LARGEST = 2**53
_LAST = 253_402_300_799  # the end of the year 9999


class _View:
    __slots__ = ("_of",)

    def __init__(self, of: Mapping[str, Any]) -> None:
        self._of = of

    def __getattr__(self, name: str) -> Any:
        return _viewed(self._of.get(name))


def _viewed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _View(value)
    if isinstance(value, list):
        return [_viewed(item) for item in value]
    return value


def view(of: Mapping[str, Any]) -> Any:
    """The object, for a variable that is declared as one of the SDK's classes."""
    return _View(of)


def entries(value: list[T] | None) -> list[T]:
    """The entries of a list that may be absent; each is an object."""
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(entry, _View) for entry in value):
        raise Unreadable("What should be a list of objects is not.")
    return value


def object_of(value: T | None) -> T | None:
    """An object that may be absent."""
    if value is None or isinstance(value, _View):
        return value
    raise Unreadable("What should be an object is not.")


def id_of(value: object) -> str | None:
    """The id of what may be expanded: the id itself, or the object that has it."""
    return text(value.id) if isinstance(value, _View) else text(value)


def needed(value: T | None, name: str) -> T:
    """What an event of this type always has."""
    if value is None:
        raise Unreadable(f"The object has no {name}.")
    return value


def text(value: object) -> str | None:
    """A text that may be absent."""
    if value is None or isinstance(value, str):
        return value
    raise Unreadable("What should be a text is not.")


def whole(value: object) -> int | None:
    """A whole number that may be absent: cents, a count."""
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and -_LARGEST <= value <= _LARGEST:
        return value
    raise Unreadable("What should be a whole number is not.")


def truth(value: object) -> bool:
    """A yes or no; what is absent is no."""
    if value is None or isinstance(value, bool):
        return bool(value)
    raise Unreadable("What should be true or false is not.")


def time(value: object) -> str | None:
    """Seconds since 1970 as ISO 8601 in UTC."""
    seconds = whole(value)
    if seconds is None:
        return None
    if not 0 <= seconds <= _LAST:
        raise Unreadable("A time is out of range.")
    return datetime.fromtimestamp(seconds, UTC).isoformat()
