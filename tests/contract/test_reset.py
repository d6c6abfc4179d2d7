"""`supabase db reset`: back to the migrations and the seed, as often as one likes."""

from __future__ import annotations

from pathlib import Path

from sonas_supabase import local, migrations
from tests.contract.catalog import fingerprint
from tests.contract.conftest import project_on
from tests.support.database import Database, copied_database
from tests.support.server import Server

FREE = "00000000-0000-4000-8000-000000000001"
PRO = "00000000-0000-4000-8000-000000000002"


def balances(database: Database, user: str) -> list[tuple[object, ...]]:
    return database.query(
        "select credit_type, allowance, remaining from credit_balances where user_id = %s order by credit_type", user
    )


def test_a_reset_brings_migrations_and_demo_data_back(
    versioned_server: Server, cli_binary: Path, tmp_path: Path
) -> None:
    with project_on(versioned_server, cli_binary, tmp_path) as project:
        project.cli.push().succeeded()
        database = project.database
        database.call("consume_credits", database.new_user(), "message", 3)
        project.cli.run("db", "reset").succeeded()
        assert database.value("select count(*) from public.credit_transactions where kind = 'consume'") == 0
        assert balances(database, FREE) == [("integration", 100, 100), ("message", 10, 10), ("project", 3, 3)]
        assert balances(database, PRO) == [
            ("integration", 20000, 20000),
            ("message", 500, 500),
            ("project", None, None),
        ]

        database.call("consume_credits", FREE, "message", 3)
        before = fingerprint(database)
        project.cli.run("db", "reset").succeeded()
        assert fingerprint(database) == before
        assert balances(database, FREE)[1] == ("message", 10, 10)
        database.verify()
        assert database.call("verify_checklist")["success"] is True


def test_the_seed_may_run_twice(versioned_server: Server) -> None:
    with copied_database(versioned_server, template="exposed") as database:
        local.migrate(database.url)
        seed = (migrations.sql_folder() / "seed.sql").read_text(encoding="utf-8")
        database.run(seed)
        before = fingerprint(database), balances(database, FREE), balances(database, PRO)
        database.run(seed)
        assert (fingerprint(database), balances(database, FREE), balances(database, PRO)) == before


def test_the_demo_table_is_its_owners_alone(versioned_server: Server) -> None:
    with copied_database(versioned_server, template="exposed") as database:
        local.migrate(database.url)
        database.run((migrations.sql_folder() / "seed.sql").read_text(encoding="utf-8"))
        database.run("insert into public.projects (owner_id, name) values (%s, 'pro')", PRO)
        with database.connect(autocommit=False, role="authenticated") as connection:
            connection.execute("select set_config('request.jwt.claims', %s, false)", [f'{{"sub": "{FREE}"}}'])
            left = "select remaining from credit_balances where credit_type = 'project'"
            connection.execute("insert into public.projects (name) values ('mine')")
            assert connection.execute("select name from public.projects").fetchall() == [("mine",)]
            assert connection.execute("update public.projects set name = 'new' returning name").fetchall() == [("new",)]
            assert connection.execute(left).fetchall() == [(2,)]
            assert connection.execute("delete from public.projects").rowcount == 1
            assert connection.execute(left).fetchall() == [(3,)]
            connection.rollback()
