"""A JSON object to a frozen dataclass, by the dataclass's own type hints."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints
from uuid import UUID

from sonas_supabase.errors import UnexpectedAnswer

T = TypeVar("T")

_Reader = Callable[[Any], Any]


def _decimal(value: Any) -> Decimal:
    # A JSON number has been read as an int or a float, whose shortest text is what was sent.
    if isinstance(value, bool):
        raise TypeError(f"{value!r} is not a number")
    try:
        return Decimal(str(value))
    except InvalidOperation as error:
        raise ValueError(f"{value!r} is not a number") from error


_SCALARS: dict[Any, _Reader] = {datetime: datetime.fromisoformat, UUID: UUID, Decimal: _decimal}


def parse(kind: type[T], answer: object) -> T:
    """Read ``answer`` as a ``kind``. Keys that ``kind`` does not have are left out: a newer database may add some.

    Raises:
        UnexpectedAnswer: a key is missing or has another type.
    """
    try:
        read: T = _object_reader(cast(Any, kind))(answer)
    except (KeyError, TypeError, ValueError) as error:
        raise UnexpectedAnswer(
            f"The database's answer is not a {kind.__name__}: {error!r}",
            details={"answer": answer},
            hint="Bring the library and the migrations to the same version.",
        ) from error
    return read


@cache
def _object_reader(kind: Any) -> _Reader:
    hints = get_type_hints(kind)
    readers = [(field.name, _reader(hints[field.name]), field.default is not MISSING) for field in fields(kind)]

    def read(answer: Mapping[str, Any]) -> Any:
        if not isinstance(answer, Mapping):
            raise TypeError(f"not an object: {answer!r}")
        return kind(
            **{
                name: reader(answer[name])
                for name, reader, optional in readers
                if not (optional and name not in answer)
            }
        )

    return read


def _reader(hint: Any) -> _Reader:
    origin = get_origin(hint)
    if hint is Any or hint is object or origin is dict:
        return _as_it_is
    if origin in (Union, types.UnionType):
        (inner,) = (_reader(arg) for arg in get_args(hint) if arg is not type(None))
        return lambda value: None if value is None else inner(value)
    if origin is tuple:
        item = _reader(get_args(hint)[0])
        return lambda values: tuple(item(value) for value in values)
    if is_dataclass(hint):
        return _object_reader(hint)  # type: ignore[arg-type]
    return _SCALARS.get(hint) or _exactly(hint)


def _as_it_is(value: Any) -> Any:
    return value


def _exactly(hint: type[Any]) -> _Reader:
    def read(value: Any) -> Any:
        if type(value) is not hint:
            raise TypeError(f"{value!r} is not of type {hint.__name__}")
        return value

    return read
