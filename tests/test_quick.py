"""`bootstrap.py test --quick` runs something of every chapter of the SQL, and of every folder of tests."""

from __future__ import annotations

import re

from tests.support.quick import CHAPTERS, TESTS, chosen

ROOT = TESTS.parent


def test_every_chapter_has_its_tests() -> None:
    chapters = {path.name for path in (ROOT / "supabase" / "schemas").iterdir() if path.is_dir()}
    assert set(CHAPTERS) == chapters
    assert [chapter for chapter, entries in CHAPTERS.items() if not entries] == []


def test_every_folder_of_tests_is_represented() -> None:
    folders = {path.parent.relative_to(TESTS).as_posix().partition("/")[0] for path in TESTS.rglob("test_*.py")}
    taken = {entry.rpartition("/")[0] for entry in chosen()}
    assert {folder.removeprefix(".") for folder in folders} == taken


def test_what_is_chosen_is_there() -> None:
    for entry in chosen():
        file, _, pattern = entry.partition("::")
        text = (TESTS / file).read_text()
        names = re.findall(r"^\s*(?:async )?def (test_\w+)", text, flags=re.MULTILINE)
        start = re.match(r"\w+", pattern)
        assert [name for name in names if not start or name.startswith(start[0])], entry
