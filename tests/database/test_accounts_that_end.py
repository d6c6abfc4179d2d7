"""An account whose person or workspace is gone spends nothing from that instant, and comes back with them."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.support.database import Database, call
from tests.support.errors import raises
from tests.support.people import new_workspace
from tests.support.races import race
from tests.support.tables import metered_projects

GONE = {
    "deleted": "delete from auth.users where id = %s",
    "deleted softly": "update auth.users set deleted_at = now(), email = 'gone' where id = %s",
}


def without_triggers(database: Database, statement: str, user: UUID) -> None:
    with psycopg.connect(database.superuser_url) as connection:
        connection.execute("set local session_replication_role = replica")
        connection.execute(statement.encode(), [user])


def status(database: Database, account: UUID) -> str:
    return str(database.value("select status from credits.accounts where account_id = %s", account))


def spends_nothing(database: Database, user: UUID, hold: str) -> None:
    before = database.value(
        "select count(*) from credit_transactions where account_id = %s and kind in ('consume', 'capture')", user
    )
    for function, *arguments in (
        ("consume_credits", "message"),
        ("consume_credits", "message", 1, None, "a-key"),
        ("consume_credits", "project"),
        ("reserve_credits", "message"),
        ("capture_credits", hold),
        ("check_credits", "message"),
        ("get_credit_summary",),
        ("grant_credits", "message", 5),
    ):
        with raises("account_not_found", "PT404"):
            database.call(function, user, *arguments)
    with raises("account_not_found", "PT404"):
        database.call("consume_credits_batch", user, items=[{"credit_type": "message"}])
    assert before == database.value(
        "select count(*) from credit_transactions where account_id = %s and kind in ('consume', 'capture')", user
    )


@pytest.mark.parametrize("how", GONE)
@pytest.mark.parametrize("plan", ["free", "starter"])
def test_a_user_who_is_gone_spends_nothing_and_holds_nothing(
    database: Database, user: UUID, how: str, plan: str
) -> None:
    database.call("change_plan", user, plan)
    hold = database.call("reserve_credits", user, "message", 2)["reservation_id"]
    database.run(GONE[how], user)
    assert status(database, user) == "closed"
    assert database.value("select status from credit_reservations where account_id = %s", user) == "released"
    spends_nothing(database, user, hold)
    database.verify(user)


@pytest.mark.parametrize("how", GONE)
@pytest.mark.parametrize("plan", ["free", "starter"])
def test_no_trigger_is_needed_for_that(database: Database, user: UUID, how: str, plan: str) -> None:
    database.call("change_plan", user, plan)
    hold = database.call("reserve_credits", user, "message", 2)["reservation_id"]
    without_triggers(database, GONE[how], user)
    assert status(database, user) == "active"
    spends_nothing(database, user, hold)
    database.run("select credits.follow_account(%s)", user)
    assert status(database, user) == "closed"
    database.verify(user)


@pytest.mark.parametrize("how", GONE)
def test_a_deletion_waits_for_no_spend_and_is_not_undone_by_one(database: Database, user: UUID, how: str) -> None:
    with database.connect(autocommit=False) as spending, database.connect() as deleting:
        deleting.execute("set statement_timeout = '10s'")
        call(spending, "consume_credits", user, "message", 3)
        deleting.execute(GONE[how].encode(), [user])
        spending.commit()
    assert status(database, user) == "active"
    with raises("account_not_found", "PT404"):
        database.call("consume_credits", user, "message")
    assert database.value("select credits.follow_waiting_accounts()") >= 1
    assert status(database, user) == "closed"
    database.verify(user)


def test_a_spend_that_waited_while_the_user_was_deleted_is_refused(database: Database, user: UUID) -> None:
    import threading

    from tests.support.races import wait_until_blocked

    outcome: list[object] = []

    def spend(connection: psycopg.Connection[object]) -> None:
        try:
            outcome.append(call(connection, "consume_credits", user, "message"))
        except psycopg.Error as error:
            outcome.append(error.diag.message_primary)

    with database.connect(autocommit=False) as first, database.connect() as second:
        call(first, "consume_credits", user, "message")
        thread = threading.Thread(target=spend, args=[second])
        thread.start()
        wait_until_blocked(database, second)
        database.run(GONE["deleted"], user)
        first.commit()
        thread.join()
    assert outcome == ["account_not_found"]
    database.run("select credits.follow_account(%s)", user)
    database.verify(user)


def test_rows_users_and_spends_in_any_order_deadlock_never(database: Database, new_user: Callable[[], UUID]) -> None:
    """Rows of a user are inserted, the user is deleted and spends, all at once."""
    table = metered_projects(database)
    for _ in range(10):
        user = new_user()

        def insert(connection: psycopg.Connection[object], user: UUID = user) -> str:
            with connection.transaction():
                connection.execute(f"insert into {table} (owner_id) values (%s)".encode(), [user])
                call(connection, "consume_credits", user, "message")
            return "done"

        def delete(connection: psycopg.Connection[object], user: UUID = user) -> str:
            connection.execute(GONE["deleted"].encode(), [user])
            return "done"

        outcomes = race(database, [insert, delete, insert])
        assert outcomes[1] == "done"
        for outcome in (outcomes[0], outcomes[2]):
            assert outcome == "done" or outcome.diag.message_primary == "account_not_found"
        with raises("account_not_found", "PT404"):
            database.call("consume_credits", user, "message")
        database.run("select credits.follow_account(%s)", user)
        database.verify(user)


def test_an_id_that_comes_back_gets_its_account_back(database: Database, user: UUID) -> None:
    database.call("grant_credits", user, "message", 100, "top_up")
    database.call("consume_credits", user, "message", 4)
    database.run("delete from auth.users where id = %s", user)
    database.run("insert into auth.users (id, email) values (%s, 'back@example.com')", user)
    assert status(database, user) == "active"
    assert database.balance(user)["remaining"] == 106
    assert database.call("consume_credits", user, "message")["success"]
    database.verify(user)


def test_a_user_whom_auth_takes_back_gets_the_account_back(database: Database, user: UUID) -> None:
    database.run("update auth.users set deleted_at = now() where id = %s", user)
    database.run("update auth.users set deleted_at = null where id = %s", user)
    assert database.call("consume_credits", user, "message")["remaining"] == 9


def test_an_id_that_comes_back_past_the_triggers_is_mended_by_the_first_call(database: Database, user: UUID) -> None:
    database.run("delete from auth.users where id = %s", user)
    without_triggers(database, "insert into auth.users (id) values (%s)", user)
    assert database.call("consume_credits", user, "message")["remaining"] == 9


def test_a_plan_ends_with_its_account_and_what_was_bought_stays(database: Database, user: UUID) -> None:
    database.call("change_plan", user, "pro")
    database.call("grant_credits", user, "message", 50, "top_up")
    database.run("delete from auth.users where id = %s", user)
    database.run("insert into auth.users (id) values (%s)", user)
    assert database.call("get_credit_summary", user)["plan"] == "free"
    assert database.balance(user)["remaining"] >= 50
    database.verify(user)


def test_an_account_that_was_frozen_comes_back_frozen(database: Database, user: UUID) -> None:
    database.call("freeze_account", user, "fraud")
    database.run("delete from auth.users where id = %s", user)
    database.run("insert into auth.users (id) values (%s)", user)
    with raises("account_frozen", "PT403"):
        database.call("consume_credits", user, "message")


def test_an_account_that_was_forgotten_stays_closed(database: Database, user: UUID) -> None:
    database.call("forget_account", user)
    database.run("delete from auth.users where id = %s", user)
    database.run("insert into auth.users (id) values (%s)", user)
    with raises("account_not_found", "PT404"):
        database.call("consume_credits", user, "message")


def test_a_workspace_that_is_deleted_spends_nothing_and_holds_nothing(
    database: Database, new_user: Callable[[], UUID]
) -> None:
    owner = new_user()
    workspace = new_workspace(database, owner)
    database.call("grant_credits", owner, "message", 100, workspace_id=workspace)
    database.call("reserve_credits", owner, "message", 5, workspace_id=workspace)
    database.run("delete from credit_workspaces where account_id = %s", workspace)
    assert status(database, workspace) == "closed"
    assert database.value("select status from credit_reservations where account_id = %s", workspace) == "released"
    with raises("account_not_found", "PT404"):
        database.call("consume_credits", owner, "message", workspace_id=workspace)
    database.verify(workspace)


@pytest.mark.parametrize("how", ["removed", "deleted"])
def test_a_member_who_leaves_releases_what_they_hold(
    database: Database, new_user: Callable[[], UUID], how: str
) -> None:
    owner, member = new_user(), new_user()
    workspace = new_workspace(database, owner, member)
    database.call("grant_credits", owner, "message", 100, workspace_id=workspace)
    for user in (owner, member):
        database.call("reserve_credits", user, "message", 5, workspace_id=workspace)
    if how == "removed":
        database.run("delete from credit_workspace_members where user_id = %s", member)
    else:
        database.run("delete from auth.users where id = %s", member)
    assert database.query(
        "select user_id from credit_reservations where account_id = %s and status = 'open'", workspace
    ) == [(owner,)]
    with raises("account_not_found", "PT404"):
        database.call("consume_credits", member, "message", workspace_id=workspace)
    database.verify(workspace)


def test_a_member_who_is_gone_spends_nothing_of_the_workspace_either(
    database: Database, new_user: Callable[[], UUID]
) -> None:
    owner, member = new_user(), new_user()
    workspace = new_workspace(database, owner, member)
    database.call("grant_credits", owner, "message", 100, workspace_id=workspace)
    without_triggers(database, GONE["deleted"], member)
    with raises("account_not_found", "PT404"):
        database.call("consume_credits", member, "message", workspace_id=workspace)


def test_an_unknown_id_is_followed_without_a_trace(database: Database) -> None:
    database.run("select credits.follow_account(%s)", uuid4())


def test_a_frozen_account_is_told_so_and_whom_to_write_to(own_database: Database) -> None:
    user = own_database.new_user()
    own_database.run("update credits.settings set support_contact = 'help@example.com'")
    own_database.call("freeze_account", user, "chargeback")
    advice = own_database.call("check_credits", user, "message")
    assert (advice["success"], advice["code"]) == (False, "account_frozen")
    summary = own_database.call("get_credit_summary", user)
    assert (summary["status"], summary["support_contact"]) == ("frozen", "help@example.com")
    with raises("account_frozen", "PT403") as seen:
        own_database.call("consume_credits", user, "message")
    for words in (advice["hint"], summary["message"], seen.hint):
        assert "frozen" in words
        assert "help@example.com" in words
        assert "unfreeze" not in words
    own_database.run("update credits.settings set support_contact = null")
    assert "support" in own_database.call("check_credits", user, "message")["hint"]
