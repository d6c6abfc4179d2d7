"""What is generated is up to date."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.database import Database
from tests.support.loading import load

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    return load(ROOT / "scripts" / "generate_docs.py")


def test_the_sql_reference_says_what_the_catalog_says(generator: ModuleType, database: Database) -> None:
    assert (ROOT / "docs" / "sql.md").read_text() == generator.render_sql(database.connection)


def test_the_command_reference_says_what_help_says(generator: ModuleType) -> None:
    assert (ROOT / "docs" / "cli.md").read_text() == generator.render_cli()


def test_every_function_table_and_command_says_what_it_is_for() -> None:
    for name in ("sql.md", "cli.md"):
        sections = (ROOT / "docs" / name).read_text().split("\n### ")[1:]
        assert sections
        for section in sections:
            heading, _, body = section.partition("\n\n")
            assert body.strip(), f"{name}: {heading} says nothing"
            assert not body.startswith("|"), f"{name}: {heading} says nothing"


def test_what_is_made_from_the_edge_is_up_to_date() -> None:
    subprocess.run([sys.executable, ROOT / "scripts" / "generate_edge.py", "--check"], check=True, cwd=ROOT)


def test_the_migration_is_what_the_sources_say() -> None:
    build = load(ROOT / "scripts" / "build_migration.py")
    assert build.changed_releases() == []
    if build.target().name not in build.frozen() and (text := build.build()) is not None:
        assert build.target().read_text() == text
