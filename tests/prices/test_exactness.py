"""Random operations from eight connections agree with exact fractions, and the books with both."""

from __future__ import annotations

from tests.prices import properties
from tests.support.database import Database


def test_the_ledger_and_the_remainder_are_exactly_what_the_operations_cost(own_database: Database) -> None:
    sums = properties.run(own_database, 400, seed=20261129)
    assert sums.wrong == []
    assert sums.operations > 300
