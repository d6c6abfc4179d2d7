"""Fixtures of all tests: a real Postgres for the run, a migrated database for each module, PostgREST when asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from tests.support.api import Api, start_api
from tests.support.database import Database, copied_database, make_template
from tests.support.parts import bring_parts, require
from tests.support.selection import Selection
from tests.support.server import Server, start_server, use_embedded_server_without_image
from tests.support.stale import stale

if TYPE_CHECKING:
    from tests.support.workers import Units


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="a little of everything, in about a minute")


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def pytest_configure(config: pytest.Config) -> None:
    """Brings what npm can bring, once for all workers, and leaves out what cannot run here."""
    config.addinivalue_line("markers", "needs(part, …): a program of tests/support/parts.py that the test runs")
    if not hasattr(config, "workerinput") and not config.option.collectonly:
        bring_parts(_say)
        use_embedded_server_without_image(_say)
    config.pluginmanager.register(Selection(config), "selection")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A browser on a busy machine may be late once: its tests, and no others, are tried again, and counted as rerun."""
    for item in items:
        if "visit" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Units:
    """How `-n` deals the tests out to workers."""
    from tests.support.workers import Units

    # The dear ones stand in the middle and many small ones at the end, so that no worker is long alone.
    config.option.loadscopereorder = False
    return Units(config, log)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Says what a source lacks, once, before hundreds of tests fail of it."""
    if not hasattr(session.config, "workerinput"):
        found = stale()
        if found:
            raise pytest.UsageError("\n".join(found))


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A Postgres server for the whole run, with a migrated template database."""
    # pytest's own folders are closed to other users, and root's Postgres runs as one.
    with TemporaryDirectory(prefix="sonas-test-") as folder:
        Path(folder).chmod(0o755)
        with start_server(Path(folder) / "cluster") as started:
            make_template(started)
            yield started


@pytest.fixture(scope="module")
def database(server: Server) -> Iterator[Database]:
    """A migrated database, shared by the tests of one module. Users keep their tests apart."""
    with copied_database(server) as copy:
        yield copy


@pytest.fixture
def own_database(server: Server) -> Iterator[Database]:
    """A migrated database for one test alone, for what changes more than one account."""
    with copied_database(server) as copy:
        yield copy


@pytest.fixture
def new_user(database: Database) -> Callable[[], UUID]:
    """Signs a user up and answers the id."""
    return database.new_user


@pytest.fixture
def user(database: Database) -> UUID:
    """A new free user."""
    return database.new_user()


@pytest.fixture(scope="session")
def postgrest() -> Path:
    """The program PostgREST."""
    return require("postgrest")


@pytest.fixture(scope="module")
def api(postgrest: Path, database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """PostgREST, and the gateway in front of it, on `database`."""
    with start_api(database, tmp_path_factory.mktemp("api")) as started:
        yield started
