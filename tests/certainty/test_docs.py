"""docs/certainty.md names what there is: every finding of the doctor, every rule."""

from __future__ import annotations

import re
from pathlib import Path

from sonas_supabase.doctor import KINDS
from tests.support.database import Database

ROOT = Path(__file__).resolve().parents[2]
DOC = (ROOT / "docs/certainty.md").read_text()


def test_every_finding_is_documented() -> None:
    texts = [path.read_text() for path in (ROOT / "supabase/schemas/doctor").glob("diagnose_*.sql")]
    made = {
        code
        for text in texts
        for first in re.findall(
            r"^\s*(?:return query )?select (?:distinct )?('[a-z_]+',|case .*?,$)", text, re.MULTILINE
        )
        for code in re.findall(r"(?:^|then |else )'([a-z]+(?:_[a-z]+)+)'", first)
    }
    made |= set(re.findall(r'code="([a-z_]+)"', (ROOT / "cli/doctor.py").read_text()))
    made |= set(re.findall(r'code="([a-z_]+)"', (ROOT / "cli/_versions.py").read_text()))
    made |= set(KINDS) | {"other_text", "history_is_lost"}
    section = DOC[DOC.index("## What is wrong") : DOC.index("## One user's data")]
    table = "\n".join(line for line in section.splitlines() if line.startswith("|"))
    assert set(re.findall(r"`([a-z_]+)`", table)) == made
    assert len(made) > 35


def test_every_rule_is_documented(database: Database) -> None:
    rules = {check["rule"] for check in database.call("verify_books")["checks"]}
    assert {int(rule) for rule in re.findall(r"^\| (\d+) \|", DOC, re.MULTILINE)} == rules
