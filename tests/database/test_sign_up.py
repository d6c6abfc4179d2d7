"""Accounts come and go with users, and neither a sign-up nor a deletion ever fails for the sake of credits."""

from __future__ import annotations

from uuid import UUID, uuid4

import psycopg
import pytest

from sonas_supabase import local
from tests.support.database import Database, copied_database
from tests.support.errors import raises
from tests.support.people import acting_as, fingerprint, new_workspace, user_without_account
from tests.support.server import Server

FREE = {"message": 10, "integration": 100, "project": 3}


def balances(database: Database, user: UUID) -> dict[str, int]:
    return dict(database.query("select credit_type, remaining from public.credit_balances where user_id = %s", user))


def test_a_new_user_has_the_free_plan_in_the_transaction_of_the_sign_up(database: Database) -> None:
    user = uuid4()
    with database.connect(autocommit=False) as connection:
        connection.execute("insert into auth.users (id) values (%s)", [user])
        row = connection.execute("select count(*) from credit_balances where user_id = %s", [user]).fetchone()
        assert row == (3,)
        connection.rollback()
    assert database.value("select count(*) from credits.accounts where account_id = %s", user) == 0
    user = database.new_user()
    assert balances(database, user) == FREE
    assert database.query("select plan_id, status from subscriptions where account_id = %s", user) == [
        ("free", "active")
    ]
    database.verify(user)


@pytest.mark.parametrize(
    "breakage",
    [
        "alter table public.subscriptions rename to subscriptions_gone",
        "alter table credits.balances rename to balances_gone",
        "update public.plans set is_default = false",
        "alter function credits.open_account(uuid, text) rename to open_account_gone",
        "revoke all on table credits.accounts from postgres",
        "alter table credits.accounts add constraint never check (false) not valid",
    ],
)
def test_a_trigger_that_fails_blocks_no_sign_up_and_the_first_call_mends_it(
    own_database: Database, breakage: str
) -> None:
    repair = {
        "alter table public.subscriptions": "alter table public.subscriptions_gone rename to subscriptions",
        "alter table credits.balances": "alter table credits.balances_gone rename to balances",
        "update public.plans": "update public.plans set is_default = true where id = 'free'",
        "alter function": "alter function credits.open_account_gone(uuid, text) rename to open_account",
        "revoke all": "grant all on table credits.accounts to postgres",
        "alter table credits.accounts": "alter table credits.accounts drop constraint never",
    }
    own_database.run(breakage)
    user = own_database.new_user()
    assert own_database.value("select count(*) from auth.users where id = %s", user) == 1
    [mended] = [statement for start, statement in repair.items() if breakage.startswith(start)]
    own_database.run(mended)
    assert own_database.call("consume_credits", user, "message", 4)["remaining"] == 6
    assert balances(own_database, user) == FREE | {"message": 6}
    own_database.verify()


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("consume_credits", ["message"]),
        ("reserve_credits", ["project"]),
        ("check_credits", ["message"]),
        ("grant_credits", ["message", 1]),
        ("consume_credits_batch", [[{"credit_type": "message"}]]),
        ("change_plan", ["pro"]),
        ("reset_monthly_credits", []),
        ("get_credit_summary", []),
        ("get_credit_history", []),
        ("mark_test_account", []),
        ("freeze_account", []),
    ],
)
def test_any_first_call_opens_an_account_that_is_missing(
    database: Database, function: str, arguments: list[object]
) -> None:
    user = user_without_account(database)
    assert balances(database, user) == {}
    assert database.call(function, user, *arguments)["success"] is True
    assert balances(database, user).keys() == FREE.keys()
    database.verify(user)


def test_a_signed_in_user_without_an_account_gets_one_by_looking(database: Database) -> None:
    user = user_without_account(database)
    with acting_as(database, "authenticated", user) as connection:
        row = connection.execute("select get_credit_summary() ->> 'plan'").fetchone()
    assert row == ("free",)


def test_a_credit_type_younger_than_the_account_is_added_at_its_first_use(own_database: Database) -> None:
    user = own_database.new_user()
    own_database.run("insert into credits.credit_types values ('image', 'credit', 'Pictures')")
    own_database.run("insert into plan_limits (plan_id, credit_type, allowance) values ('free', 'image', 5)")
    assert own_database.call("consume_credits", user, "image", 2)["remaining"] == 3
    own_database.verify(user)


def test_users_who_were_there_before_have_an_account_afterwards(server: Server) -> None:
    with copied_database(server, template="template0") as bare:
        local.shape(bare.superuser_url)
        users = [bare.new_user() for _ in range(5)]
        local.migrate(bare.url)
        for user in users:
            assert balances(bare, user) == FREE
        bare.verify()


def test_deleting_a_user_closes_the_account_and_keeps_its_ledger(database: Database) -> None:
    user, colleague = database.new_user(), database.new_user()
    workspace = new_workspace(database, user, colleague)
    database.call("consume_credits", user, "message", 4)
    database.call("reserve_credits", user, "message", 2)
    ledger = "select to_jsonb(t) from credit_transactions t where account_id = %s order by credit_type, version"
    before = database.query(ledger, user)
    database.run("delete from auth.users where id = %s", user)
    assert database.query(ledger, user) == before
    assert balances(database, user) == {}
    assert database.query("select status from credits.accounts where account_id = %s", user) == [("closed",)]
    assert database.query("select user_id from credit_workspace_members where account_id = %s", workspace) == [
        (colleague,)
    ]
    state = fingerprint(database, user)
    for function, arguments in (
        ("consume_credits", ["message"]),
        ("grant_credits", ["message", 5]),
        ("change_plan", ["pro"]),
        ("reset_monthly_credits", []),
        ("get_credit_summary", []),
    ):
        with raises("account_not_found", "PT404"):
            database.call(function, user, *arguments)
    database.call("reset_monthly_credits")
    assert fingerprint(database, user) == state
    database.verify(user)


def test_a_user_whose_projects_go_with_them_can_be_deleted(database: Database) -> None:
    database.run(
        "create table public.cascading (id uuid primary key default gen_random_uuid(), "
        "owner_id uuid not null references auth.users (id) on delete cascade)"
    )
    database.value("select credits.meter_table('public.cascading', 'project', 'owner_id')")
    user = database.new_user()
    database.run("insert into public.cascading (owner_id) values (%s), (%s)", user, user)
    database.run("delete from auth.users where id = %s", user)
    assert database.value("select count(*) from public.cascading") == 0
    assert database.value("select count(*) from credits.metered_rows where account_id = %s", user) == 0
    database.verify(user)


def test_a_deletion_goes_through_when_the_account_cannot_be_closed(own_database: Database) -> None:
    user = own_database.new_user()
    own_database.run("alter table credits.accounts rename to accounts_gone")
    own_database.run("delete from auth.users where id = %s", user)
    assert own_database.value("select count(*) from auth.users where id = %s", user) == 0


def test_the_sign_up_of_supabase_auth_itself_opens_the_account(database: Database) -> None:
    """It writes auth.users as supabase_auth_admin, which may nothing else."""
    user = uuid4()
    with psycopg.connect(database.superuser_url) as connection:
        connection.execute("set role supabase_auth_admin")
        connection.execute("insert into auth.users (id, email) values (%s, 'a@example.com')", [user])
    assert balances(database, user) == FREE
