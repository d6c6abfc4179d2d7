"""How the sources of the SQL are written."""

from __future__ import annotations

from collections import Counter

from tests.support.sources import SCHEMAS

WIDTH = 100

# Lines that are longer, by chapter: the number may fall and never rise. A chapter that is not here has none.
STILL_LONGER = {
    "accounts": 180,
    "calendar": 260,
    "certainty": 290,
    "doctor": 130,
    "holds": 160,
    "installation": 140,
    "ledger": 200,
    "metering": 120,
    "metrics": 340,
    "moving": 120,
    "plans": 50,
    "spending": 230,
}


def test_lines_have_at_most_a_hundred_characters() -> None:
    longer: Counter[str] = Counter()
    for path in sorted(SCHEMAS.rglob("*.sql")):
        longer[path.parent.name] += sum(len(line) > WIDTH for line in path.read_text("utf-8").splitlines())
    assert {chapter: count for chapter, count in longer.items() if count > STILL_LONGER.get(chapter, 0)} == {}
