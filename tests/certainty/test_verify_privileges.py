"""Rule 8: who may do what is exactly as it was made. What is missing is named as well as what is too much."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.support.database import Database

CHANGES = {
    "a table that the service role may write": (
        "grant insert on public.credit_grants to service_role",
        "credit_grants may be written by service_role",
    ),
    "a column that users may write": (
        "grant update (amount) on public.credit_grants to authenticated",
        "credit_grants may be written by authenticated",
    ),
    "a table that may be emptied": (
        "grant truncate on credits.balances to service_role",
        "balances may be written by service_role",
    ),
    "a trigger that anybody may put on": (
        "grant trigger on public.credit_transactions to authenticated",
        "credit_transactions may be written by authenticated",
    ),
    "a ledger that everybody reads": (
        "grant select on public.credit_transactions to anon",
        "credit_transactions may be read by anon",
    ),
    "a column that everybody reads": (
        "grant select (amount) on public.credit_transactions to anon",
        "credit_transactions may be read by anon",
    ),
    "keys that users read": (
        "grant select on credits.idempotency_keys to authenticated",
        "idempotency_keys may be read by authenticated",
    ),
    "a ledger that its owners cannot read": (
        "revoke select on public.credit_transactions from authenticated",
        "credit_transactions cannot be read by authenticated",
    ),
    "prices that nobody sees": ("revoke select on public.plans from anon", "plans cannot be read by anon"),
    "a table that another role may write": (
        "create role sonas_test_clerk; grant update on public.credit_grants to sonas_test_clerk",
        "credit_grants may be used by sonas_test_clerk",
    ),
    "a function that users may call": (
        "grant execute on function public.grant_credits to authenticated",
        "bigint,text) may be called by authenticated",
    ),
    "a function that everybody may call": (
        "grant execute on function public.verify_books to public",
        "verify_books(uuid,uuid,integer) may be called by anybody",
    ),
    "a core function that may be called": (
        "grant execute on function credits.open_account to service_role",
        "open_account(uuid,text) may be called by service_role",
    ),
    "a function that the backend cannot call": (
        "revoke execute on function public.consume_credits from service_role",
        "consume_credits(uuid,text,bigint,text,text,jsonb,uuid,boolean) cannot be called by service_role",
    ),
    "a summary that its owner cannot call": (
        "revoke execute on function public.get_credit_summary from authenticated",
        "get_credit_summary(uuid,uuid) cannot be called by authenticated",
    ),
    "a policy without its function": (
        "revoke execute on function credits.readable_ids from authenticated",
        "readable_ids() cannot be called by authenticated",
    ),
    "a function that is gone": ("drop function public.find_operation(uuid)", "find_operation is missing"),
    "a function that is there twice": (
        "create function public.find_operation(text) returns text language sql as 'select $1'",
        "find_operation is there twice",
    ),
    "a function with its caller's rights": (
        "alter function public.consume_credits security invoker",
        "consume_credits(uuid,text,bigint,text,text,jsonb,uuid,boolean) runs with the rights of its caller",
    ),
    "a reader with its owner's rights": (
        "alter function public.get_credit_summary security definer",
        "get_credit_summary(uuid,uuid) runs with the rights of its owner",
    ),
    "an open search path": ("alter function credits.post_entry reset search_path", "has no fixed search_path"),
    "a core that is open": (
        "grant usage on schema credits to authenticated",
        "the schema credits is open to authenticated",
    ),
    "no row level security": (
        "alter table public.usage disable row level security; alter table credits.accounts disable row level security",
        "accounts has no row level security",
    ),
    "a policy that shows everything": (
        'create policy "All" on public.credit_grants for select to authenticated using (true)',
        'the policy "All" on public.credit_grants is not of this system',
    ),
    "a policy that lets write": (
        'create policy "W" on public.credit_grants for update to authenticated using (true)',
        'the policy "W" on public.credit_grants is not of this system',
    ),
    "a policy that is gone": (
        'drop policy "Users may read their grants" on public.credit_grants',
        'the policy "Users may read their grants" on public.credit_grants is missing',
    ),
    "a policy that was widened": (
        'alter policy "Users may read their grants" on public.credit_grants using (true)',
        'the policy "Users may read their grants" on public.credit_grants was changed',
    ),
    "a policy for more people": (
        'alter policy "Users may read their grants" on public.credit_grants to anon, authenticated',
        'the policy "Users may read their grants" on public.credit_grants was changed',
    ),
    "a ledger that may be changed": (
        "alter table public.credit_transactions disable trigger credit_transactions_are_append_only",
        "the trigger credit_transactions_are_append_only on public.credit_transactions is missing or disabled",
    ),
    "a guard that only replicas have": (
        "alter table public.credit_transactions enable replica trigger credit_transactions_are_never_truncated",
        "the trigger credit_transactions_are_never_truncated on public.credit_transactions is missing or disabled",
    ),
    "sign-ups without an account": (
        "alter table auth.users disable trigger credits_open_account",
        "the trigger credits_open_account on auth.users is missing or disabled",
    ),
    "plan changes that may be rewritten": (
        "drop trigger subscription_events_are_kept on credits.subscription_events",
        "the trigger subscription_events_are_kept on credits.subscription_events is missing or disabled",
    ),
    "a table of another owner": (
        "alter table public.credit_grants owner to supabase_admin",
        "credit_grants belongs to supabase_admin",
    ),
    "a function of another owner": (
        "alter function public.verify_checklist owner to supabase_admin",
        "verify_checklist() belongs to supabase_admin",
    ),
    "a role that owns by another": (
        "revoke service_role from postgres; grant postgres to service_role",
        "service_role may act as postgres, who owns the books",
    ),
    "a role that row level security does not hold": (
        "alter role authenticated bypassrls",
        "authenticated sees past row level security",
    ),
}


@pytest.fixture
def superuser(database: Database) -> Iterator[psycopg.Connection[Any]]:
    """What it changes is undone at the end."""
    with psycopg.connect(database.superuser_url) as connection:
        try:
            yield connection
        finally:
            connection.rollback()


def found(connection: psycopg.Connection[Any]) -> list[str]:
    row = connection.execute("select public.verify_books(p_rule => 8)").fetchone()
    assert row is not None
    [check] = row[0]["checks"]
    assert check["checked"] > 1000
    return list(check["violations"])


@pytest.mark.parametrize("what", CHANGES)
def test_it_names(superuser: psycopg.Connection[Any], what: str) -> None:
    statement, violation = CHANGES[what]
    assert found(superuser) == []
    superuser.execute(statement.encode())
    assert any(violation in line for line in found(superuser))


def test_every_trigger_and_policy_of_the_system_is_expected(database: Database) -> None:
    """What is made later has to be put on the list, or its absence would go unnoticed."""
    triggers = database.query(
        "select n.nspname || '.' || c.relname, g.tgname from pg_trigger g join pg_proc p on p.oid = g.tgfoid "
        "join pg_class c on c.oid = g.tgrelid join pg_namespace n on n.oid = c.relnamespace "
        "where not g.tgisinternal and p.pronamespace = 'credits'::regnamespace"
    )
    expected = database.query("select relation, trigger from credits.expected_triggers()")
    # Two keep the rollups, which are made anew from the ledger, from those who left them.
    assert {name for _, name in set(triggers) - set(expected)} == {
        "accounts_leave_the_rollups",
        "forgotten_accounts_leave_the_rollups",
    }
    assert set(expected) <= set(triggers)
