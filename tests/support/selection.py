"""Which tests a run leaves out: those that need a part which is not here, and with `--quick` all but a few."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from tests.support.parts import EXTENSIONS, PARTS, has_extensions, left_out_line
from tests.support.quick import is_quick

# A fixture that needs a part takes every test with it that asks for the fixture, however far away.
FIXTURES = {
    "postgrest": "postgrest",
    "cli_binary": "supabase_cli",
    "browser": "chromium",
    "axe": "axe",
    "watched": "prometheus",
}


def needs(item: pytest.Item) -> set[str]:
    """The parts that a test needs, by its fixtures, its marks and the PostgreSQL version that it runs on."""
    found = {part for mark in item.iter_markers("needs") for part in mark.args}
    found |= {part for fixture, part in FIXTURES.items() if fixture in getattr(item, "fixturenames", ())}
    callspec = getattr(item, "callspec", None)
    version = str(callspec.params.get("version", "")) if callspec else ""
    if f"postgres_{version}" in PARTS:
        found.add(f"postgres_{version}")
    if "extensions" in found:
        found.discard("extensions")
        if version and not has_extensions(version):
            found.add(f"{EXTENSIONS} for PostgreSQL {version}")
    return found


def lacking(item: pytest.Item) -> list[str]:
    """The parts that a test needs and that are not here."""
    return sorted(name for name in needs(item) if name not in PARTS or PARTS[name].find() is None)


class Selection:
    """Leaves tests out before the run, and says so in one line after it."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.left_out = 0
        self.lacking: Counter[str] = Counter()

    def pytest_ignore_collect(self, collection_path: Path, config: pytest.Config) -> bool | None:
        if config.getoption("--quick") and collection_path.suffix == ".py" and not is_quick(collection_path):
            return True
        return None

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        if config.getoption("--quick"):
            _keep(config, items, [item for item in items if is_quick(item.path, item.name)])
        # In CI nothing is left out: a part that is missing there is a failure.
        if not os.environ.get("CI"):
            kept = []
            for item in items:
                wanting = lacking(item)
                if wanting:
                    self.left_out += 1
                    self.lacking.update(wanting)
                else:
                    kept.append(item)
            _keep(config, items, kept)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            output["left_out"] = (self.left_out, dict(self.lacking))

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: object) -> None:
        # Every worker has collected the same.
        count, names = getattr(node, "workeroutput", {}).get("left_out", (0, {}))
        self.left_out, self.lacking = count, Counter(names)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.left_out:
            terminalreporter.write_line(
                f"{self.left_out} tests were left out for want of {left_out_line(self.lacking)}."
            )


def _keep(config: pytest.Config, items: list[pytest.Item], kept: list[pytest.Item]) -> None:
    gone = set(items) - set(kept)
    if gone:
        config.hook.pytest_deselected(items=[item for item in items if item in gone])
        items[:] = kept
