"""Random lives of customers end alike in the database and in a plain model."""

from __future__ import annotations

from tests.billing.walk_lifecycles import walk
from tests.support.database import Database


def test_random_lives_end_as_in_the_model(database: Database) -> None:
    walk(database, lives=6, seed=20270301, steps=25)
