"""A pytest plugin that runs the tests that it is told, in that order, and writes down the green and the red ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mutation import fixtures


def passed_in(report: Path) -> Path:
    """The tests that were green, beside the red one."""
    return report.with_suffix(".passed")


class Chosen:
    """Which tests, and the file for the red one."""

    def __init__(self, tests: list[str], report: Path) -> None:
        self.tests = tests
        self.report = report
        fixtures.put_in_place()

    def of(self, items: list[pytest.Item]) -> list[pytest.Item]:
        place = {name: nth for nth, name in enumerate(self.tests)}
        return sorted((item for item in items if item.nodeid in place), key=lambda item: place[item.nodeid])

    @pytest.hookimpl(hookwrapper=True, trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Iterator[None]:
        yield
        items[:] = self.of(items)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.passed and report.when == "call":
            with passed_in(self.report).open("a") as file:
                file.write(report.nodeid + "\n")
        if report.failed and not self.report.exists():
            crash = getattr(report.longrepr, "reprcrash", None)
            why = str(crash.message if crash else report.longrepr).splitlines() or [""]
            self.report.write_text(json.dumps({"by": report.nodeid, "why": why[0][:200]}))
