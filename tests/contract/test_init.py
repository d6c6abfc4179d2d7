"""`sonas init` puts our migration behind what a project has: `supabase db push` and `supabase db reset` both work."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from sonas_cli import app
from sonas_supabase import migrations
from tests.contract.cli import SupabaseCli
from tests.support.database import Database, copied_database
from tests.support.server import Server

[OURS] = migrations.migrations()[-1:]
OLDER = "20200101000000"
YOUNGER = "20991231235959"

# A usage table of the project's own: applied after ours, it would fail, since ours would be there.
THEIRS = """
create table public.usage (id bigint generated always as identity primary key, user_id uuid, feature text);
alter table public.usage enable row level security;
"""


def sonas(*words: object, exit_code: int = 0) -> Any:
    result = CliRunner().invoke(app, [*map(str, words), "--json"])
    assert result.exit_code == exit_code, result.output
    return json.loads(result.stdout)


@contextmanager
def their_project(
    server: Server, cli_binary: Path, folder: Path, *, stamp: str
) -> Iterator[tuple[Database, SupabaseCli, Path]]:
    """A project with one migration of its own, applied."""
    with copied_database(server, template="exposed") as database:
        cli = SupabaseCli.make(cli_binary, folder / database.name, database.url)
        supabase = cli.folder / "supabase"
        for file in (supabase / "migrations").iterdir():
            file.unlink()
        (supabase / "seed.sql").write_text("")
        (supabase / "migrations" / f"{stamp}_usage.sql").write_text(THEIRS)
        cli.push().succeeded()
        yield database, cli, supabase


def names(supabase: Path) -> list[str]:
    return sorted(path.name for path in (supabase / "migrations").iterdir())


@pytest.mark.parametrize("stamp", [OLDER, YOUNGER])
def test_push_and_reset_work_however_young_the_projects_own_migrations_are(
    versioned_server: Server, cli_binary: Path, tmp_path: Path, stamp: str
) -> None:
    with their_project(versioned_server, cli_binary, tmp_path, stamp=stamp) as (database, cli, supabase):
        told = sonas("init", supabase)
        assert names(supabase) == [f"{stamp}_usage.sql", *told["copied"]]

        said = cli.push().succeeded()
        assert said.out.count("Applying migration") == 1
        assert_up_to_date(database, supabase)
        cli.run("db", "reset").succeeded()
        assert_up_to_date(database, supabase)
        assert cli.push().succeeded().out.count("Applying migration") == 0
        assert sonas("init", supabase)["copied"] == []


def assert_up_to_date(database: Database, supabase: Path) -> None:
    assert migrations.state(database.connection) == migrations.State()
    assert sonas("migrate", "--db-url", database.url, "--folder", supabase)["applied"] == []
    told = sonas("status", "--db-url", database.url)
    assert (told["success"], told["pending_migrations"]) == (True, [])
    found = {finding["code"] for finding in sonas("doctor", "--db-url", database.url)["findings"]}
    assert found.isdisjoint({"migrations_pending", "library_is_older", "other_text", "history_is_lost"})


def test_sonas_migrate_records_the_stamp_of_the_copy(
    versioned_server: Server, cli_binary: Path, tmp_path: Path
) -> None:
    with their_project(versioned_server, cli_binary, tmp_path, stamp=YOUNGER) as (database, cli, supabase):
        [copy] = sonas("init", supabase)["copied"]
        done = sonas("migrate", "--db-url", database.url, "--folder", supabase)
        assert [f"{name}.sql" for name in done["applied"]] == [copy]
        assert cli.push().succeeded().out.count("Applying migration") == 0
        assert all(local == remote for local, remote in cli.history())


def test_one_changed_character_is_another_text(versioned_server: Server, cli_binary: Path, tmp_path: Path) -> None:
    """In the folder it stops `init`; in the database it stops `migrate`, `status` and `doctor`."""
    with their_project(versioned_server, cli_binary, tmp_path, stamp=YOUNGER) as (database, cli, supabase):
        [copy] = sonas("init", supabase)["copied"]
        file = supabase / "migrations" / copy
        text = file.read_text()
        at = text.index("least(", len(text) // 2)
        file.write_text(text[:at] + " " + text[at:])
        assert copy in sonas("init", supabase, exit_code=2)["message"]
        cli.push().succeeded()

        line = text.count("\n", 0, at) + 1
        version = copy.partition("_")[0]
        for command in (("migrate",), ("migrate", "--dry-run"), ("migrate", "--record")):
            refused = sonas(*command, "--db-url", database.url, exit_code=5)
            assert refused["code"] == "other_text"
            [other] = refused["details"]["other_text"]
            assert (other["version"], other["name"], other["line"]) == (version, OURS.name, line)
            assert "supabase db reset" in refused["hint"]
        told = sonas("status", "--db-url", database.url, exit_code=5)
        assert (told["success"], told["code"], len(told["migrations"]["other_text"])) == (False, "other_text", 1)
        found = sonas("doctor", "--db-url", database.url, exit_code=5)["findings"]
        [finding] = [finding for finding in found if finding["code"] == "other_text"]
        assert finding["severity"] == "critical"
        assert "supabase db reset" in finding["how_to_mend"]
