"""What time brings is found, once; what is old is forgotten."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.messages.support import add_webhook, announce, claim, settle
from tests.messages.test_levels import news
from tests.support.database import Database


def test_credits_that_expire_within_a_week_are_told_once(own_database: Database) -> None:
    user = own_database.new_user()
    now = datetime.now(UTC)
    for days in (3, 8):
        own_database.call("grant_credits", user, "message", days, "top_up", expires_at=now + timedelta(days=days))
    for _ in range(2):
        own_database.call("tend_messages")
    assert own_database.query(
        "select data -> 'remaining' from credits.outbox where kind = 'credits.expiring' and account_id = %s", user
    ) == [(3,)]


def test_a_test_account_has_its_own_time(own_database: Database) -> None:
    user = own_database.new_user()
    own_database.call("mark_test_account", user)
    now = datetime.now(UTC)
    own_database.call("change_plan", user, "pro")
    own_database.call("set_subscription_status", user, "trialing", ends_at=now + timedelta(days=14))
    own_database.call("tend_messages")
    assert news(own_database, user, "trial.ending") == []
    own_database.call("set_test_clock", user, now + timedelta(days=12))
    for _ in range(2):
        own_database.call("tend_messages")
    assert news(own_database, user, "trial.ending") == [("trial.ending", None)]


def test_what_was_delivered_is_forgotten_after_its_retention_and_what_waits_is_not(own_database: Database) -> None:
    from uuid import uuid4

    user = own_database.new_user()
    add_webhook(own_database, user)
    announce(own_database, user, "credits.renewed")
    lease = uuid4()
    [claimed] = claim(own_database, lease=lease)
    settle(own_database, lease, claimed, "delivered")
    announce(own_database, user, "credits.renewed")
    own_database.call("tend_messages")
    own_database.run("update credits.outbox set routed_at = now() - interval '40 days'")
    assert own_database.call("tend_messages")["forgotten"] == 0
    own_database.run("update credits.deliveries set settled_at = settled_at - interval '40 days'")
    own_database.run("update public.credit_notifications set created_at = now() - interval '40 days'")
    assert own_database.call("tend_messages")["forgotten"] == 1
    assert own_database.value("select count(*) from credits.outbox") == 1
    assert own_database.value("select count(*) from public.credit_notifications") == 0


def test_where_no_worker_runs_the_job_forgets_what_nobody_came_for(own_database: Database) -> None:
    user = own_database.new_user()
    for _ in range(2):
        announce(own_database, user)
    own_database.run(
        "update credits.outbox set created_at = now() - interval '40 days' "
        "where n = (select min(n) from credits.outbox)"
    )
    own_database.call("reset_monthly_credits")
    assert own_database.value("select count(*) from credits.outbox") == 1


def test_who_starts_a_worker_late_mails_no_old_news(own_database: Database) -> None:
    user = own_database.new_user()
    for kind in ("credits.level", "payment.failed"):
        announce(own_database, user, kind)
    own_database.run("update credits.outbox set created_at = now() - interval '5 days'")
    [mail] = claim(own_database)
    assert [m["kind"] for m in mail["messages"]] == ["payment.failed"]
