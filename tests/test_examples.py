"""The examples run by themselves, and do what they say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from uuid import UUID

from tests.support.database import Database

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def run(name: str, database: Database, user: UUID) -> list[str]:
    done = subprocess.run(
        [sys.executable, EXAMPLES / f"{name}.py", str(user)],
        env={**os.environ, "DATABASE_URL": database.url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_job_that_is_run_again_charges_each_row_once(database: Database, user: UUID) -> None:
    assert run("batch_job", database, user)[-1] == "row-3: THIRD TEXT, 97 left"
    assert run("batch_job", database, user)[-1] == "row-3: THIRD TEXT, 97 left (charged before)"


def test_a_spend_rolls_back_with_the_work(database: Database, user: UUID) -> None:
    assert run("own_transaction", database, user) == [
        "rolled back: the audit failed after it was charged",
        "orders: 1, integration credits left: 98",
    ]


def test_a_stream_is_charged_by_what_it_produced(database: Database, user: UUID) -> None:
    assert run("streaming", database, user)[-1] == "4 words, 2 credits, 3 went back"
    database.verify(user)
    assert database.balance(user)["remaining"] == 8


def test_a_job_is_charged_by_who_works_on_it(database: Database, user: UUID) -> None:
    assert run("background_job", database, user) == [
        "job-0: ONE",
        "job-1: there is nothing to translate, nothing charged",
        "job-2: THREE",
        "8 left",
    ]
    database.verify(user)


def test_every_example_is_listed_and_tested() -> None:
    names = {path.stem for path in EXAMPLES.glob("*.py")}
    listed = (EXAMPLES / "README.md").read_text()
    tested = Path(__file__).read_text()
    for name in names:
        assert f"[{name}.py]({name}.py)" in listed
        assert f'run("{name}"' in tested
