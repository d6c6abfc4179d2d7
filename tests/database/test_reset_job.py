"""The job that renews accounts: whom it passes by, and what a restart leaves behind."""

from __future__ import annotations

import time
from datetime import datetime

from tests.support.database import Database
from tests.support.people import all_due
from tests.support.races import weaken
from tests.support.timed import Timed


def due_at(user: Timed, credit_type: str = "message") -> datetime:
    due: datetime = user.database.value(
        "select due_at from credits.balances where account_id = %s and credit_type = %s", user.id, credit_type
    )
    return due


def test_what_was_held_of_a_restarted_allowance_does_not_come_back(database: Database) -> None:
    user = Timed(database)
    user.call("reserve_credits", "message", 4, ttl_seconds=60)
    user.call("reset_monthly_credits")
    allowance = user.balance()["allowance"]
    assert user.wait(minutes=2).remaining == allowance
    assert user.call("consume_credits", "message", 1)["remaining"] == allowance - 1


def test_the_job_goes_on_when_all_accounts_of_a_batch_are_busy(own_database: Database) -> None:
    own_database.run("insert into auth.users (id) select gen_random_uuid() from generate_series(1, 501)")
    own_database.run("update credits.balances set due_at = '-infinity'")
    last = own_database.value("select account_id from credits.accounts order by account_id desc limit 1")
    with own_database.connect(autocommit=False) as busy:
        busy.execute("select from credits.balances where account_id <> %s for update", [last])
        own_database.call("reset_monthly_credits")
    due = "select distinct account_id = %s from credits.balances where due_at = '-infinity' and kind = 'credit'"
    assert own_database.query(due, last) == [(False,)]


def test_the_job_leaves_closed_accounts_alone(own_database: Database) -> None:
    user = Timed(own_database)
    user.at(user.period_end)
    own_database.run("delete from auth.users where id = %s", user.id)
    before = user.entries()
    assert own_database.call("reset_monthly_credits")["accounts"] == 0
    assert user.entries() == before


def test_the_job_passes_by_an_account_that_somebody_keeps_busy(own_database: Database) -> None:
    user = Timed(own_database, plan="pro")
    user.call("change_plan", "free", effective="period_end")
    user.at(user.period_end)
    with own_database.connect(autocommit=False) as busy:
        busy.execute("select from credits.balances where account_id = %s for update", [user.id])
        began = time.monotonic()
        assert own_database.call("reset_monthly_credits")["accounts"] == 0
        assert time.monotonic() - began < 30
    assert own_database.call("reset_monthly_credits")["accounts"] == 1


def test_a_call_keeps_its_accounts_for_a_moment_and_says_whether_there_are_more(own_database: Database) -> None:
    all_due(own_database, 210)
    # Each account takes its time: then the call ends with the twentieth.
    lock = "perform credits.lock_account(p_account_id);"
    weaken(own_database, "credits.renew(uuid)", lock, f"perform pg_sleep(0.006); {lock}")
    due = "select count(distinct account_id) from credits.balances where due_at = '-infinity' and kind = 'credit'"
    assert own_database.call("reset_monthly_credits")["more"] is True
    assert own_database.value(due) == 190
    weaken(own_database, "credits.renew(uuid)", "perform pg_sleep(0.006);")
    answers = [own_database.call("reset_monthly_credits") for _ in range(10)]
    assert own_database.value(due) == 0
    assert answers[-1]["more"] is False
