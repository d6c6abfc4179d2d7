"""An account that closes while something else happens to it."""

from __future__ import annotations

from uuid import UUID

from tests.support.database import Database
from tests.support.races import PATIENCE, wait_until_blocked


def test_an_account_that_closes_while_it_is_being_frozen_stays_closed(database: Database, user: UUID) -> None:
    with database.connect(autocommit=False) as leaving, database.connect() as freezing:
        leaving.execute("delete from auth.users where id = %s", [user])
        # The account is closed at the end of the transaction, just before it is committed.
        leaving.execute("set constraints all immediate")
        freezing.execute(f"set lock_timeout = {int(PATIENCE * 1000)}")
        freezing.pgconn.send_query(f"select public.freeze_account('{user}')".encode())
        wait_until_blocked(database, freezing)
        leaving.commit()
        answer, end = freezing.pgconn.get_result(), freezing.pgconn.get_result()
        assert answer is not None
        assert (answer.error_message, end) == (b"", None)
    assert database.value("select status from credits.accounts where account_id = %s", user) == "closed"
    assert database.query("select distinct account_status from credits.balances where account_id = %s", user) == [
        ("closed",)
    ]


def test_a_user_who_is_deleted_waits_for_a_spend_without_standing_in_its_way(database: Database, user: UUID) -> None:
    """Locks are taken in one order: who leaves has none of the account while waiting for the first of its balances."""
    with database.connect(autocommit=False) as spending, database.connect() as leaving:
        spending.execute("select public.consume_credits(%s, 'integration')", [user])
        leaving.execute(f"set lock_timeout = {int(PATIENCE * 1000)}")
        leaving.pgconn.send_query(f"delete from auth.users where id = '{user}'".encode())
        wait_until_blocked(database, leaving)
        spending.execute("select public.freeze_account(%s)", [user])
        spending.commit()
        answer, end = leaving.pgconn.get_result(), leaving.pgconn.get_result()
        assert answer is not None
        assert (answer.error_message, end) == (b"", None)
    assert database.value("select status from credits.accounts where account_id = %s", user) == "closed"
