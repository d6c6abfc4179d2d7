"""Whatever somebody does to the installed system by hand, `sonas doctor` finds it, and what it says to do undoes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from tests.support.database import Database, call, copied_database
from tests.support.server import Server

Diagnosis = Callable[[], list[dict[str, Any]]]

USAGE_POLICY = "Users may read their usage and what they oversee"
GRANTS = "public.credit_grants"
CONSUME = "public.consume_credits"
POLICY = f'"Users may read their grants" on {GRANTS}'

# What somebody did: the codes of what is found.
DRIFT = {
    "grant select on credits.accounts to anon": "privileges_were_changed",
    f"grant select on {GRANTS} to anon": "privileges_were_changed",
    f"grant select (amount) on {GRANTS} to anon": "privileges_were_changed",
    f"grant trigger on {GRANTS} to service_role": "privileges_were_changed",
    "grant references on public.plans to authenticated": "privileges_were_changed",
    "revoke select on credits.balances from authenticated": "privileges_were_changed",
    "grant execute on function credits.post_entry to authenticated": "privileges_were_changed",
    "revoke execute on function credits.readable_ids from authenticated": "privileges_were_changed",
    "grant create on schema credits to authenticated": "privileges_were_changed",
    "grant usage on type credits.entry_kind to anon": "privileges_were_changed",
    f"grant update (amount) on {GRANTS} to authenticated": "table_may_be_written",
    "grant insert on public.credit_transactions to public": "table_may_be_written",
    "revoke select on public.plans from anon": "table_cannot_be_read",
    "grant usage on schema credits to public": "core_is_open",
    "alter default privileges in schema credits grant select on tables to anon": "defaults_are_open",
    "alter default privileges in schema credits grant execute on functions to authenticated": "defaults_are_open",
    "grant create on schema public to authenticated": "schema_is_open",
    "revoke usage on schema public from anon, public": "schema_cannot_be_used",
    "alter publication supabase_realtime add table credits.accounts": "core_is_published",
    f"drop policy {POLICY}": "object_is_missing",
    f"alter policy {POLICY} using (true)": "object_was_changed",
    f"create policy x on {GRANTS} using (account_id = auth.uid() or amount > 0)": "policy_widens_reading",
    f"create policy x on {GRANTS} as restrictive using (false)": "object_was_added",
    f"alter table {GRANTS} force row level security": "object_was_changed",
    f"alter table {GRANTS} drop constraint credit_grants_nothing_is_lost": "object_is_missing",
    f"alter table {GRANTS} drop constraint credit_grants_account_id_fkey": "object_is_missing",
    f"alter table {GRANTS} drop constraint credit_grants_account_id_fkey, add constraint credit_grants_account_id_fkey "
    "foreign key (account_id) references credits.accounts (account_id) not valid": "object_was_changed",
    "alter table public.credit_transactions drop constraint credit_transactions_pkey": "object_is_missing",
    f"alter table {GRANTS} alter column amount drop not null": "object_was_changed",
    "alter table public.credit_transactions alter column metadata set default '[]'": "object_was_changed",
    f"alter table {GRANTS} add constraint small check (amount < 100)": "object_was_added",
    f"alter table {GRANTS} add column note text": "object_was_added",
    "drop index credits.balances_due_at_idx": "index_is_missing",
    "alter table credits.subscription_events disable trigger subscription_events_are_kept": "guard_is_missing",
    "alter table credits.subscription_events enable replica trigger subscription_events_are_kept": "guard_is_missing",
    "drop trigger plans_keep_subscribed on public.plans": "guard_is_missing",
    "alter table public.credit_transactions disable trigger all": "guard_is_missing",
    "create trigger t after insert on public.credit_transactions for each row "
    "execute function suppress_redundant_updates_trigger()": "object_was_added",
    f"alter function {CONSUME} security invoker": "object_was_changed",
    f"alter function {CONSUME} set work_mem = '1GB'": "object_was_changed",
    f"alter function {CONSUME} set search_path = public": "search_path_is_open",
    "create or replace function credits.call_as_user(p_role text, p_statement text) returns text language sql "
    "immutable set search_path = '' as 'select p_role'": "object_was_changed",
    "drop function public.refund_credits": "object_is_missing",
    "alter view public.credit_balances reset (security_invoker)": "object_was_changed",
    "drop view public.credit_balances": "object_is_missing",
    f'drop policy "{USAGE_POLICY}" on public.usage': "object_is_missing",
    "create function credits.more() returns int language sql set search_path = '' as 'select 1'": "object_was_added",
    f"create role premium; grant premium to authenticator; grant update on {GRANTS} to premium": "table_may_be_written",
}


@pytest.mark.parametrize("statement", DRIFT)
def test_what_was_done_by_hand_is_found_and_undone(
    host: psycopg.Connection[Any], diagnosis: Diagnosis, statement: str
) -> None:
    host.execute(statement.encode())
    found = diagnosis()
    assert DRIFT[statement] in {finding["code"] for finding in found}, found
    for finding in found:
        if finding["how_to_try"].startswith("select"):
            host.execute(finding["how_to_try"].encode())
        host.execute(finding["how_to_mend"].encode() if finding["code"] != "scheduler_missing" else b"")
    assert [finding["code"] for finding in diagnosis()] == ["scheduler_missing"]


# Only a superuser can do these; the hosted service's support can, and a server of one's own has one.
SUPERUSER = {
    "alter table public.credit_grants owner to service_role": "owner_was_changed",
    "alter function public.consume_credits owner to service_role": "owner_was_changed",
    "drop trigger credits_open_account on auth.users": "guard_is_missing",
    "grant service_role to authenticated": "role_is_too_strong",
    "grant pg_write_all_data to authenticated": "role_is_too_strong",
    "alter role anon bypassrls": "role_is_too_strong",
}


@pytest.mark.parametrize("statement", SUPERUSER)
def test_what_a_superuser_did_is_found_and_undone(database: Database, statement: str) -> None:
    with psycopg.connect(database.superuser_url) as connection:
        connection.execute(statement.encode())
        found = call(connection, "diagnose")["findings"]
        assert SUPERUSER[statement] in {finding["code"] for finding in found}, found
        for finding in found:
            connection.execute(finding["how_to_mend"].encode() if finding["code"] != "scheduler_missing" else b"")
        assert [finding["code"] for finding in call(connection, "diagnose")["findings"]] == ["scheduler_missing"]
        connection.rollback()


def test_another_server_version_may_use_other_words(host: psycopg.Connection[Any], diagnosis: Diagnosis) -> None:
    """After an upgrade, only what is gone is told of, until the new words are remembered."""
    host.execute("update credits.installed_objects set server_major = 14, definition = definition || ' '")
    assert [finding["code"] for finding in diagnosis()] == ["scheduler_missing"]
    host.execute("drop index credits.balances_due_at_idx")
    assert [finding["code"] for finding in diagnosis()] == ["index_is_missing", "scheduler_missing"]
    host.execute("select credits.remember_installation()")
    assert [finding["code"] for finding in diagnosis()] == ["scheduler_missing"]


def test_a_usage_table_of_the_projects_own_is_no_drift(server: Server) -> None:
    from sonas_supabase import local

    with copied_database(server, template="template0") as bare:
        local.shape(bare.superuser_url)
        bare.run(
            "create table public.usage (id bigint primary key generated always as identity, page text default 'x')"
        )
        bare.run("alter table public.usage enable row level security")
        local.migrate(bare.url)
        bare.run(
            "alter table public.usage alter column page drop default, add column note text, add check (page <> '')"
        )
        bare.run("create index on public.usage (page)")
        codes = {finding["code"] for finding in bare.call("diagnose")["findings"]}
        assert codes - {"usage_may_be_written"} == {"scheduler_missing"}
