"""A server and a copy of the sources of its own, and the tests run on one fault after the other."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from mutation.mutant import Mutant
from mutation.near import Near
from mutation.results import Result
from sonas_supabase.local import Cluster, free_port
from tests.support.database import TEMPLATE, make_template
from tests.support.server import QUICK, Server

ROOT = Path(__file__).resolve().parents[1]
SUITES = ["tests/database", "tests/certainty", "tests/client"]
# One transport and one colour do: the others run the same code, or code made from it.
ONE_SHAPE = ["-k", "not rpc and not postgres-async and not [async]"]
# A fault may wait for ever: no statement of the tests takes as long.
SETTINGS = {**QUICK, "track_functions": "all", "statement_timeout": "20s"}
MINUTES = 5
MUTANT = "mutant"


class Worker:
    """Tries faults, one at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sources = folder / "sources"
        self._near = Near({})
        folder.mkdir(mode=0o755)
        shutil.copytree(
            ROOT, self._sources, ignore=shutil.ignore_patterns(".git", ".venv", "test-output", "__pycache__", ".hypothesis")
        )
        cluster = Cluster(folder / "cluster", port=free_port(), settings=SETTINGS)
        cluster.start()
        self._cluster = cluster
        self._server = Server("127.0.0.1", cluster.port, "embedded")
        make_template(self._server)
        self._runner = subprocess.Popen(
            [sys.executable, "-m", "mutation.runner"],
            cwd=self._sources,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def close(self) -> None:
        assert self._runner.stdin
        self._runner.stdin.close()
        self._runner.wait(MINUTES * 60)
        self._cluster.remove()

    def find_reach(self, file: Path) -> None:
        """Runs all tests on what is there, and writes down which functions they call."""
        code = self._pytest(plugin="reach", report=file, tests=[], options=ONE_SHAPE, minutes=30)
        if code != 0:
            raise RuntimeError(f"Without a fault the tests end with {code}:\n{self.log[-3000:]}")

    def use(self, near: Near) -> None:
        self._near = near

    def control(self) -> Result:
        """All tests, without a fault."""
        return self._tried("no fault", "none", list(self._near.tests), TEMPLATE)

    def try_out(self, mutant: Mutant, *, everything: bool = False) -> Result:
        tests = self._near.order(mutant, everything=everything)
        if mutant.is_sql:
            made = self._put_into_database(mutant)
            result = self._tried(str(mutant), mutant.kind, tests, MUTANT) if made else None
        else:
            with self._put_into_sources(mutant):
                result = self._tried(str(mutant), mutant.kind, tests, TEMPLATE)
        if result is None:
            return Result(str(mutant), mutant.kind, "stillborn", 0)
        if result.by:
            self._near.learn(mutant, result.by)
        return result

    def _tried(self, name: str, kind: str, tests: list[str], template: str) -> Result:
        started = time.monotonic()
        report = self._folder / "report.json"
        report.unlink(missing_ok=True)
        code = self._pytest(plugin="chosen", report=report, tests=tests, options=["-x"], template=template)
        seconds = round(time.monotonic() - started, 1)
        if code == 0:
            return Result(name, kind, "survived", seconds)
        if code == "timeout":
            return Result(name, kind, "caught", seconds, "", f"more than {MINUTES} minutes")
        if code == 1:
            return Result(name, kind, "caught", seconds, **json.loads(report.read_text()))
        # It cannot even be imported.
        return Result(name, kind, "stillborn", seconds, "", f"pytest ended with {code}")

    def _put_into_database(self, mutant: Mutant) -> bool:
        """False when Postgres does not take the statement."""
        with psycopg.connect(self._server.superuser_url("postgres"), autocommit=True) as connection:
            left = connection.execute(r"select datname from pg_database where datname ~ '^(test_|mutant$)'").fetchall()
            for (name,) in left:
                connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))
            connection.execute(f"create database {MUTANT} template {TEMPLATE} owner postgres".encode())
        try:
            with psycopg.connect(self._server.url(MUTANT), autocommit=True) as connection:
                connection.execute(mutant.text.encode())
        except psycopg.Error:
            return False
        return True

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
        template: str = TEMPLATE,
        minutes: int = MINUTES,
    ) -> int | str:
        # Examples that a fault made hypothesis keep would be tried on the next one.
        shutil.rmtree(self._sources / ".hypothesis", ignore_errors=True)
        order: dict[str, Any] = {
            "plugin": plugin,
            "report": str(report),
            "tests": tests,
            "paths": SUITES,
            "options": options,
            "log": str(self._folder / "log"),
            "timeout": minutes * 60,
            "environment": {
                "SONAS_TEST_SERVER": "embedded",
                "SONAS_MUTATION_PORT": str(self._server.port),
                "SONAS_MUTATION_TEMPLATE": template,
            },
        }
        assert self._runner.stdin and self._runner.stdout
        self._runner.stdin.write(json.dumps(order) + "\n")
        answer = json.loads(self._runner.stdout.readline())
        code: int | str = answer["code"]
        return code

    @property
    def log(self) -> str:
        """What the last run of pytest printed."""
        return (self._folder / "log").read_text(errors="replace")


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
