"""Limits: what exists is counted, whatever else happens to the allowance."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from tests.support.database import Database
from tests.support.errors import raises
from tests.support.timed import Timed


def due_at(user: Timed, credit_type: str = "message") -> datetime:
    due: datetime = user.database.value(
        "select due_at from credits.balances where account_id = %s and credit_type = %s", user.id, credit_type
    )
    return due


def test_the_allowance_of_a_limit_cannot_be_revoked(database: Database, user: UUID) -> None:
    grant = database.value(
        "select id from public.credit_grants where account_id = %s and credit_type = 'project' and source = 'plan'",
        user,
    )
    with raises("invalid_argument", "PT422") as seen:
        database.call("revoke_grant", user, grant)
    assert seen.details["argument"] == "p_grant_id"
    assert database.balance(user, "project")["remaining"] == 3


class TestLimit:
    def test_what_is_spent_and_held_stays_so_when_something_falls_due(self, database: Database) -> None:
        user = Timed(database)
        user.call("grant_credits", "project", 5, source="top_up")
        user.call("consume_credits", "project", 1)
        user.call("reserve_credits", "project", 3, ttl_seconds=3600)
        user.call("reserve_credits", "project", 1, ttl_seconds=60)
        user.call("consume_credits", "project", 2)
        shown = user.wait(minutes=2).balance("project")
        assert (shown["reserved"], shown["remaining"]) == (3, 2)
        database.run("update credits.balances set due_at = '-infinity' where account_id = %s", user.id)
        assert user.balance("project") == shown
        user.call("consume_credits", "project", 1)
        assert user.balance("project") == shown | {"used": shown["used"] + 1, "remaining": 1}
        assert user.entries("expire", credit_type="project") == []
        user.verify()


def test_what_is_granted_on_top_of_a_limit_takes_nothing_of_it(database: Database) -> None:
    user = Timed(database)
    user.call("grant_credits", "project", 5, source="top_up")
    allowance = user.balance("project")["allowance"]
    first = user.call("consume_credits", "project", allowance - 1)["operation_id"]
    user.call("consume_credits", "project", 2)
    user.call("refund_credits", first)
    user.call("reserve_credits", "project", 1, ttl_seconds=60)
    shown = user.wait(minutes=2).balance("project")
    assert shown["remaining"] == 4 + allowance - 1
    assert user.call("consume_credits", "project", 1)["remaining"] == shown["remaining"] - 1
    user.verify()


def test_an_allowance_of_nothing_leaves_no_row(database: Database) -> None:
    database.run("insert into plans (id, name, rank, price_cents) values ('empty', 'Empty', 81, 900)")
    database.run("insert into plan_limits (plan_id, credit_type, allowance) values ('empty', 'message', 0)")
    user = Timed(database)
    user.call("change_plan", "empty")
    before = user.entries()
    user.wait(hours=1).call("reset_monthly_credits")
    assert user.entries() == before
    assert [entry for entry in user.entries() if entry["amount"] == 0] == []
