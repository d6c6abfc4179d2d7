"""Fixtures: a simulated Stripe, and who hears what it says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.billing.support import Double, Hearer, Selling, running_double, selling
from tests.support.database import Database


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Double, Hearer]]:
    """A simulated Stripe, and a webhook that keeps what it is told."""
    folder: Path = tmp_path_factory.mktemp("stripe")
    with Hearer().listening() as hearing, running_double(folder / "stack", hearing.url) as running:
        hearing.secret = running.keys.webhook_secret
        yield running, hearing


@pytest.fixture
def double(heard: tuple[Double, Hearer]) -> Double:
    """A simulated Stripe at which nothing has happened yet."""
    heard[0].settle()
    heard[0].shop.store.clear()
    return heard[0]


@pytest.fixture
def hearer(double: Double, heard: tuple[Double, Hearer]) -> Hearer:
    """What it tells."""
    heard[1].events.clear()
    heard[1].answers.clear()
    return heard[1]


@pytest.fixture(scope="module")
def shop(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Selling]:
    """The reference app, selling through a simulated Stripe."""
    with selling(database, tmp_path_factory.mktemp("shop")) as running:
        yield running
