"""Runs pytest again and again, each time in a fork of a process that has done the slow part.

`python -m mutation.forks imported` has what the tests import from elsewhere, `collected` the tests as well: nothing of
the sources is read again. A line of JSON in, a line of JSON out: an order (`mutation/worker.py` makes it), and
`{"code"}`, which is pytest's exit code or `timeout`.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

Order = dict[str, Any]

IMPORTED = [
    "psycopg", "psycopg_pool", "hypothesis", "hypothesis.stateful", "httpx", "supabase", "uvicorn", "starlette",
    "starlette.applications", "jwt", "cryptography.hazmat.primitives.asymmetric.ec", "rich",
]  # fmt: skip
# What is imported already runs as it is.
QUIET = ["-q", "-s", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]


# Seconds.
TO_TIDY_UP = 15


class Orders:
    """The two pipes of this process. What pytest prints goes to the log instead."""

    def __init__(self, log: Path) -> None:
        self._come = os.fdopen(os.dup(0))
        self._go = os.fdopen(os.dup(1), "w")
        printed = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(printed, 1)
        os.dup2(printed, 2)

    def __iter__(self) -> Iterator[Order]:
        for line in self._come:
            yield json.loads(line)

    def answer(self, code: int | str) -> None:
        self._go.write(json.dumps({"code": code}) + "\n")
        self._go.flush()


def forked(timeout: float) -> int | str | None:
    """None in the fork; elsewhere how the fork ended."""
    # The fork holds one end and never writes: the other end is readable once it is gone.
    gone, held = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        os.close(gone)
        os.setsid()
        # A shell's background jobs are deaf to it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        return None
    os.close(held)
    try:
        ended, _, _ = select.select([gone], [], [], timeout)
        if not ended:
            # So that pytest stops the servers that it has started.
            os.kill(pid, signal.SIGINT)
            select.select([gone], [], [], TO_TIDY_UP)
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        os.close(gone)
    return code if ended else "timeout"


class Collected:
    """A pytest plugin: each order is carried out by a fork of the session that has collected the tests."""

    def __init__(self, orders: Orders) -> None:
        from mutation.red import Chosen

        self.in_fork = False
        self._orders = orders
        self._chosen = Chosen([], Path())

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        gc.freeze()
        for order in self._orders:
            code = forked(order["timeout"])
            if code is None:
                self.in_fork = True
                self._begin(order, session)
                return None
            self._orders.answer(code)
        return True

    def _begin(self, order: Order, session: pytest.Session) -> None:
        from mutation import fixtures

        fixtures.use(order["port"], order["fault"])
        self._chosen.tests = order["tests"]
        self._chosen.report = Path(order["report"])
        session.items[:] = self._chosen.of(session.items)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._chosen.pytest_runtest_logreport(report)


def serve_imported(orders: Orders) -> None:
    for name in IMPORTED:
        import_module(name)
    gc.freeze()
    for order in orders:
        code = forked(order["timeout"])
        if code is None:
            _ends_with(partial(_run, order))
            return
        orders.answer(code)


def serve_collected(orders: Orders, suites: list[str]) -> None:
    plugin = Collected(orders)

    def run() -> int:
        return int(pytest.main([*QUIET, "-x", *suites], plugins=[plugin]))

    _ends_with(run, when=lambda: plugin.in_fork)


def _run(order: Order) -> int:
    from mutation import fixtures

    fixtures.use(order["port"], order["fault"])
    report = Path(order["report"])
    if order["plugin"] == "reach":
        from mutation.reach import Reach

        return int(pytest.main([*QUIET, *order["options"], *order["paths"]], plugins=[Reach(report)]))
    from mutation.red import Chosen

    paths = list(dict.fromkeys(test.split("::")[0] for test in order["tests"]))
    return int(pytest.main([*QUIET, *order["options"], *paths], plugins=[Chosen(order["tests"], report)]))


def _ends_with(run: Callable[[], int], *, when: Callable[[], bool] = lambda: True) -> None:
    """A fork ends here and now: what its parent set up is not its own to take down."""
    code = 70
    try:
        code = run()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        if when():
            os._exit(code)


if __name__ == "__main__":
    if sys.argv[1] == "collected":
        serve_collected(Orders(Path(sys.argv[2])), sys.argv[3:])
    else:
        serve_imported(Orders(Path(sys.argv[2])))
