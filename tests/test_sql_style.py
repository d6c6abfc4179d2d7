"""How the sources of the SQL are written."""

from __future__ import annotations

from tests.support.sources import SCHEMAS

WIDTH = 100


def test_lines_have_at_most_a_hundred_characters() -> None:
    longer = [
        f"{path.relative_to(SCHEMAS)}:{nth}"
        for path in sorted(SCHEMAS.rglob("*.sql"))
        for nth, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        # The description of a function is one line.
        if len(line) > WIDTH and not line.startswith("-- edge:")
    ]
    assert longer == []
