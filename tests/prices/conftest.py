"""Fixtures of the prices: a shop with a price list that every test of a module shares."""

from __future__ import annotations

import pytest

from tests.prices.shop import Shop
from tests.support.database import Database


@pytest.fixture
def shop(database: Database) -> Shop:
    """A user on the starter plan, with a clock of their own and operations that are priced under their own name."""
    return Shop(database)
