"""Makes the tests use the server that runs already, and the database with the fault in it as the template."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import database, server

PORT = int(os.environ["SONAS_MUTATION_PORT"])
TEMPLATE = os.environ["SONAS_MUTATION_TEMPLATE"]

copied = database.copied_database


@contextmanager
def _running(folder: Path) -> Iterator[server.Server]:
    yield server.Server("127.0.0.1", PORT, "embedded")


@contextmanager
def _copied(from_server: server.Server, *, template: str = database.TEMPLATE) -> Iterator[database.Database]:
    with copied(from_server, template=TEMPLATE if template == database.TEMPLATE else template) as copy:
        yield copy


def _made(*_: object, **__: object) -> None:
    """The template is there."""


def put_in_place() -> None:
    """Before the conftest takes the names from these modules."""
    server.start_server = _running
    database.make_template = _made
    database.copied_database = _copied
