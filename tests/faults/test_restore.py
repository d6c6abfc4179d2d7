"""A dump taken under load, restored elsewhere: the books balance, and life goes on from there."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg

from sonas_supabase import local
from tests.faults.checker import Snapshot, check
from tests.faults.load import Load
from tests.support.database import call


def test_a_dump_taken_under_load_restores_to_books_that_balance(
    new_victim: Callable[..., Any], record: Callable[..., None], seed: int, tmp_path: Path
) -> None:
    with new_victim() as victim:
        accounts = victim.accounts(12)
        binaries = victim.cluster.binaries
        dump = tmp_path / "dump"
        with Load(victim.connect, accounts, seed=seed, clients=4) as load:
            load.wait_for(200)
            subprocess.run(
                [binaries / "pg_dump", "--format=custom", f"--file={dump}", "--dbname", victim.url_of_superuser],
                check=True,
            )
            load.wait_for(50)
        assert check(load.journal, victim.url) == []

        name = f"restored_{uuid4().hex[:8]}"
        with psycopg.connect(victim.url_of_superuser, autocommit=True) as connection:
            connection.execute(f"create database {name} owner postgres".encode())
        restored = victim.cluster.url(name)
        subprocess.run(
            [
                binaries / "pg_restore",
                "--exit-on-error",
                "--dbname",
                victim.cluster.url(name, user=local.SUPERUSER),
                dump,
            ],
            check=True,
        )
        snapshot = Snapshot.read(restored)
        assert snapshot.books["success"] is True
        assert 0 < len(snapshot.ledger) < len(Snapshot.read(victim.url).ledger)
        with psycopg.connect(restored, autocommit=True) as connection:
            assert call(connection, "grant_credits", accounts[0], "message", 5)["success"] is True
            assert call(connection, "consume_credits", accounts[0], "message", 5)["success"] is True
            assert call(connection, "verify_books")["success"] is True
        record("dump under load, restored elsewhere", f"{len(snapshot.ledger)} ledger rows", load.journal)
