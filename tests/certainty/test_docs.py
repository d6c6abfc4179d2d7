"""docs/certainty.md names what there is: every finding of the doctor, every rule."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.database import Database

ROOT = Path(__file__).resolve().parents[2]
DOC = (ROOT / "docs/certainty.md").read_text()


def test_every_finding_is_documented() -> None:
    made = {
        code
        for path in (ROOT / "supabase/migrations").glob("*_diagnose_*.sql")
        for code in re.findall(r"^\s*(?:return query )?select '([a-z_]+)',", path.read_text(), re.MULTILINE)
    }
    made |= {code for path in (ROOT / "supabase/migrations").glob("*_diagnose_*.sql") for code in two(path.read_text())}
    made |= set(re.findall(r'code="([a-z_]+)"', (ROOT / "cli/doctor.py").read_text()))
    section = DOC[DOC.index("## What is wrong") : DOC.index("## Moving in")]
    table = "\n".join(line for line in section.splitlines() if line.startswith("|"))
    assert set(re.findall(r"`([a-z_]+)`", table)) == made
    assert len(made) > 25


def two(text: str) -> set[str]:
    """The codes of a finding that has one of two."""
    return {code for pair in re.findall(r"then '(users_\w+)' else '(users_\w+)' end", text) for code in pair}


def test_every_rule_is_documented(database: Database) -> None:
    rules = {check["rule"] for check in database.call("verify_books")["checks"]}
    assert {int(rule) for rule in re.findall(r"^\| (\d) \|", DOC, re.MULTILINE)} == rules
