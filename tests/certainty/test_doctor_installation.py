"""`sonas doctor` finds whatever is no longer as the migrations made it, and how to mend it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from tests.support.database import Database, call, copied_database
from tests.support.server import Server

Diagnosis = Callable[[], list[dict[str, Any]]]

# code: what somebody did, the object that is found.
DAMAGE = {
    "table_may_be_written": ("grant update on public.credit_grants to authenticated", "credit_grants"),
    "table_cannot_be_read": ("revoke select on public.credit_balances from authenticated", "credit_balances"),
    "row_security_is_off": ("alter table public.credit_grants disable row level security", "credit_grants"),
    "policy_widens_reading": (
        'create policy "Everybody" on public.credit_grants for select to authenticated using (true)',
        "credit_grants",
    ),
    "function_may_be_called": (
        "grant execute on function public.reset_monthly_credits(uuid, uuid) to anon",
        "reset_monthly_credits(uuid,uuid)",
    ),
    "function_cannot_be_called": (
        "revoke execute on function public.reset_monthly_credits(uuid, uuid) from service_role",
        "reset_monthly_credits(uuid,uuid)",
    ),
    "search_path_is_open": (
        "alter function public.reset_monthly_credits(uuid, uuid) reset search_path",
        "reset_monthly_credits(uuid,uuid)",
    ),
    "core_is_open": ("grant usage on schema credits to anon", "schema credits"),
    "guard_is_missing": (
        "alter table public.credit_transactions disable trigger credit_transactions_are_append_only",
        "trigger credit_transactions_are_append_only on public.credit_transactions",
    ),
}


def of(diagnosis: Diagnosis, code: str) -> list[dict[str, Any]]:
    return [found for found in diagnosis() if found["code"] == code]


@pytest.mark.parametrize("code", DAMAGE)
def test_damage_is_found_and_what_it_says_to_do_mends_it(
    host: psycopg.Connection[Any], diagnosis: Diagnosis, code: str
) -> None:
    statement, what = DAMAGE[code]
    host.execute(statement.encode())
    [found] = of(diagnosis, code)
    assert found["object"].removeprefix("public.") == what
    host.execute(found["how_to_try"].removeprefix("begin; ").partition(" rollback;")[0].encode())
    host.execute("reset role")
    host.execute(found["how_to_mend"].encode())
    assert [entry["code"] for entry in diagnosis()] == ["scheduler_missing"]


def test_nothing_is_wrong_with_a_new_project(database: Database) -> None:
    told = database.call("diagnose")
    assert (told["success"], told["code"]) == (True, "ok")
    assert [finding["code"] for finding in told["findings"]] == ["scheduler_missing"]


def test_every_finding_is_complete(host: psycopg.Connection[Any], diagnosis: Diagnosis) -> None:
    for statement, _ in DAMAGE.values():
        host.execute(statement.encode())
    for finding in diagnosis():
        assert all(finding[key] for key in ("object", "meaning", "how_to_try", "how_to_mend")), finding
        assert finding["severity"] in ("critical", "high", "medium", "low", "info")


def test_an_index_that_is_gone(host: psycopg.Connection[Any], diagnosis: Diagnosis) -> None:
    host.execute("drop index public.credit_grants_open_idx")
    [found] = of(diagnosis, "index_is_missing")
    assert found["object"] == "public.credit_grants_open_idx"


def test_a_function_of_the_same_name(host: psycopg.Connection[Any], diagnosis: Diagnosis) -> None:
    host.execute(
        "create function public.grant_credits(text) returns int language sql set search_path = '' as 'select 1'"
    )
    [found] = of(diagnosis, "function_is_overloaded")
    assert found["object"] == "public.grant_credits"
    assert of(diagnosis, "function_may_be_called")


@pytest.mark.parametrize(("setting", "count"), [("public, credits", 1), ("public, api_credits, credits_api", 0)])
def test_the_core_served_by_the_api(server: Server, setting: str, count: int) -> None:
    with copied_database(server) as database:
        with psycopg.connect(database.superuser_url, autocommit=True) as superuser:
            # For this database alone: roles belong to the whole server.
            superuser.execute(
                f"alter role authenticator in database {database.name} set pgrst.db_schemas = '{setting}'"
            )
        found = [entry for entry in database.call("diagnose")["findings"] if entry["code"] == "core_is_exposed"]
        assert len(found) == count


def test_the_default_plan_and_users_without_an_account(own_database: Database) -> None:
    own_database.run("update public.plans set is_default = false")
    own_database.new_user()
    found = {entry["code"]: entry["meaning"] for entry in own_database.call("diagnose")["findings"]}
    assert found.keys() >= {"default_plan_missing"}
    with psycopg.connect(own_database.superuser_url) as connection:
        connection.execute("set local session_replication_role = replica")
        connection.execute("insert into auth.users (id) values (gen_random_uuid())")
    found = {entry["code"]: entry["meaning"] for entry in own_database.call("diagnose")["findings"]}
    assert "users have no account" in found["accounts_missing"]


def test_renewals_that_wait(own_database: Database) -> None:
    user = own_database.new_user()
    due = "update credits.balances set due_at = now() - interval '{}' where account_id = %s"
    own_database.run(due.format("1 hour"), user)
    assert "renewals_pending" not in {entry["code"] for entry in own_database.call("diagnose")["findings"]}
    own_database.run(due.format("3 days"), user)
    assert "renewals_pending" in {entry["code"] for entry in own_database.call("diagnose")["findings"]}


# pg_cron needs a server that loads it; these are its tables.
CRON = """
create schema cron;
create table cron.job (jobid bigint, jobname text, schedule text, command text, active boolean);
create table cron.job_run_details (jobid bigint, status text, return_message text, start_time timestamptz);
"""
JOB = "insert into cron.job values (1, 'sonas-renew-credits', '* * * * *', 'select public.reset_monthly_credits()', {})"


@pytest.mark.parametrize(
    ("statements", "code"),
    [
        ([], "job_missing"),
        ([JOB.format("false")], "job_inactive"),
        (
            [JOB.format("true"), "insert into cron.job_run_details values (1, 'failed', 'out of memory', now())"],
            "job_fails",
        ),
        (
            [
                JOB.format("true"),
                "insert into cron.job_run_details values (1, 'failed', 'x', now() - interval '1 hour')",
                "insert into cron.job_run_details values (1, 'succeeded', '1 row', now() - interval '1 minute')",
            ],
            None,
        ),
        (
            [
                JOB.format("true"),
                "insert into cron.job_run_details values (1, 'succeeded', '1 row', now() - interval '3 days')",
            ],
            "job_stands_still",
        ),
    ],
)
def test_the_job_that_books_renewals(
    host: psycopg.Connection[Any], diagnosis: Diagnosis, statements: list[str], code: str | None
) -> None:
    host.execute(CRON.encode())
    for statement in statements:
        host.execute(statement.encode())
    assert [finding["code"] for finding in diagnosis()] == ([code] if code else [])


def test_tables_of_the_scheduler_that_may_not_be_read(host: psycopg.Connection[Any]) -> None:
    host.execute(CRON.encode())
    host.execute("grant usage on schema credits to anon; grant execute on function credits.diagnose_jobs() to anon")
    host.execute("set local role anon")
    assert host.execute("select code from credits.diagnose_jobs()").fetchall() == [("job_unknown",)]


def test_only_the_service_role_may_ask(host: psycopg.Connection[Any]) -> None:
    host.execute("set local role service_role")
    assert call(host, "diagnose")["success"] is True
    host.execute("reset role")
    host.execute("set local role authenticated")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        call(host, "diagnose")


def test_nothing_is_compiled_for_it(database: Database) -> None:
    """Where Postgres has a compiler, it took four seconds of an empty project's doctor, and three tenths without."""
    settings = database.value("select proconfig from pg_proc where oid = 'public.diagnose()'::regprocedure")
    assert "jit=off" in settings
