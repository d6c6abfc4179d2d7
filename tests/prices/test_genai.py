"""Prices of models keep their steps and dates, and cost what genai-prices itself says."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from genai_prices import Usage, calc_price

from sonas_supabase.prices import from_genai_prices
from tests.support.database import Database

MARKUP = Decimal("1.3")
# Models with and without steps, caches and audio.
MODELS = ("openai/gpt-5", "anthropic/claude-sonnet-4-0", "google/gemini-2.5-pro", "google/gemini-2.5-flash")
USAGES: list[dict[str, int]] = [
    {"input": 1000, "output": 500},
    {"input": 150_000, "cache_read": 50_000, "output": 7},
    {"input": 150_000, "cache_read": 50_001, "output": 7},
    {"input": 1, "cache_write": 300_000, "output": 100},
]


def of_genai(model: str, usage: dict[str, int]) -> Decimal:
    provider, _, name = model.partition("/")
    total = sum(amount for dimension, amount in usage.items() if dimension != "output")
    counted = Usage(
        input_tokens=total,
        cache_read_tokens=usage.get("cache_read", 0),
        cache_write_tokens=usage.get("cache_write", 0),
        output_tokens=usage["output"],
    )
    return calc_price(counted, name, provider_id=provider, genai_request_timestamp=datetime.now(UTC)).total_price


def test_they_cost_what_genai_prices_says_times_the_markup(database: Database) -> None:
    database.call("set_price_book", "models", "integration", credits_per_unit=100)
    found = from_genai_prices(markup=MARKUP, models=MODELS)
    assert found.refused == {}
    database.call("set_prices", [dict(price) for price in found.prices], "models")
    for model in MODELS:
        for usage in USAGES:
            quote = database.call("quote_operation", model, usage, "models")
            assert Decimal(quote["cost"]) == of_genai(model, usage) * MARKUP * 100, (model, usage)


def test_dates_are_kept_and_what_cannot_be_is_refused_with_the_reason() -> None:
    everything = from_genai_prices(markup=MARKUP)
    assert len({price["operation"] for price in everything.prices}) > 2000
    assert 0 < len(everything.refused) < 60
    assert "time of day" in everything.refused["deepseek/deepseek-chat"]
    assert not {price["operation"] for price in everything.prices} & everything.refused.keys()
    dated = from_genai_prices(markup=MARKUP, all_dates=True)
    keys = [(p["operation"], p["dimension"], p.get("valid_from")) for p in dated.prices]
    assert len(keys) == len(set(keys)) > len(everything.prices)


@pytest.mark.parametrize("wanted", [{"models": ["openai/gpt-99"]}, {"providers": ["nobody"]}])
def test_a_model_that_is_not_known_is_said(wanted: dict[str, Any]) -> None:
    with pytest.raises(LookupError):
        from_genai_prices(markup=MARKUP, **wanted)
