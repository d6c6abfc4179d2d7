"""`reset_monthly_credits`: with a user it restarts the allowance now, without one it books what has fallen due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from tests.support.database import Database
from tests.support.races import slug
from tests.support.sources import source
from tests.support.timed import Timed


@pytest.fixture
def user(database: Database) -> Timed:
    return Timed(database, plan="starter")


def test_the_allowance_starts_again_and_the_period_stays(user: Timed) -> None:
    user.call("consume_credits", "message", 70)
    before = user.balance()
    answer = user.wait(days=3).call("reset_monthly_credits")
    after = user.balance()
    assert (after["remaining"], after["used"]) == (100, 0)
    assert (after["period_start"], after["period_end"]) == (before["period_start"], before["period_end"])
    assert {b["credit_type"]: b["remaining"] for b in answer["balances"]}["message"] == 100
    # The old remainder is booked out, the new allowance in.
    assert [(e["kind"], e["amount"]) for e in user.entries()[-2:]] == [("void", -30), ("grant", 100)]
    user.verify()


def test_twice_in_a_row_it_leaves_the_same_balance_as_once(user: Timed) -> None:
    user.call("consume_credits", "message", 70)
    user.call("reset_monthly_credits")
    once = user.balance()
    user.call("reset_monthly_credits")
    assert user.balance() == once
    user.verify()


def test_top_ups_promotions_projects_and_holds_are_not_touched(user: Timed) -> None:
    user.call("grant_credits", "message", 7)
    user.call("grant_credits", "message", 50, "top_up")
    user.call("consume_credits", "project", 4)
    user.call("consume_credits", "message", 17)
    hold = user.call("reserve_credits", "message", 20)["reservation_id"]
    user.call("reset_monthly_credits")
    assert (user.remaining, user.balance()["reserved"]) == (100 + 50, 20)
    assert user.balance("project")["used"] == 4
    # The hold is on the old allowance: what it does not use is gone with it.
    assert user.call("capture_credits", hold, 5)["remaining"] == 150
    user.verify()


def test_after_a_smaller_plan_it_restarts_the_smaller_allowance(user: Timed) -> None:
    user.call("change_plan", "free")
    assert user.remaining == 100
    user.call("reset_monthly_credits")
    assert user.remaining == 10
    user.verify()


def test_it_opens_no_way_to_more_by_switching_plans_afterwards(user: Timed) -> None:
    user.call("change_plan", "elite")
    user.call("reset_monthly_credits")
    assert user.remaining == 1200
    for plan in ("starter", "elite", "free", "elite"):
        user.call("change_plan", plan)
    assert user.remaining == 1200
    user.verify()


def test_without_a_user_everybody_who_is_due_is_renewed_and_counted(own_database: Database) -> None:
    due = [Timed(own_database) for _ in range(3)]
    later = Timed(own_database)
    closed = Timed(own_database)
    own_database.run("delete from auth.users where id = %s", closed.id)
    for user in due:
        user.call("consume_credits", "message", 10)
        user.at(user.period_end)
    assert own_database.call("system_status")["due"] == 3
    assert own_database.call("reset_monthly_credits")["accounts"] == 3
    assert own_database.call("system_status")["due"] == 0
    assert own_database.call("reset_monthly_credits")["accounts"] == 0
    for user in due:
        assert user.entries()[-1]["amount"] == 10
    assert len(later.entries()) == 1
    own_database.verify()


def test_a_plan_whose_time_has_come_shows_without_a_job(
    own_database: Database,
) -> None:
    user = Timed(own_database, plan="pro")
    user.call("change_plan", "starter", effective="period_end")
    user.at(user.period_end)
    for credit_type in ("message", "integration", "project"):
        user.call("consume_credits", credit_type)
    row = "select plan_id, pending_plan_id from public.subscriptions where account_id = %s"
    assert own_database.query(row, user.id) == [("starter", None)]
    assert user.call("get_credit_summary")["plan"] == "starter"
    own_database.verify()


def test_whether_a_job_runs_or_not_the_balances_are_the_same(database: Database) -> None:
    user = Timed(database, plan="pro")
    for _ in range(5):
        user.call("consume_credits", "message", 7)
        user.call("reserve_credits", "message", 5, ttl_seconds=3600)
        user.call("grant_credits", "message", 9, expires_at=user.now + timedelta(days=19))
        user.wait(days=20)
        seen = [user.balance(t) for t in ("message", "integration", "project")]
        ledger = user.entries()
        database.call("reset_monthly_credits")
        assert user.entries() != ledger
        assert [user.balance(t) for t in ("message", "integration", "project")] == seen
    user.verify()


def test_a_busy_account_is_left_to_whoever_keeps_it_busy(own_database: Database) -> None:
    busy, idle = Timed(own_database), Timed(own_database)
    for user in (busy, idle):
        user.at(user.period_end)
    with own_database.connect(autocommit=False) as connection:
        own_database.call("consume_credits", busy.id, "integration", connection=connection)
        own_database.run("set lock_timeout = '5s'")
        assert own_database.call("reset_monthly_credits")["accounts"] == 1
        connection.commit()
    assert own_database.call("reset_monthly_credits")["accounts"] == 1
    own_database.verify()


def test_without_pg_cron_nothing_is_missing(database: Database) -> None:
    status = database.call("system_status")
    assert status["scheduler"] is None
    user = Timed(database)
    user.call("consume_credits", "message", 10)
    assert user.at(user.period_end + timedelta(days=3)).remaining == 10


def test_with_pg_cron_the_migration_schedules_the_job(own_database: Database) -> None:
    """There is no pg_cron here, so its two names stand in for it."""
    text = source("schedule_jobs").replace("pg_catalog.pg_extension e where e.extname = 'pg_cron'", "cron.installed")
    own_database.run(
        "create schema cron; create table cron.installed (); insert into cron.installed default values;"
        "create table cron.jobs (name text, schedule text, command text);"
        "create function cron.schedule(text, text, text) returns void language sql as "
        "'insert into cron.jobs values ($1, $2, $3)'"
    )
    own_database.run(text.replace("%", "%%"))
    jobs = dict(own_database.query("select name, array[schedule, command] from cron.jobs"))
    assert jobs["sonas-renew-credits"][0] == "* * * * *"
    for _, command in jobs.values():
        own_database.run(command)


def test_the_job_cannot_fail_for_one_account_that_is_refused(own_database: Database) -> None:
    frozen = Timed(own_database)
    frozen.call("freeze_account")
    frozen.at(frozen.period_end)
    try:
        answer = own_database.call("reset_monthly_credits")
    except psycopg.Error as error:
        raise AssertionError(slug(error)) from error
    assert answer["accounts"] == 1


def test_an_account_that_cannot_be_renewed_does_not_keep_the_others_from_it(own_database: Database) -> None:
    users = [own_database.new_user() for _ in range(3)]
    own_database.run(
        "create function public.refuse() returns trigger language plpgsql as 'begin raise exception ''broken''; end'"
    )
    own_database.run(
        "create trigger refuse before insert on public.credit_grants for each row"
        f" when (new.account_id = '{users[1]}') execute function public.refuse()"
    )
    for user in users:
        own_database.call("mark_test_account", user)
        own_database.call("set_test_clock", user, datetime.now(UTC) + timedelta(days=40))
    assert own_database.call("reset_monthly_credits")["accounts"] == 2
    assert own_database.call("reset_monthly_credits")["accounts"] == 0
    assert own_database.call("system_status")["due"] == 1
