"""Each heuristic of `sonas doctor` on tables, views and policies finds what is open, and lets what is closed be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

Diagnosis = Callable[[], list[dict[str, Any]]]


def codes(diagnosis: Diagnosis) -> dict[str, str]:
    """code: object, of what concerns the project itself."""
    return {found["code"]: found["object"] for found in diagnosis() if found["code"] != "scheduler_missing"}


def test_a_closed_table_is_no_finding(diagnosis: Diagnosis, profiles: str) -> None:
    assert codes(diagnosis) == {}


# What makes it bad, and what makes it good again without taking the users' own columns from them.
OPENINGS = {
    "users may update their own row, balance included": (
        "grant update on T to authenticated;"
        'create policy "Users may change their profile" on T for update to authenticated using (id = auth.uid())',
        {"users_write_balance": "T.credits"},
        "revoke update on T from authenticated; grant update (name) on T to authenticated",
    ),
    "everybody may update one column": (
        'grant update (credits) on T to anon; create policy "All" on T using (true) with check (true)',
        {"users_write_balance": "T.credits", "balance_is_public": "T"},
        'drop policy "All" on T; create policy "All" on T for insert with check (true)',
    ),
    "users may bring their balance along": (
        "grant insert on T to authenticated;"
        'create policy "Users may make their profile" on T for insert to authenticated with check (id = auth.uid())',
        {"users_write_balance": "T.credits"},
        "revoke insert on T from authenticated; grant insert (id, name) on T to authenticated",
    ),
    "a trigger keeps the column": (
        "grant update on T to authenticated;"
        'create policy "Users may change their profile" on T for update to authenticated using (id = auth.uid())',
        {"users_write_balance": "T.credits"},
        "create function keep() returns trigger language plpgsql set search_path = '' as "
        "$$ begin new.credits := old.credits; return new; end $$;"
        "create trigger keep before update on T for each row execute function keep()",
    ),
    "users may choose their plan": (
        "alter table T add column subscription_tier text; grant update (subscription_tier) on T to authenticated;"
        'create policy "Users may change their profile" on T for update to authenticated using (id = auth.uid())',
        {"users_choose_plan": "T.subscription_tier"},
        "alter table T rename column subscription_tier to theme",
    ),
    "everybody sees what everybody has": (
        "alter table T disable row level security",
        {"table_without_rls": "T"},
        "revoke select on T from authenticated",
    ),
    "a view shows everybody's rows": (
        "create view board as select id, credits from T; grant select on board to authenticated",
        {"view_bypasses_rls": "board", "users_write_balance": "board.credits"},
        "alter view board set (security_invoker = true)",
    ),
    "a view shows everybody's ledger": (
        "create view board as select account_id, amount from public.credit_transactions; grant select on board to anon",
        {"view_bypasses_rls": "board"},
        "alter view board set (security_invoker = on)",
    ),
    "users may write the log of attempts": (
        "grant insert, delete on public.usage to authenticated;"
        'create policy "Users may log" on public.usage for insert to authenticated with check (user_id = auth.uid())',
        {"usage_may_be_written": "usage"},
        "revoke insert on public.usage from authenticated",
    ),
}


@pytest.mark.parametrize("opening", OPENINGS)
def test_what_is_open_is_found_until_it_is_closed(
    host: psycopg.Connection[Any], diagnosis: Diagnosis, profiles: str, opening: str
) -> None:
    bad, expected, good = OPENINGS[opening]
    for statement in bad.replace("T ", f"{profiles} ").replace(" T", f" {profiles}").split(";"):
        host.execute(statement.encode())
    found = codes(diagnosis)
    assert found.keys() == expected.keys()
    for code, what in expected.items():
        assert found[code].removeprefix("public.") == what.replace("T", profiles)
    host.execute(good.replace("T ", f"{profiles} ").replace(" T", f" {profiles}").encode())
    assert codes(diagnosis) == {}


def test_what_it_says_to_try_and_to_do_works(
    host: psycopg.Connection[Any], diagnosis: Diagnosis, profiles: str
) -> None:
    for statement in OPENINGS["users may update their own row, balance included"][0].split(";"):
        host.execute(statement.replace("T ", f"{profiles} ").replace(" T", f" {profiles}").encode())
    user = "11111111-1111-4111-8111-111111111111"
    host.execute(f"insert into {profiles} (id) values ('{user}')".encode())
    [found] = [finding for finding in diagnosis() if finding["code"] == "users_write_balance"]
    host.execute("savepoint before")
    told = found["how_to_try"].partition("begin; ")[2].partition(" rollback")[0].replace("<id of some user>", user)
    host.execute(told.encode())
    assert host.execute(f"select credits from {profiles}".encode()).fetchone() == (1_000_000,)
    host.execute("rollback to savepoint before")
    host.execute(found["how_to_mend"].encode())
    assert codes(diagnosis) == {}
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        host.execute(told.encode())
    host.execute("rollback to savepoint before")


@pytest.mark.parametrize("column", ["max_tokens integer", "prompt_tokens bigint", "credit_note text", "pointed_at int"])
def test_columns_that_are_worth_nothing_are_let_be(
    host: psycopg.Connection[Any], diagnosis: Diagnosis, column: str
) -> None:
    host.execute(f"create table notes (id uuid, {column})".encode())
    assert codes(diagnosis) == {}


@pytest.mark.parametrize("column", ["balance numeric", "ai_credits int", "tokens bigint", "message_quota smallint"])
def test_columns_that_are_worth_something_are_seen(
    host: psycopg.Connection[Any], diagnosis: Diagnosis, column: str
) -> None:
    host.execute(f"create table wallets (id uuid, {column})".encode())
    assert codes(diagnosis).keys() == {"users_write_balance", "table_without_rls"}
