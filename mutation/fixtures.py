"""Makes the tests use the server that runs already, and puts the fault into each database that they make."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.support import database, server

copied = database.copied_database
_port = 0
_fault = ""


def use(port: int, fault: str) -> None:
    """The server, and a statement."""
    global _port, _fault
    _port, _fault = port, fault


@contextmanager
def _running(folder: Path) -> Iterator[server.Server]:
    yield server.Server("127.0.0.1", _port, "embedded")


@contextmanager
def _copied(from_server: server.Server, *, template: str = database.TEMPLATE) -> Iterator[database.Database]:
    with copied(from_server, template=template) as copy:
        # What a test makes of an empty database has no function to put a fault into yet.
        if _fault and template == database.TEMPLATE:
            with psycopg.connect(copy.url, autocommit=True) as connection:
                connection.execute(_fault.encode())
        yield copy


def _made(*_: object, **__: object) -> None:
    """The template is there."""


def put_in_place() -> None:
    """Before the conftest takes the names from these modules."""
    server.start_server = _running
    database.make_template = _made
    database.copied_database = _copied  # type: ignore[assignment]
