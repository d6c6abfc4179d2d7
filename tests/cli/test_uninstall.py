"""`sonas uninstall` writes everything out, drops what is ours, and leaves the project as it was."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from sonas_cli import app
from sonas_supabase import local, migrations
from tests.support.database import Database, copied_database
from tests.support.server import Server

CATALOG = """
select array(select n.nspname || '.' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname in ('public', 'auth') and c.relkind in ('r', 'v', 'S', 'i') order by 1),
  array(select p.oid::regprocedure::text from pg_proc p where p.pronamespace = 'public'::regnamespace order by 1),
  array(select t.tgrelid::regclass || ' ' || t.tgname from pg_trigger t where not t.tgisinternal order by 1),
  array(select a.attname::text from pg_attribute a
    where a.attrelid = to_regclass('public.usage') and a.attnum > 0 and not a.attisdropped order by a.attnum),
  array(select d.adrelid::regclass || ' ' || d.adnum || ' ' || pg_get_expr(d.adbin, d.adrelid)
    from pg_attrdef d order by 1),
  array(select y.polname::text from pg_policy y order by 1), to_regnamespace('credits')
"""

HOST = """
create table public.usage (id bigint generated always as identity primary key, feature text, user_id uuid);
insert into public.usage (feature, user_id) values ('before', gen_random_uuid());
create table public.notes (id uuid primary key default gen_random_uuid(), owner_id uuid, title text);
alter table public.notes enable row level security;
create policy "Own notes" on public.notes to authenticated using (owner_id = auth.uid());
create table public.documents (id bigint generated always as identity primary key, owner_id uuid);
"""


@pytest.fixture
def project(server: Server) -> Iterator[Database]:
    """A project with tables of its own, in which nothing is installed."""
    with copied_database(server, template="template0") as bare:
        local.shape(bare.superuser_url)
        yield bare


def sonas(database: Database, *words: str, exit_code: int = 0) -> Any:
    result = CliRunner().invoke(app, ["uninstall", *words, "--db-url", database.url, "--json"])
    assert result.exit_code == exit_code, result.output
    return json.loads(result.stdout)


def test_the_project_is_as_it_was_before(project: Database, tmp_path: Path) -> None:
    project.run(HOST)
    before = project.query(CATALOG)
    local.migrate(project.url)
    user = project.new_user()
    project.run("select credits.meter_table('public.documents', 'project', 'owner_id')")
    project.run("insert into public.documents (owner_id) values (%s)", user)
    project.call("consume_credits", user, "message", 2)
    project.call("grant_credits", user, "message", 50, "top_up")
    folder = tmp_path / "export"
    lost = sonas(project, "--dry-run", "--to", str(folder))["lost"]
    assert lost["credits"]["message from top_up"] == 50
    assert (lost["usage"], lost["metered"]) == ("host", ["public.documents"])
    assert set(lost["usage_columns"]) == {
        "account_id", "credit_type", "credits_used", "status", "description", "metadata", "operation_id", "created_at"
    }  # fmt: skip
    assert not folder.exists()
    assert project.balance(user)["used"] == 2, "a rehearsal has changed nothing"

    told = sonas(project, "--yes", "--to", str(folder))
    assert project.query(CATALOG) == before
    assert project.query("select feature from public.usage") == [("before",)]
    assert project.value("select count(*) from public.documents") == 1
    project.run("insert into public.documents (owner_id) values (%s)", user)
    assert project.new_user()
    history = "select count(*) from supabase_migrations.schema_migrations where name ~ '^sonas'"
    assert project.value(history) == 0
    with (folder / "public.credit_transactions.csv").open(newline="") as file:
        assert [row["amount"] for row in csv.DictReader(file) if row["kind"] == "consume"] == ["-1", "-2"]
    with (folder / "balances.csv").open(newline="") as file:
        [top_up] = [row for row in csv.DictReader(file) if row["source"] == "top_up"]
    assert (top_up["user_id"], top_up["credits"]) == (str(user), "50")
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["rows"] == told["written"]
    assert {path.stat().st_mode & 0o077 for path in (folder, *folder.iterdir())} == {0}
    # And what was written out moves in again.
    local.migrate(project.url)
    balances = [str(folder / "balances.csv"), "--source-column", "source", "--db-url", project.url, "--json"]
    (folder / "balances.csv").write_text(
        "".join(
            line for line in (folder / "balances.csv").read_text().splitlines(keepends=True) if ",plan," not in line
        )
    )
    imported = CliRunner().invoke(app, ["import", *balances])
    assert imported.exit_code == 0, imported.output
    assert json.loads(imported.stdout)["granted_total"] == 50


def test_a_usage_table_with_all_columns_keeps_them_and_no_index_or_default_of_ours(
    project: Database, tmp_path: Path
) -> None:
    project.run(
        "create table public.usage (account_id uuid, id uuid, user_id uuid, credit_type text, credits_used bigint, "
        "status text, description text, metadata jsonb, operation_id uuid, created_at timestamptz);"
        "create index usage_user_id_created_at_idx on public.usage (user_id, created_at);"
        "comment on column public.usage.created_at is 'when'"
    )
    before = project.query(CATALOG)
    local.migrate(project.url)
    project.call("consume_credits", project.new_user(), "message", 2)
    project.run("create index by_status on public.usage (status)")
    done = sonas(project, "--yes", "--to", str(tmp_path))["removed"]
    assert any("usage_account_id_created_at_idx, usage_denied_idx" in one for one in done)
    project.run("drop index public.by_status")
    [left] = project.query(CATALOG)
    # Whose comment stood on a column has the default to drop, too: it cannot be told from one of their own.
    assert [one for one in left[4] if one not in before[0][4]] == ["usage 10 now()"]
    assert (*left[:4], *left[5:]) == (*before[0][:4], *before[0][5:])
    assert project.value("select count(*) from public.usage") == 1


def test_a_table_of_ours_goes_whole(project: Database, tmp_path: Path) -> None:
    before = project.query(CATALOG)
    local.migrate(project.url)
    sonas(project, "--yes", "--to", str(tmp_path))
    assert project.query(CATALOG) == before
    assert migrations.state(project.connection).pending


THEIRS = [
    ("create policy paid on public.notes as restrictive to authenticated using ((select has_credits('message')))",
     "drop policy paid on public.notes", "policy paid on notes"),
    ("create view public.rich as select account_id from public.credit_balances where remaining > 5",
     "drop view public.rich", "view rich"),
    ("create table public.orders (id int primary key, plan_id text references public.plans (id))",
     "drop table public.orders", "constraint orders_plan_id_fkey on orders"),
    ("alter table public.notes add column account uuid default credits.reader_id()",
     "alter table public.notes drop column account", "default of notes.account"),
    ("create index mine on public.usage (status)", "drop index public.mine", "index mine on usage"),
]  # fmt: skip
"""What depends on the credit system, how it goes, and what it is called."""


def test_nothing_of_the_project_goes_with_it(project: Database, tmp_path: Path) -> None:
    project.run(HOST)
    local.migrate(project.url)
    user = project.new_user()
    for made, undone, named in THEIRS:
        project.run(made)
        # The first for good, the others as a rehearsal, which says the same.
        words = ("--dry-run",) if made != THEIRS[0][0] else ("--yes", "--to", str(tmp_path))
        told = sonas(project, *words, exit_code=2)
        assert told["code"] == "in_use"
        assert named in told["message"]
        project.run(undone)
    assert project.call("consume_credits", user, "message")["success"] is True


def test_what_would_fail_is_named(project: Database) -> None:
    local.migrate(project.url)
    project.run(
        "create function public.pay() returns void language plpgsql as "
        "$$ begin perform public.consume_credits(auth.uid(), 'message'); end $$"
    )
    assert sonas(project, "--dry-run")["lost"]["callers"] == ["pay()"]


def test_nobody_is_asked_where_nothing_is_installed(project: Database) -> None:
    assert sonas(project, "--yes", exit_code=2)["code"] == "not_installed"


def test_it_asks_first(database: Database) -> None:
    result = CliRunner().invoke(app, ["uninstall", "--db-url", database.url], input="n\n")
    assert result.exit_code != 0
    assert database.value("select to_regnamespace('credits') is not null")
