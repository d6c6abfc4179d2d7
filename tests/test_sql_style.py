"""How the sources of the SQL are written."""

from __future__ import annotations

from collections import Counter

from tests.support.sources import SCHEMAS

WIDTH = 100

# Lines that are longer, by chapter: the number may fall and never rise. A chapter that is not here has none.
STILL_LONGER = {
    "accounts": 250,
    "calendar": 250,
    "certainty": 350,
    "doctor": 200,
    "holds": 150,
    "http": 100,
    "installation": 200,
    "ledger": 300,
    "metering": 200,
    "metrics": 400,
    "moving": 200,
    "plans": 150,
    "spending": 300,
}


def test_lines_have_at_most_a_hundred_characters() -> None:
    longer: Counter[str] = Counter()
    for path in sorted(SCHEMAS.rglob("*.sql")):
        longer[path.parent.name] += sum(len(line) > WIDTH for line in path.read_text("utf-8").splitlines())
    assert {chapter: count for chapter, count in longer.items() if count > STILL_LONGER.get(chapter, 0)} == {}
