"""One random history for all tests of the metrics, part of it rolled up and part of it not."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.metrics.history import Story, become_real, begin, live, resume
from tests.metrics.oracle import Books
from tests.support.database import Database, copied_database
from tests.support.server import Server


@dataclass
class World:
    """The database, the accounts in it, and the books as Python reads them."""

    database: Database
    stories: list[Story]
    books: Books


@pytest.fixture(scope="session")
def world(server: Server) -> Iterator[World]:
    chance = random.Random(20261123)
    with copied_database(server) as database:
        stories = begin(database, 24)
        for story in stories:
            live(story, 40, chance)
        # These are rolled up in full; the third that goes on living afterwards in part.
        database.call("track_metadata_key", "model")
        become_real(database, stories)
        assert database.call("roll_up_metrics", 7)["finished"]
        resume(database, stories[::3])
        for story in stories[::3]:
            live(story, 15, chance)
        become_real(database, stories[::3])
        plans = {story.id: story.plans for story in stories}
        yield World(database, stories, Books(database, plans))
