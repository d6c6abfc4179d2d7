"""A pytest plugin that writes down how long each test takes and which SQL functions it calls.

Postgres counts the calls (`track_functions`). A session that stays open, as PostgREST's, counts late: a test over HTTP
is taken to call whatever the tests of its module call.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from mutation import fixtures
from tests.support import database, server

CALLED = """
    select n.nspname || '.' || p.proname
    from pg_proc as p join pg_namespace as n on n.oid = p.pronamespace
    where n.nspname in ('public', 'credits') and pg_stat_get_function_calls(p.oid) > 0
"""
# About what it takes to start PostgREST for a module.
PER_API = 1.0
OTHERS = """
    select count(*) from pg_stat_activity
    where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()
      and pid <> %s and usename <> 'authenticator'
"""


class Reach:
    """The functions and the seconds of each test."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._open: list[database.Database] = []
        self._now: set[str] = set()
        self._modules: dict[str, set[str]] = defaultdict(set)
        self._calls: dict[str, set[str]] = {}
        self._seconds: dict[str, float] = defaultdict(float)
        self._over_http: set[str] = set()
        fixtures.put_in_place()
        make = database.copied_database

        @contextmanager
        def watched(from_server: server.Server, **how: Any) -> Iterator[database.Database]:
            with make(from_server, **how) as copy:
                self._open.append(copy)
                try:
                    yield copy
                finally:
                    self._open.remove(copy)
                    self._read(copy)

        database.copied_database = watched  # type: ignore[assignment]

    def _read(self, copy: database.Database) -> None:
        """Adds what was called since the last time."""
        with psycopg.connect(copy.superuser_url, autocommit=True) as connection:
            pid = 0
            own = copy._connection
            if own is not None and not own.closed and own.info.transaction_status == psycopg.pq.TransactionStatus.IDLE:
                own.execute("select pg_stat_force_next_flush()")
                pid = own.info.backend_pid
            give_up = time.monotonic() + 1
            while connection.execute(OTHERS, [pid]).fetchone() != (0,) and time.monotonic() < give_up:
                pass
            self._now |= {name for (name,) in connection.execute(CALLED.encode())}
            connection.execute("select pg_stat_reset()")

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._now = set()
        yield
        self._calls[item.nodeid] = set(self._now)
        module = item.nodeid.split("::")[0]
        self._modules[module] |= self._now
        if "api" in getattr(item, "fixturenames", ()):
            self._over_http.add(item.nodeid)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_teardown(self) -> Iterator[None]:
        yield
        for copy in self._open:
            self._read(copy)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        # What a module sets up is shared by its tests.
        self._seconds[report.nodeid] += report.duration if report.when == "call" else 0

    def pytest_sessionfinish(self) -> None:
        tests = {
            test: {
                "seconds": round(self._seconds[test] + (PER_API if test in self._over_http else 0), 3),
                "calls": sorted(calls | (self._modules[test.split("::")[0]] if test in self._over_http else set())),
            }
            for test, calls in self._calls.items()
        }
        self._file.write_text(json.dumps(tests, indent=1))
