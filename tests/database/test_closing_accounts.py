"""An account that closes while something else happens to it."""

from __future__ import annotations

from uuid import UUID

from tests.support.database import Database


def test_an_account_that_is_frozen_while_its_user_is_deleted_is_closed(database: Database, user: UUID) -> None:
    with database.connect(autocommit=False) as leaving:
        leaving.execute("delete from auth.users where id = %s", [user])
        database.call("freeze_account", user)
        leaving.commit()
    assert database.value("select status from credits.accounts where account_id = %s", user) == "closed"
    assert database.query("select distinct account_status from credits.balances where account_id = %s", user) == [
        ("closed",)
    ]


def test_a_user_who_is_deleted_waits_for_no_spend_and_stands_in_no_ones_way(database: Database, user: UUID) -> None:
    """The deletion takes no lock that a spend holds; the account is closed as soon as it is free."""
    with database.connect(autocommit=False) as spending:
        spending.execute("select public.consume_credits(%s, 'integration')", [user])
        database.run("delete from auth.users where id = %s", user)
        spending.commit()
    database.run("select credits.tend_accounts()")
    assert database.value("select status from credits.accounts where account_id = %s", user) == "closed"
