"""What the tests of this folder share."""

from __future__ import annotations

import pytest

from tests.support.database import Database
from tests.support.teams import Team, new_team


@pytest.fixture
def team(database: Database) -> Team:
    """A workspace with one person of each role, and 100 credits."""
    return new_team(database)
