"""`sonas check` and `sonas doctor` on a project in which nothing is installed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from sonas_cli import app
from sonas_supabase import local, migrations
from sonas_supabase.doctor import in_the_way
from tests.support.database import Database, copied_database
from tests.support.server import Server


@pytest.fixture
def project(server: Server) -> Iterator[Database]:
    """A Supabase project without the credit system."""
    with copied_database(server, template="template0") as bare:
        local.shape(bare.superuser_url)
        yield bare


@pytest.fixture(scope="module")
def bare(server: Server) -> Iterator[Database]:
    """One for all tests that take back what they do."""
    with copied_database(server, template="template0") as made:
        local.shape(made.superuser_url)
        yield made


def sonas(database: Database, *words: str, exit_code: int) -> Any:
    result = CliRunner().invoke(app, [*words, "--db-url", database.url, "--json"])
    assert result.exit_code == exit_code, result.output
    return json.loads(result.stdout)


def test_an_empty_project_is_clean(project: Database) -> None:
    told = sonas(project, "check", exit_code=0)
    assert (told["success"], told["clashes"], told["findings"]) == (True, [], [])
    assert told["server_is_supported"] is True
    result = CliRunner().invoke(app, ["check", "--db-url", project.url])
    assert "Nothing is in the way." in result.output


HOST = """
create table public.plans (id bigint generated always as identity primary key, name text);
create function public.price_of(p_plan bigint) returns text language sql set search_path = '' as
  'select name from public.plans where id = p_plan';
