"""Whatever happens to a subscription, and however late it is heard of, the database shows what a plain model says.

This walks for some seconds from a fixed seed. `python -m tests.database.walk_subscriptions --seconds 60` walks on.
"""

from __future__ import annotations

from tests.database.walk_subscriptions import prepare, walk
from tests.support.database import Database


def test_any_walk_ends_where_the_model_does_and_late_news_like_news_in_time(own_database: Database) -> None:
    prepare(own_database)
    walk(own_database, 20, examples=12, steps=18)
