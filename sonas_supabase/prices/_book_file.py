"""A price book as one file under version control: TOML, with the figures as exact texts."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

_KEYS = (
    *("operation", "dimension", "nano_per_unit", "per", "valid_from", "minimum_nano", "maximum_nano", "steps"),
    *("cost_per_unit", "asset", "markup", "cost_steps", "source", "ends"),
)
_BOOK_KEYS = ("id", "name", "credit_type", "currency", "credits_per_unit")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class BookFileProblem(ValueError):
    """A file that is no price book; the text says where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BookFile:
    """A price book and its prices, each with the arguments of ``set_price`` or ``set_provider_cost``."""

    book: Mapping[str, Any]
    prices: tuple[Mapping[str, Any], ...]

    @classmethod
    def read(cls, path: Path) -> BookFile:
        """The book in a file.

        Raises:
            BookFileProblem: it is no TOML, or has a key that no price has.
        """
        read = read_toml(path)
        unknown = sorted({*read} - {"book", "price"})
        if unknown or not isinstance(read.get("price", []), list):
            raise BookFileProblem(f"{path}: it has [book] and [[price]], and no {', '.join(unknown) or 'price list'}")
        book = _checked(path, "book", read.get("book", {}), _BOOK_KEYS)
        prices = [_price(path, nth, price) for nth, price in enumerate(read.get("price", []), 1)]
        return cls(book={"id": "default", **book}, prices=tuple(prices))

    @classmethod
    def of(cls, page: Mapping[str, Any], prices: Iterable[Mapping[str, Any]]) -> BookFile:
        """The book that `list_prices` has answered, without the prices that have ended."""
        book = {"id": page["book"], **{key: page[key] for key in _BOOK_KEYS[1:] if page.get(key) is not None}}
        return cls(book=book, prices=tuple(_of_listed(price) for price in prices if price.get("valid_to") is None))

    def text(self) -> str:
        """The file, in an order in which a change is a change of few lines."""
        lines = ["[book]", *lines_of(self.book, _BOOK_KEYS)]
        for price in sorted(self.prices, key=lambda p: (p["operation"], p["dimension"], str(p.get("valid_from", "")))):
            lines += ["", "[[price]]", *lines_of(price, _KEYS)]
        return "\n".join(lines) + "\n"


def read_toml(path: Path) -> dict[str, Any]:
    """What a TOML file says, with exact decimals. Raises BookFileProblem."""
    try:
        return tomllib.loads(path.read_text("utf-8"), parse_float=Decimal)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BookFileProblem(f"{path}: {error}") from error


def lines_of(table: Mapping[str, Any], keys: Iterable[str]) -> list[str]:
    """The keys of a table that it has, a line each."""
    return [f"{key} = {_toml(table[key])}" for key in keys if table.get(key) is not None]


def _price(path: Path, nth: int, price: object) -> dict[str, Any]:
    checked = _checked(path, f"price {nth}", price, _KEYS)
    for key in ("operation", "dimension"):
        if not isinstance(checked.get(key), str):
            raise BookFileProblem(f"{path}: price {nth} has no {key}")
    return {key: _plain(path, nth, value) for key, value in checked.items()}


def _checked(path: Path, where: str, value: object, known: Iterable[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BookFileProblem(f"{path}: {where} is no table")
    unknown = sorted({*value} - {*known})
    if unknown:
        raise BookFileProblem(f"{path}: {where} has {', '.join(unknown)}, which no {where.split(maxsplit=1)[0]} has")
    return value


def _plain(path: Path, nth: int, value: Any) -> Any:
    """As JSON carries it: decimals as texts, times with their zone."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise BookFileProblem(f"{path}: price {nth}: a time needs a zone, such as 2026-01-01T00:00:00Z")
        return value.isoformat()
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC).isoformat()
    if isinstance(value, dict):
        return {key: _number(_plain(path, nth, inner)) for key, inner in value.items()}
    if isinstance(value, list):
        return [_number(_plain(path, nth, inner)) for inner in value]
    return value


def _number(value: Any) -> Any:
    """Steps are JSON numbers in SQL; a decimal text within them is one."""
    if isinstance(value, str):
        try:
            number = Decimal(value)
        except ArithmeticError:
            return value
        return int(number) if number == number.to_integral_value() else float(number)
    return value


def _of_listed(price: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: price[key] for key in _KEYS if price.get(key) is not None and key != "steps"}
    if price.get("steps") is not None and price.get("markup") is None:
        kept["steps"] = {"by": price["steps_by"], "steps": price["steps"]}
    if price.get("cost_steps") is not None:
        steps = [{"above": s["above"], "nano_per_unit": s["cost_per_unit"]} for s in price["cost_steps"]]
        kept["cost_steps"] = {"by": price["steps_by"], "steps": steps}
    if price.get("markup") is not None:
        # The cost makes the price, so the price is not said twice.
        kept.pop("nano_per_unit", None)
    if kept.get("per") == 1:
        del kept["per"]
    if kept.get("asset") == "usd":
        del kept["asset"]
    if datetime.fromisoformat(price["valid_from"]) == _EPOCH:
        del kept["valid_from"]
    return kept


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(inner) for inner in value) + "]"
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    # A JSON string is a TOML string.
    return json.dumps(str(value), ensure_ascii=False)
