"""What the status of the system counts."""

from __future__ import annotations

import psycopg

from tests.support.database import Database
from tests.support.timed import Timed


class TestSystemStatus:
    def test_what_falls_due_at_this_very_instant_is_due(self, own_database: Database) -> None:
        user = own_database.new_user()
        with own_database.connect() as connection:
            # One statement: all of it sees the same instant.
            connection.execute(
                f"""
                do $$ begin
                  update credits.balances set due_at = statement_timestamp()
                  where account_id = '{user}' and credit_type = 'message';
                  create temp table seen as select public.system_status() as status;
                end $$
                """
            )
            [status] = connection.execute("select status from seen").fetchone() or [None]
        assert (status["due"], status["oldest_due_at"]) == (1, status["now"])

    def test_so_is_what_falls_due_at_the_instant_of_a_test_clock(self, own_database: Database) -> None:
        user = Timed(own_database)
        own_database.run(
            "update credits.balances set due_at = test_now where account_id = %s and credit_type = 'message'", user.id
        )
        status = own_database.call("system_status")
        assert (status["due"], status["oldest_due_at"]) == (1, None)

    def test_the_size_of_the_ledger_is_what_postgres_counted_last(self, own_database: Database) -> None:
        own_database.new_user()
        with psycopg.connect(own_database.superuser_url, autocommit=True) as connection:
            connection.execute("analyze public.credit_transactions")
        rows = own_database.value("select count(*) from public.credit_transactions")
        assert own_database.call("system_status")["transactions_estimate"] == rows > 0


def test_the_accounts_of_a_system_are_those_that_are_not_closed(own_database: Database) -> None:
    for _ in range(3):
        own_database.new_user()
    left = own_database.new_user()
    own_database.run("delete from auth.users where id = %s", left)
    own_database.run("update credits.balances set due_at = '2020-01-01' where account_id = %s", left)
    status = own_database.call("system_status")
    assert (status["accounts"], status["due"], status["oldest_due_at"]) == (3, 0, None)
    overdue = "update credits.balances set due_at = '2020-01-01' where account_status <> 'closed'"
    own_database.run(overdue)
    status = own_database.call("system_status")
    assert (status["due"], status["oldest_due_at"][:10]) == (3, "2020-01-01")
