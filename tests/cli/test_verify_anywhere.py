"""`sonas verify` where things are unusual: a restored backup, a standby, half of the migrations, no rights, Ctrl-C."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from typer.testing import CliRunner

from sonas_cli import app
from sonas_cli._digest import save
from sonas_supabase import CreditsClient, local
from tests.support import rich_history
from tests.support.clients import until_blocked
from tests.support.database import Database

READ_ONLY = "?options=-c%20default_transaction_read_only%3Don"


def verify(url: str, *words: object, exit_code: int = 0) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["verify", *map(str, words), "--json", "--db-url", url])
    assert result.exit_code == exit_code, result.output
    return dict(json.loads(result.stdout))


@pytest.fixture
def restored(own_database: Database, tmp_path: Path) -> Iterator[str]:
    """Another database, made from a dump of the first; by its URL as the superuser."""
    binaries = local.Cluster(tmp_path / "none", port=local.free_port()).binaries
    rich_history.make(own_database)
    verify(own_database.url, "--save-digest", tmp_path / "digest")
    url, name = own_database.superuser_url, f"restored_{uuid4().hex[:8]}"
    subprocess.run([binaries / "pg_dump", f"--file={tmp_path / 'dump'}", "--dbname", url], check=True)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {} owner postgres").format(sql.Identifier(name)))
        target = own_database.server.superuser_url(name)
        try:
            done: list[str | Path] = [binaries / "psql", "-q", "-o", os.devnull, "-v", "ON_ERROR_STOP=1", "-d", target]
            subprocess.run([*done, "-f", tmp_path / "dump"], check=True)
            yield target
        finally:
            connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


def test_a_restored_backup_is_proved_to_be_whole(own_database: Database, restored: str, tmp_path: Path) -> None:
    digest = tmp_path / "digest"
    whole = verify(restored, "--digest", digest)
    assert whole["success"]
    assert whole["books"][-1]["checked"] == own_database.value("select count(*) from public.credit_transactions")
    # What came after the backup was taken is not in it, and the digest of a later day says so.
    user = own_database.new_user()
    own_database.call("consume_credits", user, "message", 1)
    verify(own_database.url, "--save-digest", tmp_path / "later")
    lost = verify(restored, "--digest", tmp_path / "later", exit_code=5)
    assert [check["name"] for check in lost["books"] if not check["ok"]] == ["the history is what later says"]
    assert {(v["account_id"], v["credit_type"]) for v in lost["books"][-1]["violations"]} == {
        (str(user), credit_type) for credit_type in ("integration", "message", "project")
    }


def test_where_one_may_only_read_the_books_are_checked_and_nothing_is_tried(own_database: Database) -> None:
    own_database.new_user()
    told = verify(own_database.url + READ_ONLY)
    assert told["success"]
    assert all(check["ok"] for check in told["books"])
    assert {(line["ok"], line["seen"]) for line in told["checklist"]} == {
        (None, "not tried, this session may only read")
    }


def test_somebody_unknown_is_not_said_to_be_in_order(own_database: Database) -> None:
    assert verify(own_database.url, uuid4(), exit_code=1)["code"] == "account_not_found"
    user = uuid4()
    with psycopg.connect(own_database.superuser_url) as connection:
        connection.execute("set local session_replication_role = replica")
        connection.execute("insert into auth.users (id) values (%s)", [user])
    # The first call will open the account, and there is nothing to be wrong until then.
    assert verify(own_database.url, user)["success"]


@pytest.mark.parametrize(
    "missing", ["table credits.forgotten_accounts", "table credits.subscription_events", "function public.verify_books"]
)
def test_half_of_the_migrations_is_a_sentence(own_database: Database, missing: str) -> None:
    own_database.run(f"drop {missing} cascade")
    told = verify(own_database.url, exit_code=2)
    assert told["code"] == "not_installed"
    assert told["hint"] == "Apply the migrations: sonas migrate, or supabase db push."


def test_without_the_rights_it_says_which_are_wanted(own_database: Database) -> None:
    name = f"clerk_{uuid4().hex[:8]}"
    own_database.run(f"create role {name} login password '{local.PASSWORD}'")
    try:
        told = verify(own_database.server.url(own_database.name, user=name), exit_code=1)
        assert told["code"] == "access_denied"
        assert told["hint"] == "Use the project's secret key, or a role that may call it."
    finally:
        own_database.run(f"drop role {name}")


def test_interrupted_it_ends_at_once(own_database: Database) -> None:
    command = [sys.executable, "-m", "sonas_cli", "verify", "--db-url", own_database.url]
    with own_database.connect(autocommit=False) as blocker:
        blocker.execute("lock table public.credit_transactions in access exclusive mode")
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        with process:
            asyncio.run(until_blocked(own_database))
            process.send_signal(signal.SIGINT)
            shown, said = process.communicate(timeout=60)
            assert own_database.value("select count(*) from pg_stat_activity where wait_event_type = 'Lock'") == 0
    assert (process.returncode, shown) == (130, "")
    assert "Interrupted. Nothing is half done" in said


def test_interrupted_while_it_writes_it_leaves_no_file(own_database: Database, tmp_path: Path) -> None:
    own_database.new_user()

    def interrupt(rows: int) -> None:
        assert list(tmp_path.iterdir()) == [tmp_path / "digest.part"]
        raise KeyboardInterrupt

    with CreditsClient.from_connection(own_database.connection) as client, pytest.raises(KeyboardInterrupt):
        save(client, tmp_path / "digest", {}, interrupt)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("columns", ["80", "40"])
def test_it_fits_a_terminal(own_database: Database, columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("FORCE_COLOR", "1")
    result = CliRunner().invoke(app, ["verify", "--db-url", own_database.url], color=True)
    assert result.exit_code == 0
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", result.stdout)
    assert max(map(len, plain.splitlines())) <= int(columns)
