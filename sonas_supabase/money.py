"""Amounts of money as people read them. They are in the smallest unit of their currency, as providers count."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

# As `credits.minor_units` in the database has them; a test compares.
_WHOLE: Final = frozenset(
    ("bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "ugx", "vnd", "vuv", "xaf", "xof", "xpf")
)
_THOUSANDTHS: Final = frozenset(("bhd", "jod", "kwd", "omr", "tnd"))


def decimals_of(currency: str) -> int:
    """How many decimals an amount in this currency has."""
    code = currency.lower()
    return 0 if code in _WHOLE else 3 if code in _THOUSANDTHS else 2


def in_units(amount: Decimal | float, currency: str, *, finer: int = 0) -> str:
    """An amount in whole units of its currency, with ``finer`` decimals more than the currency has.

    >>> in_units(123450, "usd")
    '1,234.50'
    >>> in_units(0.125, "jpy", finer=2)
    '0.12'
    """
    decimals = decimals_of(currency)
    return f"{amount / 10**decimals:,.{decimals + finer}f}"


def show_amount(amount: int, currency: str) -> str:
    """An amount with its currency.

    >>> show_amount(123450, "usd")
    '1,234.50 usd'
    >>> show_amount(1500, "jpy")
    '1,500 jpy'
    """
    return f"{in_units(amount, currency)} {currency}"
