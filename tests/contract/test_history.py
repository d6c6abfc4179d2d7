"""`supabase db push` and `sonas migrate` keep one history: what either applied, the other takes as done."""

from __future__ import annotations

from pathlib import Path

from sonas_supabase import local, migrations
from tests.contract.catalog import fingerprint
from tests.contract.conftest import project_on
from tests.support.server import Server


def test_what_we_applied_the_cli_takes_as_done(versioned_server: Server, cli_binary: Path, tmp_path: Path) -> None:
    with project_on(versioned_server, cli_binary, tmp_path) as project:
        local.migrate(project.database.url)
        before = fingerprint(project.database)
        said = project.cli.push().succeeded()
        assert "Applying migration" not in said.out
        assert fingerprint(project.database) == before
        assert [ours == theirs for ours, theirs in project.cli.history()] == [True] * len(migrations.migrations())


def test_both_make_the_same_schema(versioned_server: Server, cli_binary: Path, tmp_path: Path) -> None:
    with project_on(versioned_server, cli_binary, tmp_path) as project:
        project.cli.push().succeeded()
        pushed = fingerprint(project.database)
    with project_on(versioned_server, cli_binary, tmp_path) as project:
        local.migrate(project.database.url)
        assert fingerprint(project.database) == pushed
