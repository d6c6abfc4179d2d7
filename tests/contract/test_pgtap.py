"""The pgTAP files of supabase/tests, on each Postgres and in both worlds."""

from __future__ import annotations

from pathlib import Path

import pytest

from sonas_supabase.local import embedded_binaries
from sonas_supabase.migrations import sql_folder
from tests.contract import tap
from tests.contract.conftest import Pushed

FOLDER = sql_folder() / "tests"
FILES = sorted(FOLDER.glob("**/*.test.sql"))


@pytest.fixture(scope="session")
def psql() -> Path:
    return embedded_binaries() / "psql"


@pytest.mark.needs("extensions")
@pytest.mark.parametrize("host", ["empty"], indirect=True)
@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(FOLDER)).removesuffix(".test.sql"))
def test_pgtap(pushed: Pushed, psql: Path, file: Path) -> None:
    assert tap.failures(psql, pushed.database.url, file) == []


def test_there_are_pgtap_files_and_nothing_else() -> None:
    assert FILES
    assert [path for path in FOLDER.glob("**/*.sql") if path not in FILES] == []


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("1..2\nok 1 - a\nok 2 - b\n", []),
        ("1..2\nok 1 - a\nnot ok 2 - b\n# Failed test 2\n", ["not ok 2 - b"]),
        ("1..2\nok 1 - a\n", ["planned 2 tests, ran 1"]),
        ("1..1\nok 1 - a # SKIP not here\n", ["ok 1 - a # SKIP not here"]),
        ("ok 1 - a\n", ["no plan"]),
        ("1..0\n", ["planned 0 tests, ran 0"]),
    ],
)
def test_a_failing_file_is_seen(said: str, expected: list[str]) -> None:
    assert tap.read(said) == expected
    assert tap.read(said, "psql: ERROR: boom") != []
