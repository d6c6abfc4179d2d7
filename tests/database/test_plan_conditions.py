"""A plan's price, its grace and which one is the default may change: what has happened is judged as it was then."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from tests.support.database import Database
from tests.support.timed import Timed

CHANGES = {
    "the grace": "update plans set past_due_grace = '1 hour'",
    "a price that goes": "update plans set price_cents = 0 where id = 'starter'",
    "another default": """
        insert into plans (id, name, rank, price_cents) values ('lite', 'Lite', 5, 0);
        insert into plan_limits (plan_id, credit_type, allowance) values ('lite', 'message', 3), ('lite', 'project', 1);
        update plans set is_default = false where id = 'free';
        update plans set is_default = true where id = 'lite'""",
    "a price that comes": """
        update plans set is_default = false where id = 'free';
        update plans set is_default = true, price_cents = 0 where id = 'elite';
        update plans set price_cents = 500 where id = 'free'""",
}


def utc(month: int, day: int) -> datetime:
    return datetime(2055, month, day, tzinfo=UTC)


def state(user: Timed) -> tuple[str, str, int | None]:
    [(plan, status)] = user.database.query(
        "select plan_id, status from public.subscriptions where account_id = %s", user.id
    )
    return plan, status, user.remaining


def refold(database: Database, user: UUID) -> None:
    """What any news does: all that happened is read again."""
    database.run("select credits.refold(%s, clock_timestamp())", user)


@pytest.mark.parametrize("change", CHANGES)
def test_what_has_happened_is_not_read_otherwise(own_database: Database, change: str) -> None:
    free, owing, canceled, left = (Timed(own_database, start=utc(2, 20)) for _ in range(4))
    free.call("consume_credits", "message", 4)
    for user in (owing, canceled, left):
        user.at(utc(3, 1)).call("change_plan", "starter")
        user.call("consume_credits", "message", 30)
    owing.at(utc(4, 1)).call("set_subscription_status", "past_due")
    owing.at(utc(4, 2))
    canceled.call("set_subscription_status", "canceled")
    left.at(utc(4, 1)).call("set_subscription_status", "past_due")
    left.at(utc(4, 2)).call("set_subscription_status", "canceled")
    users = (free, owing, canceled, left)
    before = [state(user) for user in users]
    own_database.run(CHANGES[change])
    for user in users:
        refold(own_database, user.id)
        user.call("consume_credits", "message", 10**9)
        user.verify()
    assert [state(user) for user in users] == before
    # What was on its way goes on as it was: three days of grace, then the plan that was the default one.
    assert state(owing.at(utc(4, 3)))[2] == 100
    assert state(owing.at(utc(4, 4)))[2] == 0
    assert state(canceled.at(utc(4, 1))) == ("free", "active", 10)
    assert state(free.at(utc(3, 29))) == ("free", "active", 10)
    for user in users:
        user.verify()
    assert state(Timed(own_database))[0] == own_database.value("select id from plans where is_default")


def test_nor_is_it_for_an_account_that_lives_by_the_real_clock(own_database: Database) -> None:
    user = own_database.new_user()
    own_database.call("change_plan", user, "starter")
    own_database.call("set_subscription_status", user, "past_due")
    own_database.run("update plans set past_due_grace = '0', price_cents = 0 where id = 'starter'")
    refold(own_database, user)
    assert own_database.balance(user)["remaining"] == 100
    # A payment that fails from now on has no grace.
    other = own_database.new_user()
    own_database.call("change_plan", other, "builder")
    own_database.run("update plans set past_due_grace = '0' where id = 'builder'")
    own_database.call("set_subscription_status", other, "past_due")
    assert own_database.balance(other)["remaining"] == 0
    for account in (user, other):
        own_database.verify(account)


def test_another_default_plan_brings_nobody_free_credits_again(own_database: Database) -> None:
    address = f"{uuid4().hex}@example.com"
    first = own_database.new_user(email=address)
    own_database.call("consume_credits", first, "message", 8)
    workspace = UUID(own_database.call("create_workspace", first, "Team")["workspace_id"])
    own_database.run(CHANGES["another default"])
    refold(own_database, workspace)
    own_database.run("update credits.balances set due_at = '-infinity' where account_id = %s", workspace)
    assert own_database.balance(workspace)["remaining"] == 0
    own_database.run("delete from auth.users where id = %s", first)
    second = own_database.new_user(email=address)
    # The new default plan has 3, and 2 of the month were left.
    assert own_database.balance(second)["remaining"] == 2
    own_database.verify()


def test_a_period_that_nobody_has_booked_keeps_the_figures_it_began_with(own_database: Database) -> None:
    user = Timed(own_database, start=utc(2, 20), plan="starter")
    user.at(utc(4, 25))
    assert user.remaining == 100
    own_database.run("update plan_limits set allowance = 40 where plan_id = 'starter' and credit_type = 'message'")
    own_database.run("update credits.balances set due_at = '-infinity' where account_id = %s", user.id)
    assert user.remaining == 100
    # Late news of the period reads it with the figures that were on sale when its clock passed its start.
    user.call("set_subscription_status", "past_due", at=utc(4, 24))
    user.call("set_subscription_status", "active")
    assert user.remaining == 100
    assert user.at(utc(5, 21)).remaining == 40
    user.verify()
