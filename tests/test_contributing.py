"""CONTRIBUTING.md's walks, followed on a copy of the tree: so many files by hand, and the rest is generated."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from fastapi import FastAPI

from sonas_supabase import local
from tests.support.database import Database, copied_database
from tests.support.server import Server

ROOT = Path(__file__).resolve().parents[1]
STEP = re.compile(r"^<!-- walk: (?P<where>.+?) -->\n```\w+\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)

WALKS = {step["where"]: step["text"] for step in STEP.finditer((ROOT / "CONTRIBUTING.md").read_text("utf-8"))}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources."""
    copy = tmp_path_factory.mktemp("tree")
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0"):
        if name and (ROOT / name).exists():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
    return copy


def follow(tree: Path, where: str) -> None:
    """Write a file of the walk, or its lines into one that is there."""
    name, _, place = where.partition(", ")
    file, text = tree / name, WALKS[where]
    if not place:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
        return
    lines = file.read_text("utf-8").splitlines(keepends=True)
    if place == "at the end":
        lines.append(text)
    else:
        kind, _, words = place.partition(": ")
        [at] = [nth for nth, line in enumerate(lines) if words in line][:1]
        lines.insert(at if kind == "before" else at + 1, text)
    file.write_text("".join(lines), "utf-8")


def generate(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "scripts/generate_edge.py", *arguments],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_build_asks_for_what_is_missing_and_then_makes_the_rest(tree: Path, server: Server) -> None:
    function = [
        where for where in WALKS if "count_entries" in where or where.startswith("sonas_supabase/models/ledger")
    ]
    assert len(function) <= 4
    follow(tree, "supabase/schemas/ledger/count_entries.sql")
    refused = generate(tree)
    assert refused.returncode == 1
    assert "supabase/tests/count_entries/<what_it_does>.test.sql" in refused.stderr
    assert "Write the class EntryCount in sonas_supabase/models/ledger.py" in refused.stderr
    # A cause, a line; and where to read on.
    assert len(refused.stderr.splitlines()) == 3
    for where in function[1:]:
        follow(tree, where)
    rule = [where for where in WALKS if where.startswith(("supabase/schemas/certainty/", "tests/certainty/"))]
    assert len(rule) == 3
    for where in rule:
        follow(tree, where)
    metric = [where for where in WALKS if "metrics" in where]
    assert len(metric) == 4
    for where in metric:
        follow(tree, where)
    source = tree / "supabase/schemas/ledger/count_entries.sql"
    text = source.read_text("utf-8")
    source.write_text(text.replace("credits.respond(jsonb_build_object(", "(jsonb_build_object("), "utf-8")
    assert "count_entries succeeds without clearing the 402 of a denial" in generate(tree).stderr
    source.write_text(text, "utf-8")
    made = generate(tree)
    assert made.returncode == 0, made.stderr
    assert generate(tree, "--check").returncode == 0
    for generated in ("sonas_supabase/calls/ledger.py", "sonas_supabase/_async/ledger.py", "docs/python.md",
                      "supabase/schemas/installation/public_objects.sql", "tests/support/edge.json"):  # fmt: skip
        assert "count_entries" in (tree / generated).read_text("utf-8"), generated
    assert "metrics_refunds" in (tree / "sonas_supabase" / "calls" / "metrics.py").read_text("utf-8")
    _use(tree, server)


def _use(tree: Path, server: Server) -> None:
    """The new function, the new metric and the new rule, in a database of the copy's migration."""
    [migration] = (tree / "supabase" / "migrations").glob("*_sonas_credits_*.sql")
    with copied_database(server, template="template0") as database:
        local.shape(database.superuser_url)
        with psycopg.connect(database.url) as connection:
            connection.execute(migration.read_bytes())
        user = database.new_user()
        before = database.call("count_entries", user)["entries"]
        database.call("consume_credits", user, "message")
        assert database.call("count_entries", user)["entries"] == before + 1
        rows = database.call("metrics_refunds")["rows"]
        assert {"credit_type": "message", "spent": 1, "refunded": 0} in rows
        checks = database.call("verify_books", user)["checks"]
        assert [check["ok"] for check in checks if check["name"] == "no description is too long"] == [True]


def test_a_route_that_costs_is_one_declaration() -> None:
    names: dict[str, object] = {}
    exec(compile(WALKS["a route"], "CONTRIBUTING.md", "exec", dont_inherit=True), names)
    app = names["app"]
    assert isinstance(app, FastAPI)
    assert "/translate" in app.openapi()["paths"]


def test_a_credit_type_is_rows(own_database: Database) -> None:
    user = own_database.new_user()
    own_database.run(WALKS["a credit type"])
    assert own_database.call("consume_credits", user, "image", 2)["remaining"] == 3
    assert own_database.balance(user, "image")["allowance"] == 5
    own_database.verify(user)


def test_every_walk_is_followed() -> None:
    assert len(WALKS) == 12
