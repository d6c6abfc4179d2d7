"""A server and a copy of the sources of its own, and the tests run on one fault after the other."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from mutation.mutant import Mutant
from mutation.near import Near
from mutation.red import passed_in
from mutation.results import Result
from sonas_supabase.local import Cluster, free_port
from tests.support.database import TEMPLATE, make_template
from tests.support.server import QUICK, Server

ROOT = Path(__file__).resolve().parents[1]
SUITES = [f"tests/{name}" for name in ("database", "certainty", "client", "billing", "prices", "workspaces", "budgets")]
# One transport and one colour do: the others run the same code, or code made from it.
ONE_SHAPE = ["-k", "not rpc and not postgres-async and not [async]"]
# A fault may wait for ever: no statement of the tests takes as long.
SETTINGS = {**QUICK, "track_functions": "all", "statement_timeout": "20s"}
NO_END = "it did not end in time"


class Worker:
    """Tries faults, one at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sources = folder / "sources"
        self._report = folder / "report.json"
        self._near = Near({})
        folder.mkdir(mode=0o755)
        shutil.copytree(
            ROOT,
            self._sources,
            ignore=shutil.ignore_patterns(".git", ".venv", "test-output", "__pycache__", ".hypothesis"),
        )
        cluster = Cluster(folder / "cluster", port=free_port(), settings=SETTINGS)
        cluster.start()
        self._cluster = cluster
        self._server = Server("127.0.0.1", cluster.port, "embedded")
        make_template(self._server)
        self._imported = self._forks("imported")
        # A fault in Python would not be seen by what is imported already.
        self._collected = self._forks("collected", *SUITES)

    def _forks(self, *how: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "mutation.forks", how[0], str(self._folder / f"{how[0]}.log"), *how[1:]],
            cwd=self._sources,
            env={**os.environ, "SONAS_TEST_SERVER": "embedded"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            # An interruption is for the one that gives the orders.
            start_new_session=True,
        )

    def close(self) -> None:
        for forks in (self._imported, self._collected):
            assert forks.stdin
            forks.stdin.close()
            forks.wait(60)
        self._cluster.remove()

    def find_reach(self, file: Path) -> None:
        """Runs all tests on what is there, and writes down which functions they call."""
        code = self._pytest(plugin="reach", report=file, tests=[], options=ONE_SHAPE, patience=3600)
        if code != 0:
            raise RuntimeError(f"Without a fault the tests end with {code}:\n{self._log('imported')[-3000:]}")

    def use(self, near: Near) -> None:
        self._near = near

    def control(self, mutants: Sequence[Mutant]) -> None:
        """A fault that is none: what goes red now is the doing of this tool and not of a fault."""
        none = Mutant("none", "", "none.sql", 0, "", "", "select 1")
        near = {test for mutant in mutants for test in self._near.order(mutant)}
        tests = [test for test in self._near.tests if test in near]
        result = self._tried(none, tests, plugin="collected", patience=3600, fault=none.text)
        if result.outcome != "survived":
            raise RuntimeError(
                f"Without a fault {result.by or 'a run'} is red: {result.why}\n{self._log('collected')[-6000:]}"
            )

    def try_out(self, mutant: Mutant, *, green: Set[str], patience: float) -> Result:
        """Runs what is not known to be `green`. After `patience` seconds it is caught, by never ending or so."""
        tests = [test for test in self._near.order(mutant) if test not in green]
        if not mutant.is_sql:
            with self._put_into_sources(mutant):
                result = self._tried(mutant, tests, plugin="chosen", patience=patience)
        elif self._can_be_made(mutant):
            result = self._tried(mutant, tests, plugin="collected", patience=patience, fault=mutant.text)
        else:
            return Result(str(mutant), mutant.kind, "stillborn", 0)
        self._near.learn(mutant, result.by)
        return result

    @property
    def green(self) -> set[str]:
        """The tests that were green on the last fault."""
        file = passed_in(self._report)
        return set(file.read_text().splitlines()) if file.exists() else set()

    def _tried(self, mutant: Mutant, tests: list[str], *, plugin: str, patience: float, fault: str = "") -> Result:
        started = time.monotonic()
        self._drop_what_is_left()
        for file in (self._report, passed_in(self._report)):
            file.unlink(missing_ok=True)
        code = self._pytest(
            plugin=plugin, report=self._report, tests=tests, options=["-x"], patience=patience, fault=fault
        )
        outcome, by, why = "caught", "", ""
        if code == 0:
            outcome = "survived"
        elif self._report.exists():
            red = json.loads(self._report.read_text())
            by, why = red["by"], red["why"]
        elif code == "timeout":
            why = NO_END
        else:
            # It cannot even be imported.
            outcome, why = "stillborn", f"pytest ended with {code}"
        return Result(str(mutant), mutant.kind, outcome, round(time.monotonic() - started, 1), by, why)

    def _can_be_made(self, mutant: Mutant) -> bool:
        """Whether Postgres takes the statement."""
        with psycopg.connect(self._server.url(TEMPLATE)) as connection:
            try:
                connection.execute(mutant.text.encode())
            except psycopg.Error:
                return False
            finally:
                connection.rollback()
        return True

    def _drop_what_is_left(self) -> None:
        """Databases of tests that were killed."""
        with psycopg.connect(self._server.superuser_url("postgres"), autocommit=True) as connection:
            for (name,) in connection.execute("select datname from pg_database where datname like 'test%'").fetchall():
                connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))

    @contextmanager
    def _put_into_sources(self, mutant: Mutant) -> Iterator[None]:
        target = self._sources / mutant.file
        compiled = Path(importlib.util.cache_from_source(str(target)))
        before = target.read_text()
        compiled.unlink(missing_ok=True)
        target.write_text(mutant.text)
        try:
            yield
        finally:
            target.write_text(before)
            compiled.unlink(missing_ok=True)

    def _pytest(
        self,
        *,
        plugin: str,
        report: Path,
        tests: list[str],
        options: list[str],
        patience: float,
        fault: str = "",
    ) -> int | str:
        # Examples that a fault made hypothesis keep would be tried on the next one.
        shutil.rmtree(self._sources / ".hypothesis", ignore_errors=True)
        order: dict[str, Any] = {
            "plugin": plugin,
            "report": str(report),
            "tests": tests,
            "paths": SUITES,
            "options": options,
            "timeout": patience,
            "port": self._server.port,
            "fault": fault,
        }
        forks = self._collected if plugin == "collected" else self._imported
        assert forks.stdin
        assert forks.stdout
        forks.stdin.write(json.dumps(order) + "\n")
        answer = json.loads(forks.stdout.readline())
        code: int | str = answer["code"]
        return code

    def _log(self, forks: str) -> str:
        """What pytest printed."""
        return (self._folder / f"{forks}.log").read_text(errors="replace")


@contextmanager
def workers(folder: Path, count: int) -> Iterator[list[Worker]]:
    started: list[Worker] = []
    try:
        for nth in range(count):
            started.append(Worker(folder / f"worker-{nth + 1}"))
        yield started
    finally:
        for worker in started:
            worker.close()