create table public.wallets (user_id uuid primary key references auth.users (id), coins integer not null default 0);
alter table public.wallets enable row level security;
grant select, update on public.wallets to authenticated;
create policy "Own wallet" on public.wallets to authenticated using (user_id = auth.uid());
create table public.usage (id bigint generated always as identity primary key, feature text not null);
"""


def test_all_that_is_in_the_way_is_listed_with_its_cure_and_nothing_changes(project: Database) -> None:
    project.run(HOST)
    told = sonas(project, "check", exit_code=1)
    assert {clash["object"] for clash in told["clashes"]} == {"table public.plans", "column public.usage.feature"}
    [plans] = [clash for clash in told["clashes"] if clash["object"] == "table public.plans"]
    assert plans["named_by"] == ["price_of(bigint)"]
    assert {"users_write_balance"} <= {finding["code"] for finding in told["findings"]}
    assert told["importable"] == [{"table": "public.wallets", "user_column": "user_id", "column": "coins"}]
    assert project.value("select to_regclass('public.plans') is not null and to_regnamespace('credits') is null")
    columns = "select count(*) from pg_attribute where attrelid = 'public.usage'::regclass and attnum > 0"
    assert project.value(columns) == 2
    for clash in told["clashes"]:
        for statement in clash["cure"]:
            project.run(statement)
    project.run("revoke insert, update on public.wallets from authenticated")
    assert sonas(project, "check", exit_code=0)["clashes"] == []


SWALLOWS = """
create function public.swallow() returns trigger language plpgsql as 'begin return null; end';
create trigger swallow before insert on public.usage for each row execute function public.swallow();
"""
# What the cure has to look out for: each is installed once the statements have run as they are printed.
IN_THE_WAY = {
    "names of types are taken, too": """
        create table public.plans (id serial primary key); create table public.app_plans (id serial primary key);
        create type public.app2_plans as enum ('gold')""",
    "a usage table whose trigger takes rows away": f"create table public.usage (id bigserial primary key); {SWALLOWS}",
    "a usage table in parts, with none for today": """
        create table public.usage (id bigint, at date) partition by range (at);
        create index usage_at_idx on public.usage (at)""",
    "a usage table that knows accounts of its own": """
        create table public.organisations (id uuid primary key);
        create table public.usage (account_id uuid references public.organisations (id))""",
    "a usage table for those who have a profile": """
        insert into auth.users (id) values ('11111111-1111-4111-8111-111111111111');
        create table public.people (id uuid primary key);
        create table public.usage (user_id uuid references public.people (id), feature text)""",
}


@pytest.mark.parametrize("theirs", IN_THE_WAY.values(), ids=IN_THE_WAY)
def test_the_cure_works_as_it_is_printed(bare: Database, theirs: str) -> None:
    text = migrations.migrations()[0].sql
    with bare.connect(autocommit=False) as connection:
        connection.execute(theirs.encode())
        found = in_the_way(connection, text)
        assert found
        for statement in (statement for clash in found for statement in clash.cure):
            connection.execute(statement.encode())
        assert in_the_way(connection, text) == ()
        connection.rollback()


def test_a_trigger_that_shares_its_function_is_made_again_with_the_others(bare: Database) -> None:
    with bare.connect(autocommit=False) as connection:
        connection.execute(
            b"create function public.greet() returns trigger language plpgsql as 'begin return new; end'"
        )
        for name, event in (("credits_open_account", "insert"), ("credits_follow_user", "update"), ("mine", "delete")):
            made = f"create trigger {name} after {event} on auth.users for each row execute function public.greet()"
            connection.execute(made.encode())
        for clash in in_the_way(connection, migrations.migrations()[0].sql):
            for statement in clash.cure:
                connection.execute(statement.encode())
        names = "select tgname from pg_trigger where tgfoid = 'public.greet'::regproc order by 1"
        assert [row[0] for row in connection.execute(names.encode())] == [
            "app_credits_follow_user", "app_credits_open_account", "mine"
        ]  # fmt: skip
        connection.rollback()


def test_for_people_the_cure_can_be_copied(project: Database) -> None:
    project.run("create table public.plans (id bigint primary key)")
    result = CliRunner().invoke(app, ["check", "--db-url", project.url])
    assert result.exit_code == 1
    assert "alter table public.plans rename to app_plans;\n" in result.output


def test_where_it_is_installed_the_doctor_is_the_one_to_ask(database: Database) -> None:
    told = sonas(database, "check", exit_code=2)
    assert told["code"] == "cannot_check"


def test_the_doctor_runs_before_the_installation(project: Database) -> None:
    project.run(HOST)
    told = sonas(project, "doctor", exit_code=5)
    assert told["installed"] is False
    assert {"users_write_balance"} <= {finding["code"] for finding in told["findings"]}
    assert (told["functions"], told["tables"]) == (1, 3)


def test_what_is_proven_has_been_tried_and_taken_back(project: Database) -> None:
    project.run(HOST)
    project.run("insert into auth.users (id) values ('00000000-0000-4000-8000-000000000001')")
    project.run("insert into public.wallets (user_id, coins) values ('00000000-0000-4000-8000-000000000001', 3)")
    project.run("""
        create table public.asked (id bigserial primary key, user_id uuid, at timestamptz default now());
        alter table public.asked enable row level security;
        grant select, delete on public.asked to authenticated;
        create policy "Own questions" on public.asked for delete to authenticated using (user_id = auth.uid());
        create policy "See own" on public.asked for select to authenticated using (user_id = auth.uid());
        insert into public.asked (user_id) values ('00000000-0000-4000-8000-000000000001');
        create function public.ask() returns void language plpgsql security definer set search_path = '' as $$
        begin
          if (select count(*) from public.asked where user_id = auth.uid() and at > now() - interval '1 day') >= 9 then
            raise exception 'enough for today';
          end if;
          insert into public.asked (user_id) values (auth.uid());
        end $$
    """)
    told = sonas(project, "doctor", "--prove", "--yes", exit_code=5)
    [deleted] = [one["meaning"] for one in told["findings"] if one["code"] == "users_delete_usage"]
    assert "Tried: 1 rows as authenticated." in deleted
    assert project.value("select count(*) from public.asked") == 1
    found = next(one for one in told["findings"] if one["how_to_try"].count("update public.wallets"))
    assert "Tried: 1 rows as authenticated." in found["meaning"]
    assert project.value("select coins from public.wallets") == 3
    asked = CliRunner().invoke(app, ["doctor", "--prove", "--db-url", project.url], input="n\n")
    assert asked.exit_code == 1


def test_a_name_is_never_run_as_a_statement(project: Database) -> None:
    wicked = '"wallets; commit; create table public.made (n integer); --"'
    project.run(f"""
        create table public.{wicked} (user_id uuid primary key, credits integer);
        alter table public.{wicked} enable row level security;
        grant update on public.{wicked} to authenticated;
        create policy own on public.{wicked} for update to authenticated using (user_id = auth.uid())
    """)
    told = sonas(project, "doctor", "--prove", "--yes", exit_code=5)
    assert any("Tried: 0 rows as authenticated." in one["meaning"] for one in told["findings"])
    assert project.value("select to_regclass('public.made')") is None


def test_whether_credits_are_enough_is_another_command(database: Database) -> None:
    user = database.new_user()
    assert sonas(database, "check-credits", str(user), "message", "5", exit_code=0)["success"] is True
    assert sonas(database, "check-credits", str(user), "message", "50", exit_code=0)["success"] is False
