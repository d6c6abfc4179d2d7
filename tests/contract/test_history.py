"""`supabase db push` and `sonas migrate` keep one history: what either applied, the other takes as done."""

from __future__ import annotations

from pathlib import Path

import psycopg

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


def test_either_goes_on_where_the_other_stopped(versioned_server: Server, cli_binary: Path, tmp_path: Path) -> None:
    ours = migrations.migrations()
    with project_on(versioned_server, cli_binary, tmp_path) as project:
        for migration in ours[20:]:
            (project.cli.folder / "supabase" / "migrations" / migration.path.name).unlink()
        project.cli.push().succeeded()
        with psycopg.connect(project.database.url, autocommit=True) as connection:
            assert [done.version for done in migrations.apply(connection)] == [late.version for late in ours[20:]]
        project.database.verify()


def test_both_make_the_same_schema(versioned_server: Server, cli_binary: Path, tmp_path: Path) -> None:
    with project_on(versioned_server, cli_binary, tmp_path) as project:
        project.cli.push().succeeded()
        pushed = fingerprint(project.database)
    with project_on(versioned_server, cli_binary, tmp_path) as project:
        local.migrate(project.database.url)
        assert fingerprint(project.database) == pushed
