"""What an argument must be before it travels: JSON values that both transports hand on unchanged.

Only what the database cannot say itself is checked here, because the value would be rounded, coerced or refused by
whatever stands in front of it. Everything else is left to the SQL functions.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sonas_supabase.errors import InvalidAmount, InvalidArgument

MAX_AMOUNT = 2**53
_INTEGER_MAX = 2**31 - 1


def amount(value: object, *, item: int | None = None) -> int:
    """A whole number of credits from 1 to 2^53; a bool, a float or a string is none."""
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_AMOUNT:
        return int(value)
    details: dict[str, Any] = {"amount": _shown(value)}
    if item is not None:
        details["item"] = item
    raise InvalidAmount(
        f"{value!r} is not an amount of credits.",
        details=details,
        hint=f"An amount is a whole number of credits from 1 to {MAX_AMOUNT}.",
    )


def optional_amount(value: object) -> int | None:
    """Like :func:`amount`; None stands for all of it."""
    return None if value is None else amount(value)


def uuid(name: str, value: object) -> str:
    """An id, as a UUID or as its text."""
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, str):
        try:
            return str(UUID(value))
        except ValueError:
            pass
    raise _invalid(name, value, "Pass a UUID, or its text.")


def optional_uuid(name: str, value: object) -> str | None:
    """Like :func:`uuid`, or None."""
    return None if value is None else uuid(name, value)


def text(name: str, value: object) -> str:
    """A string that Postgres can store: no NUL character, no half of a surrogate pair."""
    if not isinstance(value, str):
        raise _invalid(name, value, "Pass a string.")
    if not _storable(value):
        raise _invalid(name, value, "Pass text without NUL characters and lone surrogates.")
    return value


def optional_text(name: str, value: object) -> str | None:
    """Like :func:`text`, or None."""
    return None if value is None else text(name, value)


def integer(name: str, value: object) -> int:
    """A whole number that fits Postgres' ``integer``."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _INTEGER_MAX:
        return int(value)
    raise _invalid(name, value, "Pass a whole number.")


def boolean(name: str, value: object) -> bool:
    """True or False."""
    if isinstance(value, bool):
        return value
    raise _invalid(name, value, "Pass True or False.")


def time(name: str, value: object) -> str:
    """An aware datetime. A naive one would be read in whatever time zone the session has."""
    if isinstance(value, datetime) and value.utcoffset() is not None:
        return value.isoformat()
    raise _invalid(name, value, "Pass a datetime with a time zone, such as datetime.now(UTC).")


def optional_time(name: str, value: object) -> str | None:
    """Like :func:`time`, or None."""
    return None if value is None else time(name, value)


def json_object(name: str, value: object) -> dict[str, Any] | None:
    """A mapping of what JSON can hold, or None. What was sent is what JSON made of it."""
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise _invalid(name, value, "Metadata is a JSON object.")
    try:
        written = json.dumps(dict(value), allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise _invalid(name, value, f"Metadata is a JSON object: {error}.") from error
    read: dict[str, Any] = json.loads(written)
    if not all(_storable(string) for string in _strings(read)):
        raise _invalid(name, value, "Pass text without NUL characters and lone surrogates.")
    return read


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)


def _storable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\x00" not in value


def _invalid(name: str, value: object, hint: str) -> InvalidArgument:
    return InvalidArgument(
        f"{name} cannot be {_shown(value)!r}.",
        details={"argument": f"p_{name}", "value": _shown(value)},
        hint=hint,
    )


def _shown(value: object) -> Any:
    """The value, as far as it fits into details that are sent on as JSON."""
    if value is None or isinstance(value, bool | int):
        return value
    return (value if isinstance(value, str) else repr(value))[:200]
