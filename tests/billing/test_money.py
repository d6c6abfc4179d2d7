"""Amounts are shown with the decimals of their currency, of which database and Python have one idea."""

from __future__ import annotations

import pytest

from sonas_supabase.money import decimals_of, show_amount
from tests.support.database import Database


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [(123450, "usd", "1,234.50 usd"), (1500, "jpy", "1,500 jpy"), (1500, "KWD", "1.500 KWD"), (0, "eur", "0.00 eur")],
)
def test_an_amount_has_the_decimals_of_its_currency(amount: int, currency: str, shown: str) -> None:
    assert show_amount(amount, currency) == shown


def test_the_database_counts_the_same_units(database: Database) -> None:
    codes = "select chr(97 + a) || chr(97 + b) || chr(97 + c) from generate_series(0, 25) a, generate_series(0, 25) b, "
    units = database.query(f"select x, credits.minor_units(x) from ({codes} generate_series(0, 25) c) t (x)")
    assert len(units) == 26**3
    assert [code for code, unit in units if unit != 10 ** decimals_of(code)] == []
