"""What an argument must be before it travels: JSON values that both transports hand on unchanged.

Only what the database cannot say itself is checked here, because the value would be rounded, coerced or refused by
whatever stands in front of it. Everything else is left to the SQL functions.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar
from uuid import UUID

from sonas_supabase.errors import InvalidAmount, InvalidArgument

MAX_AMOUNT = 2**53
_INTEGER_MAX = 2**31 - 1
_BIGINT_MAX = 2**63 - 1

T = TypeVar("T")


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


def optional(read: Callable[[str, object], T], name: str, value: object) -> T | None:
    """What ``read`` makes of the value, or None."""
    return None if value is None else read(name, value)


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


def ids(name: str, value: object) -> list[str]:
    """A list of ids."""
    if isinstance(value, str | Mapping) or not isinstance(value, Sequence):
        raise _invalid(name, value, "Pass a list of UUIDs.")
    return [uuid(name, one) for one in value]


def text(name: str, value: object) -> str:
    """A string that Postgres can store: no NUL character, no half of a surrogate pair."""
    if not isinstance(value, str):
        raise _invalid(name, value, "Pass a string.")
    if not _storable(value):
        raise _invalid(name, value, "Pass text without NUL characters and lone surrogates.")
    return value


def integer(name: str, value: object) -> int:
    """A whole number that fits Postgres' ``integer``."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _INTEGER_MAX:
        return int(value)
    raise _invalid(name, value, "Pass a whole number.")


def number(name: str, value: object) -> str:
    """An exact number as its decimal text: an int, a Decimal or such a text. A float is none, since it is not exact."""
    if isinstance(value, int | Decimal | str) and not isinstance(value, bool):
        try:
            read = Decimal(value)
        except InvalidOperation:
            read = Decimal("NaN")
        if read.is_finite() and abs(read.adjusted()) < 100:
            return f"{read:f}"
    raise _invalid(name, value, "Pass a whole number, a Decimal or the text of one.")


def bigint(name: str, value: object) -> int:
    """A whole number that fits Postgres' ``bigint``."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _BIGINT_MAX:
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


def json_object(name: str, value: object) -> dict[str, Any]:
    """A mapping of what JSON can hold. What was sent is what JSON made of it."""
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


def spend_items(name: str, value: object) -> list[dict[str, Any]]:
    """A list of mappings, each with the arguments of one spend."""
    if isinstance(value, str | Mapping) or not isinstance(value, Sequence):
        raise InvalidArgument(
            f"{name} is not a list.",
            details={"argument": f"p_{name}"},
            hint="Pass a list of 1 to 100 mappings.",
        )
    return [_spend_item(name, index, item) for index, item in enumerate(value)]


def import_rows(name: str, value: object) -> list[dict[str, Any]]:
    """A list of mappings, each with one balance."""
    if isinstance(value, str | Mapping) or not isinstance(value, Sequence):
        raise _invalid(name, value, "Pass a list of mappings, one for each balance.")
    return [json_object(f"{name}[{index}]", item) for index, item in enumerate(value)]


def _spend_item(name: str, index: int, item: object) -> dict[str, Any]:
    if not isinstance(item, Mapping):
        raise InvalidArgument(
            f"{name}[{index}] is not a mapping.",
            details={"argument": f"p_{name}", "item": index},
            hint="Each item is a JSON object.",
        )
    checked = {key: value for key, value in item.items() if value is not None}
    if "amount" in item:
        checked["amount"] = amount(item["amount"], item=index)
    return json_object(f"{name}[{index}]", checked)


def price_items(name: str, value: object) -> list[dict[str, Any]]:
    """A list of mappings, each with the arguments of one price; decimals travel as texts."""
    if isinstance(value, str | Mapping) or not isinstance(value, Sequence):
        raise _invalid(name, value, "Pass a list of mappings.")
    return [
        json_object(
            f"{name}[{nth}]",
            {key: _as_json(inner) for key, inner in dict(item).items()},
        )
        for nth, item in enumerate(value)
    ]


plan_items = price_items


def _as_json(value: Any) -> Any:
    if isinstance(value, Decimal):
        return f"{value:f}"
    return value.isoformat() if isinstance(value, datetime) else value


def quantities(name: str, value: object) -> dict[str, str]:
    """How much of each dimension, as decimal texts, since JSON's readers may round large and small numbers."""
    if not isinstance(value, Mapping):
        raise _invalid(name, value, "Pass a mapping: for each dimension how much of it.")
    return {
        text(name, dimension): number(f"{name}[{dimension}]", repr(amount) if isinstance(amount, float) else amount)
        for dimension, amount in value.items()
    }


def ledger_end(name: str, value: object) -> dict[str, Any]:
    """Up to where the history of an account and credit type is meant: a ``LedgerEnd``, or what has its fields."""
    end: Any = value
    return {
        "account_id": uuid(name, end.account_id),
        "credit_type": text(name, end.credit_type),
        "version": end.version,
    }


def ledger_ends(name: str, value: object) -> list[dict[str, Any]]:
    """Several of :func:`ledger_end`."""
    ends: Any = value
    return [ledger_end(name, end) for end in ends]


def json_objects(name: str, value: object) -> list[dict[str, Any]]:
    """Several of :func:`json_object`."""
    return [json_object(name, item) for item in _items(name, value)]


def uuids(name: str, value: object) -> str:
    """Several ids, as Postgres writes an array."""
    return _array([uuid(name, item) for item in _items(name, value)])


def texts(name: str, value: object) -> str:
    """Several strings, as Postgres writes an array."""
    escaped = [text(name, item).replace("\\", "\\\\").replace('"', '\\"') for item in _items(name, value)]
    return _array([f'"{item}"' for item in escaped])


def integers(name: str, value: object) -> str:
    """Several numbers that fit Postgres' ``integer``, as it writes an array."""
    return _array([str(integer(name, item)) for item in _items(name, value)])


def bigints(name: str, value: object) -> str:
    """Several numbers that fit Postgres' ``bigint``, as it writes an array."""
    return _array([str(bigint(name, item)) for item in _items(name, value)])


def _items(name: str, value: object) -> list[object]:
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise _invalid(name, value, "Pass a list.")
    return list(value)


def _array(items: Iterable[str]) -> str:
    return "{" + ",".join(items) + "}"


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
