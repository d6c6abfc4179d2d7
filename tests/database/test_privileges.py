"""Nobody but the service role moves credits, and it only does so through functions."""

from __future__ import annotations

import psycopg
import pytest

from sonas_supabase import local
from tests.support.database import TEMPLATE, Database, copied_database
from tests.support.edge import EDGE
from tests.support.errors import raises
from tests.support.people import ACCOUNT_TABLES, CORE_TABLES, acting_as
from tests.support.privileges import differences, privileges
from tests.support.server import Server

TABLES = (*ACCOUNT_TABLES, *CORE_TABLES, "public.plans", "public.plan_limits")
WRITES = {
    "insert": "insert into {table} default values",
    "update": "update {table} set {column} = {column}",
    "delete": "delete from {table}",
    "truncate": "truncate {table}",
}


def test_every_object_grants_exactly_what_the_expected_table_says(database: Database) -> None:
    found = differences(privileges(database))
    assert not found, f"make it anew with `python -m tests.support.privileges --write`:\n{found}"


@pytest.mark.parametrize("world", ["nothing is exposed by default", "everything is exposed by default"])
def test_both_worlds_of_default_privileges_end_in_the_same_table(server: Server, world: str) -> None:
    """New Supabase projects expose no new tables, old ones expose them all."""
    verb, to = ("revoke", "from") if world.startswith("nothing") else ("grant", "to")
    with copied_database(server, template="template0") as bare:
        local.shape(bare.superuser_url)
        for kind in ("tables", "functions", "sequences"):
            bare.run(
                f"alter default privileges for role postgres in schema public {verb} all on {kind} {to} "
                "public, anon, authenticated, service_role"
            )
        local.migrate(bare.url)
        assert differences(privileges(bare)) == ""


@pytest.mark.parametrize("role", ["anon", "authenticated", "service_role"])
@pytest.mark.parametrize("table", TABLES)
def test_no_api_role_can_write_any_table(database: Database, role: str, table: str) -> None:
    user = database.new_user()
    column = database.value(
        "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 and attgenerated = '' "
        "order by attnum limit 1",
        table,
    )
    # A view over a function takes no rows from anybody, which Postgres says before it looks at privileges.
    refused: tuple[type[psycopg.Error], ...] = (psycopg.errors.InsufficientPrivilege,)
    if table in ("public.credit_balances", "public.subscriptions"):
        refused += (psycopg.errors.ObjectNotInPrerequisiteState, psycopg.errors.WrongObjectType)
    for statement in WRITES.values():
        with acting_as(database, role, user) as connection, pytest.raises(refused):
            connection.execute(statement.format(table=table, column=column).encode())


@pytest.mark.parametrize("role", ["anon", "authenticated", "service_role"])
@pytest.mark.parametrize("table", CORE_TABLES)
def test_no_api_role_can_name_a_table_of_the_core(database: Database, role: str, table: str) -> None:
    with (
        acting_as(database, role, database.new_user()) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege, match="schema credits"),
    ):
        connection.execute(f"select count(*) from {table}".encode())


@pytest.mark.parametrize("role", ["anon", "authenticated"])
def test_only_the_service_role_may_call_what_moves_credits(database: Database, role: str) -> None:
    user = database.new_user()
    readers = {name for name, function in EDGE.items() if role in function.callers}
    functions = database.query(
        "select p.proname, p.pronargs, p.pronargdefaults from pg_proc p where p.pronamespace = 'public'::regnamespace"
    )
    assert {name for name, _, _ in functions} == EDGE.keys()
    for name, arguments, defaults in functions:
        if name in readers:
            continue
        call = f"select public.{name}({', '.join(['null'] * (arguments - defaults))})"
        with (
            acting_as(database, role, user) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied for function"),
        ):
            connection.execute(call.encode())


def test_no_api_role_can_call_a_function_of_the_core(database: Database) -> None:
    # A policy names readable_ids and the view names balance_at, so these are granted, and still out of reach.
    for role in ("anon", "authenticated", "service_role"):
        for call in (
            "select credits.readable_ids()",
            "select credits.read_summary(gen_random_uuid(), null)",
            "select credits.open_account(gen_random_uuid(), 'person')",
        ):
            with (
                acting_as(database, role, database.new_user()) as connection,
                pytest.raises(psycopg.errors.InsufficientPrivilege, match="schema credits"),
            ):
                connection.execute(call.encode())


@pytest.mark.parametrize(
    "statement",
    [
        "update public.credit_transactions set amount = 1",
        "update public.credit_transactions set description = 'corrected'",
        "delete from public.credit_transactions",
        "truncate public.credit_transactions",
        "insert into public.credit_transactions select * from public.credit_transactions t "
        "on conflict (account_id, credit_type, version) do update set amount = 1",
        "merge into public.credit_transactions t using (values (1)) v on true when matched then delete",
    ],
)
@pytest.mark.parametrize("who", ["postgres", "supabase_admin"])
def test_the_ledger_is_append_only_even_for_its_owner(database: Database, statement: str, who: str) -> None:
    user = database.new_user()
    before = database.query("select to_jsonb(t) from public.credit_transactions t where account_id = %s", user)
    assert before
    with raises("ledger_is_append_only", "PT405"), psycopg.connect(database.server.url(database.name, user=who)) as own:
        own.execute(statement.encode())
    assert database.query("select to_jsonb(t) from public.credit_transactions t where account_id = %s", user) == before


def test_without_its_trigger_the_ledger_could_be_changed(own_database: Database) -> None:
    """The guard removed: this is what the test above would then see, and what verify_books reports."""
    user = own_database.new_user()
    own_database.run("drop trigger credit_transactions_are_append_only on public.credit_transactions")
    own_database.run("update public.credit_transactions set description = 'corrected' where account_id = %s", user)
    report = own_database.call("verify_books")
    [guards] = [check for check in report["checks"] if check["rule"] == 8]
    assert guards["ok"] is False
    assert "credit_transactions_are_append_only" in str(guards["violations"])


def test_without_its_revoke_a_function_is_missed_by_the_expected_table(own_database: Database) -> None:
    own_database.run("grant execute on function public.grant_credits to authenticated")
    assert "authenticated: execute" in differences(privileges(own_database))


def test_the_template_is_what_the_migrations_made(server: Server) -> None:
    with copied_database(server, template=TEMPLATE) as copy:
        assert copy.value("select count(*) from supabase_migrations.schema_migrations") == 1
