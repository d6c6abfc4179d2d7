"""A server of one's own to hurt: durable as in production, and thrown away at the end."""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import psycopg
import pytest

from sonas_supabase import local
from tests.faults.journal import Journal
from tests.support.database import Database
from tests.support.server import Server


@pytest.fixture(scope="session")
def long_form() -> bool:
    """SONAS_FAULTS=long runs the long form."""
    return os.environ.get("SONAS_FAULTS") == "long"


@pytest.fixture
def seed() -> int:
    """A new seed each time, printed with a failing test; SONAS_SEED repeats one."""
    value = int(os.environ.get("SONAS_SEED") or random.SystemRandom().randrange(2**32))
    print(f"SONAS_SEED={value}")  # noqa: T201
    return value


RESULTS = Path(__file__).resolve().parents[2] / "test-output" / "faults.jsonl"


@pytest.fixture
def record(seed: int) -> Callable[[str, str, Journal], None]:
    """Keeps what a test has seen for docs/reliability.md: the fault, how often, and the counts of the load."""

    def keep(fault: str, dose: str, journal: Journal) -> None:
        RESULTS.parent.mkdir(exist_ok=True)
        line = {"fault": fault, "dose": dose, "seed": seed, **journal.counts()}
        with RESULTS.open("a") as file:
            file.write(json.dumps(line) + "\n")

    return keep


class Victim:
    """A cluster that may be killed, with a migrated database."""

    def __init__(self, cluster: local.Cluster) -> None:
        self.cluster = cluster
        self.database = Database(Server("127.0.0.1", cluster.port, "embedded"), "postgres")

    @property
    def url(self) -> str:
        return self.cluster.url()

    @property
    def url_of_superuser(self) -> str:
        return self.cluster.url(user=local.SUPERUSER)

    def connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.url, autocommit=True, connect_timeout=5)

    def accounts(self, count: int) -> list[UUID]:
        """New accounts; the last one is a test account, with a clock of its own."""
        made = [self.database.new_user() for _ in range(count)]
        for account in made[: count // 2]:
            self.database.call("change_plan", account, "builder")
        self.database.call("mark_test_account", made[-1])
        return made


@contextmanager
def _cluster(settings: dict[str, str] | None = None) -> Iterator[local.Cluster]:
    with TemporaryDirectory(prefix="sonas-victim-") as name:
        place = Path(name)
        place.chmod(0o755)
        cluster = local.Cluster(place / "cluster", port=local.free_port(), settings=settings or {})
        try:
            yield cluster
        finally:
            cluster.remove()


@pytest.fixture(scope="session")
def unhurt() -> Iterator[Path]:
    """The directory of a migrated cluster that was shut down: what every victim is a copy of."""
    with _cluster() as cluster:
        cluster.start()
        local.shape(cluster.url(user=local.SUPERUSER))
        local.migrate(cluster.url())
        cluster.stop()
        yield cluster.directory


@pytest.fixture
def new_victim(unhurt: Path) -> Callable[..., AbstractContextManager[Victim]]:
    """Makes a server to hurt: `with new_victim(settings) as victim`. What is not set is as in production."""

    @contextmanager
    def victim(settings: dict[str, str] | None = None) -> Iterator[Victim]:
        with _cluster(settings) as cluster:
            # With its owner, who is not the one that runs the tests when that is root.
            subprocess.run(["cp", "-a", unhurt, cluster.directory], check=True)
            cluster.start()
            made = Victim(cluster)
            try:
                yield made
            finally:
                made.database.close()

    return victim
