"""The prices of models, out of the package genai-prices. Steps and dates are kept, or the model is refused."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

from sonas_supabase import NotConfigured

INPUTS = ("input", "cache_read", "cache_read_audio", "cache_write", "cache_write_1h", "input_audio")
"""What a step counts: everything that went in."""

# What `meter_llm` counts apart -> the price that it has, the first that the model says.
_METERED: dict[str, tuple[str, ...]] = {
    "input": ("input_mtok",),
    "cache_read": ("cache_read_mtok", "input_mtok"),
    "cache_read_audio": ("cache_audio_read_mtok", "cache_read_mtok", "input_mtok"),
    "cache_write": ("cache_write_5m_mtok", "cache_write_mtok", "input_mtok"),
    "cache_write_1h": ("cache_write_1h_mtok", "cache_write_mtok", "input_mtok"),
    "input_audio": ("input_audio_mtok", "input_mtok"),
    "output": ("output_mtok",),
    "output_audio": ("output_audio_mtok", "output_mtok"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """Prices for ``set_prices``, and the models that were refused, each with the reason."""

    prices: tuple[Mapping[str, Any], ...]
    refused: Mapping[str, str]
    source: str


class _Refused(Exception):
    pass


def from_genai_prices(
    *, markup: Decimal, providers: Iterable[str] = (), models: Iterable[str] = (), all_dates: bool = False
) -> Imported:
    """Every model of genai-prices (or of these providers, or these `provider/model`), as costs with a markup.

    A price that a model has from a date on is kept with its date (earlier ones only with ``all_dates``), one with steps
    with its steps. A model is refused whose price depends on the time of day, or that prices apart what is not metered
    apart here. No network is used: the table is in the package.

    Raises:
        NotConfigured: genai-prices is not installed.
        LookupError: there is no such provider or model.
    """
    try:
        import genai_prices
        from genai_prices.data import providers as known
        from genai_prices.data_units import unit_data
    except ImportError as error:
        raise NotConfigured(
            "The prices of models are in the package genai-prices.", hint='pip install "sonas-supabase[prices]"'
        ) from error
    source = f"genai-prices {genai_prices.__version__}"
    wanted, ids = {*models}, {*providers}
    units = {unit["price_key"]: (name, unit["per"]) for name, unit in unit_data.items()}
    reader = _Reader(units=units, markup=markup, source=source, all_dates=all_dates)
    prices: list[Mapping[str, Any]] = []
    refused: dict[str, str] = {}
    found: set[str] = set()
    for provider in known:
        for model in provider.models:
            name = f"{provider.id}/{model.id}"
            if (ids or wanted) and provider.id not in ids and name not in wanted:
                continue
            found |= {provider.id, name}
            try:
                rows = list(reader.rows(name, model))
            except _Refused as reason:
                refused[name] = str(reason)
                continue
            for operation in dict.fromkeys((name, *(f"{provider.id}/{alias}" for alias in _aliases(model.match)))):
                prices += [{**row, "operation": operation} for row in rows]
    missing = sorted((ids | wanted) - found)
    if missing:
        raise LookupError(f"genai-prices does not know {', '.join(missing)}.")
    return Imported(prices=tuple(_once(prices)), refused=refused, source=source)


def _once(prices: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """A name that several models go by is the first one's, as it is for genai-prices."""
    owner: dict[tuple[Any, ...], str] = {}
    for price in prices:
        key = (price["operation"], price["dimension"], price.get("valid_from"))
        if key not in owner:
            owner[key] = ""
            yield price


def _aliases(match: Any) -> Iterator[str]:
    """The names that a model is known by, where they are names and not patterns."""
    kind = type(match).__name__
    if kind == "ClauseEquals" and re.fullmatch(r"[^*\x00-\x1f]{1,150}", match.equals):
        yield match.equals
    elif kind == "ClauseOr":
        for clause in match.or_:
            yield from _aliases(clause)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    """Makes rows of a model's prices. ``units`` has the unit and its size by the name of a price."""

    units: Mapping[str, tuple[str, int]]
    markup: Decimal
    source: str
    all_dates: bool

    def rows(self, name: str, model: Any) -> Iterator[dict[str, Any]]:
        for valid_from, price in _dated(model.prices, self.all_dates):
            said = {key: value for key, value in vars(price).items() if value is not None and not key.startswith("_")}
            _check(said)
            base = {"operation": name, "markup": f"{self.markup:f}", "source": self.source}
            if valid_from is not None:
                base["valid_from"] = valid_from.isoformat()
            for dimension, keys in _METERED.items():
                value = next((said[key] for key in keys if key in said), None)
                if value is not None:
                    yield {**base, "dimension": dimension, "per": 10**6, **_cost(value)}
            for key, value in said.items():
                if not key.endswith("_mtok"):
                    unit, per = self.units[key]
                    yield {**base, "dimension": unit, "per": per, **_cost(value)}


def _cost(value: Any) -> dict[str, Any]:
    if isinstance(value, Decimal):
        return {"cost_per_unit": f"{value:f}"}
    steps = [{"above": tier.start, "nano_per_unit": float(tier.price)} for tier in value.tiers]
    return {"cost_per_unit": f"{value.base:f}", "cost_steps": {"by": list(INPUTS), "steps": steps}}


def _dated(prices: Any, all_dates: bool) -> list[tuple[datetime | None, Any]]:
    """The prices with the instants from which they count, the first since ever."""
    if not isinstance(prices, list):
        return [(None, prices)]
    dated: list[tuple[datetime | None, Any]] = []
    for conditional in prices:
        constraint = conditional.constraint
        if constraint is not None and not hasattr(constraint, "start_date"):
            raise _Refused("its price depends on the time of day")
        start = constraint and datetime.combine(constraint.start_date, datetime.min.time(), UTC)
        dated.append((start, conditional.prices))
    if any(start is None for start, _ in dated[1:]) or any(a and b and a >= b for (a, _), (b, _) in pairwise(dated)):
        raise _Refused("its dated prices are in no order")
    if not all_dates:
        now = datetime.now(UTC)
        past = [nth for nth, (start, _) in enumerate(dated) if start is None or start <= now]
        dated = dated[past[-1] if past else 0 :]
        # What counts now has counted before the first spend here.
        dated[0] = (None, dated[0][1])
    elif dated[0][0] is not None:
        dated[0] = (None, dated[0][1])
    return dated


def _check(said: Mapping[str, Any]) -> None:
    """Tokens that are priced apart have to be counted apart, or cost what the others cost."""
    metered = {key for keys in _METERED.values() for key in keys}
    for key, value in said.items():
        if key.endswith("_mtok") and key not in metered:
            parent = "output_mtok" if key.startswith("output") else _parent_of_input(key)
            if said.get(parent, said.get("input_mtok")) != value:
                raise _Refused(f"it prices {key.removesuffix('_mtok')} tokens apart")


def _parent_of_input(key: str) -> str:
    return re.sub(r"_(text|image|video|audio)(?=_(read|write))", "", key) if key.startswith("cache") else "input_mtok"
