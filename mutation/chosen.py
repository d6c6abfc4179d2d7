"""A pytest plugin that runs the tests that it is told, in that order, and writes down the first red one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mutation import fixtures


class Chosen:
    """An empty list of tests is all of them."""

    def __init__(self, tests: list[str], report: Path) -> None:
        self._place = {name: place for place, name in enumerate(tests)}
        self._report = report
        fixtures.put_in_place()

    @pytest.hookimpl(hookwrapper=True, trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Iterator[None]:
        yield
        if self._place:
            items[:] = [item for item in items if item.nodeid in self._place]
            items.sort(key=lambda item: self._place[item.nodeid])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self._report.exists():
            crash = getattr(report.longrepr, "reprcrash", None)
            why = str(crash.message if crash else report.longrepr).splitlines() or [""]
            self._report.write_text(json.dumps({"by": report.nodeid, "why": why[0][:200]}))
