"""The commands of docs/moving.md, in their order, on a project of one's own."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sonas_cli import app
from sonas_supabase import local
from tests.support.database import Database, copied_database
from tests.support.server import Server

PAGE = Path(__file__).resolve().parents[2] / "docs" / "moving.md"

PROJECT = """
create table public.profiles (id uuid primary key references auth.users (id), credits integer not null);
create table public.lots (email text not null, left_over text, ends date, how text);
alter table public.profiles enable row level security;
alter table public.lots enable row level security;
"""


@pytest.fixture
def project(server: Server) -> Iterator[Database]:
    with copied_database(server, template="template0") as bare:
        local.shape(bare.superuser_url)
        bare.run(PROJECT)
        yield bare


def test_the_commands_of_the_page(project: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", project.url)
    (tmp_path / "supabase" / "migrations").mkdir(parents=True)
    ann, bob = project.new_user(email="ann@example.com"), project.new_user(email="bob@example.com")
    project.run("insert into public.profiles values (%s, 48000), (%s, 210)", ann, bob)
    project.run("insert into public.lots values ('Ann@example.com', '12.7', '2099-01-01', 'promotion')")
    money = {"monetary": {"currency": "usd", "value": 50}}
    grant = {"object": "billing.credit_grant", "amount": money, "customer": "cus_1", "category": "paid"}
    (tmp_path / "grants.json").write_text(json.dumps([grant]))
    (tmp_path / "customers.csv").write_text(f"cus_1,{bob}\n")
    (tmp_path / "autumn.json").write_text(
        json.dumps([{"id": str(bob), "balances": {"messages": {"balance": 7, "interval": "one_off"}}}])
    )
    for command in re.findall(r"^\$ sonas (.*)$", PAGE.read_text(), re.MULTILINE):
        if command.startswith("uninstall --dry-run"):
            assert project.balance(ann)["remaining"] == 10 + 48000, "and the lot was taken back"
            assert project.balance(bob)["remaining"] == 10 + 210 + 5 + 7
            project.verify()
        done = CliRunner().invoke(app, shlex.split(command))
        assert done.exit_code == 0, f"sonas {command}\n{done.output}"
    assert project.value("select to_regnamespace('credits')") is None
    assert (tmp_path / "export" / "balances.csv").exists()
