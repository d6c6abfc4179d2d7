"""init, migrate and status: which migrations are there, under which stamp and with which text."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from typer.testing import CliRunner

from sonas_cli import app
from sonas_supabase import local, migrations
from tests.support.database import Database

OURS = migrations.migrations()
LAST = OURS[-1]
HISTORY = "supabase_migrations.schema_migrations"
NO_MARK = "comment on table credits.installed_objects is null"
OTHER_MARK = "comment on table credits.installed_objects is 'Release 0.1.0, text 0000000000000000.'"


def run(*words: object, exit_code: int = 0) -> Any:
    result = CliRunner().invoke(app, [*map(str, words), "--json"])
    assert result.exit_code == exit_code, result.output
    return json.loads(result.stdout)


@pytest.fixture
def empty_url(database: Database) -> Iterator[str]:
    """A Supabase database without our migrations."""
    name = f"empty_{uuid4().hex[:8]}"
    with psycopg.connect(database.server.superuser_url("postgres"), autocommit=True) as connection:
        connection.execute(f"create database {name}".encode())
        try:
            local.shape(database.server.superuser_url(name))
            yield database.server.url(name)
        finally:
            connection.execute(f"drop database {name} with (force)".encode())


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Path]:
    """Makes a supabase folder with migrations of these names."""

    def make(*names: str) -> Path:
        folder = tmp_path / "supabase"
        (folder / "migrations").mkdir(parents=True)
        for name in names:
            (folder / "migrations" / name).write_text("select 1;")
        return folder

    return make


def test_init_copies_the_migrations_and_leaves_others_alone(project: Callable[..., Path]) -> None:
    folder = project("20200101000000_mine.sql")
    told = run("init", folder)
    assert told["copied"] == [migration.path.name for migration in OURS]
    assert sorted(path.name for path in (folder / "migrations").iterdir()) == [
        "20200101000000_mine.sql",
        *told["copied"],
    ]
    assert run("init", folder)["copied"] == []
    assert "has them all already" in CliRunner().invoke(app, ["init", str(folder)]).stdout

    edited = folder / "migrations" / told["copied"][-1]
    edited.write_text("-- edited")
    refused = run("init", folder, exit_code=2)
    assert edited.name in refused["message"]
    assert edited.read_text() == "-- edited"


@pytest.mark.parametrize(
    ("newest", "stamp"),
    [
        ("20991231235959", "21000101000000"),
        ("20991332250000", "20991332250001"),
        ("9998", "9999"),
        (LAST.version, str(int(LAST.version) + 1)),
    ],
)
def test_init_goes_behind_a_younger_migration(project: Callable[..., Path], newest: str, stamp: str) -> None:
    folder = project("20200101000000_mine.sql", f"{newest}_mine.sql")
    told = run("init", folder)
    assert told["copied"][-1] == f"{stamp}_{LAST.name}.sql"
    assert told["migrations"][-1]["is_renamed"] is True
    assert max(path.name for path in (folder / "migrations").iterdir()) == told["copied"][-1]
    assert run("init", folder)["copied"] == []


def test_init_says_what_it_would_do_and_does_nothing(project: Callable[..., Path]) -> None:
    folder = project("20991231235959_mine.sql")
    told = run("init", folder, "--dry-run")
    assert (told["copied"], told["dry_run"]) == ([], True)
    assert [entry["is_new"] for entry in told["migrations"]] == [True] * len(OURS)
    assert [path.name for path in (folder / "migrations").iterdir()] == ["20991231235959_mine.sql"]


def test_init_stops_where_no_stamp_comes_after_the_newest(project: Callable[..., Path]) -> None:
    folder = project("9999_mine.sql")
    assert "9999" in run("init", folder, exit_code=2)["message"]
    assert [path.name for path in (folder / "migrations").iterdir()] == ["9999_mine.sql"]


def test_migrate_applies_once_and_says_what_is_pending(empty_url: str) -> None:
    name = f"{LAST.version}_{LAST.name}"
    assert run("migrate", "--dry-run", "--db-url", empty_url)["pending"][-1] == name
    assert run("migrate", "--db-url", empty_url)["applied"][-1] == name
    again = CliRunner().invoke(app, ["migrate", "--db-url", empty_url])
    assert (again.exit_code, again.stdout.strip()) == (0, "Up to date.")


@pytest.mark.parametrize(
    "change",
    [
        f"update {HISTORY} set statements = array[replace(statements[1], 'least(', 'greatest(')]",
        f"update {HISTORY} set statements = array[statements[1] || 'select 1']",
        f"update {HISTORY} set statements = null; {OTHER_MARK}",
        f"delete from {HISTORY}; {OTHER_MARK}",
        f"delete from {HISTORY}; {NO_MARK}",
        f"drop schema supabase_migrations cascade; {NO_MARK}",
    ],
)
def test_another_text_is_no_success_anywhere(own_database: Database, change: str) -> None:
    own_database.run(change)
    for command in (("migrate",), ("migrate", "--dry-run"), ("migrate", "--record"), ("status",), ("doctor",)):
        told = run(*command, "--db-url", own_database.url, exit_code=5)
        assert told["success"] is False
        codes = [finding["code"] for finding in told["findings"]] if "findings" in told else [told["code"]]
        assert "other_text" in codes
        assert codes.count("migrations_pending") == 0
    shown = CliRunner().invoke(app, ["status", "--db-url", own_database.url])
    assert shown.exit_code == 5
    assert "another text" in shown.stdout


@pytest.mark.parametrize(
    "change",
    [
        f"update {HISTORY} set statements = null",
        f"update {HISTORY} set name = null",
        f"alter table {HISTORY} drop column name, drop column statements",
        f"update {HISTORY} set version = '21000101000000'",
    ],
)
def test_what_was_recorded_by_other_means_is_up_to_date(own_database: Database, change: str) -> None:
    own_database.run(change)
    assert migrations.state(own_database.connection) == migrations.State()
    assert run("migrate", "--db-url", own_database.url)["applied"] == []


def test_a_restore_without_the_history_is_recorded_and_not_applied_again(own_database: Database) -> None:
    own_database.run("drop schema supabase_migrations cascade")
    refused = run("migrate", "--db-url", own_database.url, exit_code=5)
    assert (refused["code"], "sonas migrate --record" in refused["hint"]) == ("history_is_lost", True)
    assert run("status", "--db-url", own_database.url, exit_code=5)["code"] == "history_is_lost"
    found = run("doctor", "--db-url", own_database.url, exit_code=5)["findings"]
    assert [f["how_to_mend"] for f in found if f["code"] == "history_is_lost"] == ["sonas migrate --record"]

    told = run("migrate", "--record", "--db-url", own_database.url)
    assert told["recorded"] == [f"{migration.version}_{migration.name}" for migration in OURS]
    assert migrations.state(own_database.connection) == migrations.State()
    assert run("migrate", "--record", "--db-url", own_database.url)["recorded"] == []


def test_a_restore_of_single_schemas_is_recorded_too(own_database: Database, empty_url: str, tmp_path: Path) -> None:
    binaries, dump = local.embedded_binaries(), tmp_path / "dump"
    subprocess.run([binaries / "pg_dump", "-Fc", f"--file={dump}", "--dbname", own_database.superuser_url], check=True)
    with psycopg.connect(empty_url, autocommit=True) as connection:
        # A restore of single schemas does not make them.
        connection.execute("create schema credits")
        schemas = ("--schema=public", "--schema=credits")
        subprocess.run([binaries / "pg_restore", *schemas, "--dbname", empty_url, dump], check=False)
        assert migrations.state(connection).is_lost
        assert len(run("migrate", "--record", "--db-url", empty_url)["recorded"]) == len(OURS)
        assert migrations.state(connection) == migrations.State()


def test_nothing_is_recorded_where_nothing_was_applied(empty_url: str) -> None:
    assert run("migrate", "--record", "--db-url", empty_url)["recorded"] == []
    with psycopg.connect(empty_url) as connection:
        assert migrations.pending(connection) == OURS


def test_a_newer_release_in_the_database_is_told_and_left_alone(own_database: Database) -> None:
    own_database.run(f"insert into {HISTORY} (version, name) values ('21000101000000', 'sonas_credits_9.0.0')")
    assert run("migrate", "--db-url", own_database.url)["applied"] == []
    assert run("status", "--db-url", own_database.url)["migrations"]["newer"] == ["21000101000000_sonas_credits_9.0.0"]


def test_a_local_stack_of_another_text_does_not_start_as_if_nothing_were_wrong(own_database: Database) -> None:
    own_database.run(f"update {HISTORY} set statements = array['select 1']")
    with pytest.raises(local.LocalProblem, match="another text"):
        local.migrate(own_database.url)
