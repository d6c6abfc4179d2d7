"""What the summary, a check and a denial say about one account."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import pytest

from tests.support.database import Database
from tests.support.errors import raises
from tests.support.timed import Timed


def due_at(user: Timed, credit_type: str = "message") -> datetime:
    due: datetime = user.database.value(
        "select due_at from credits.balances where account_id = %s and credit_type = %s", user.id, credit_type
    )
    return due


@pytest.mark.parametrize(("used", "held", "percent"), [(1, 5, 20), (4, 5, 80), (0, 8, 0)])
def test_the_percentage_is_what_was_used_of_that_and_what_can_be_spent(
    database: Database, user: UUID, used: int, held: int, percent: int
) -> None:
    if used:
        database.call("consume_credits", user, "message", used)
    database.call("reserve_credits", user, "message", held)
    [shown] = [b for b in database.call("get_credit_summary", user)["balances"] if b["credit_type"] == "message"]
    assert shown["percent_used"] == percent
    assert shown["warning"] == ("low" if percent >= 80 else None)


def test_a_frozen_account_says_so_in_both_places(database: Database, user: UUID) -> None:
    database.call("freeze_account", user, "looked into")
    row = "select a.status, a.frozen_reason from credits.accounts a where a.account_id = %s"
    assert database.query(row, user) == [("frozen", "looked into")]
    assert database.query("select distinct account_status from credits.balances where account_id = %s", user) == [
        ("frozen",)
    ]
    database.call("unfreeze_account", user)
    assert database.query(row, user) == [("active", None)]


def test_a_denial_says_what_is_neither_held_nor_withheld(database: Database) -> None:
    user = Timed(database)
    user.call("grant_credits", "message", 4, source="promotion")
    database.run(
        "update public.credit_grants set starts_at = starts_at + interval '1 day' "
        "where account_id = %s and source = 'promotion'",
        user.id,
    )
    database.run("update credits.balances set due_at = '-infinity' where account_id = %s", user.id)
    user.call("reserve_credits", "message", 3)
    denied = user.call("consume_credits", "message", 100)
    assert (denied["details"]["required"], denied["details"]["available"]) == (100, user.remaining)
    assert user.remaining == user.balance()["allowance"] - 3


@pytest.mark.parametrize("function", ["get_credit_summary", "get_credit_history"])
def test_the_service_role_says_for_whom_it_reads(database: Database, function: str) -> None:
    with raises("invalid_argument", "PT422") as seen:
        database.call(function, None)
    assert seen.details["argument"] == "p_user_id"


def test_the_grants_of_the_summary_are_in_burn_order_and_still_there(database: Database) -> None:
    user = Timed(database)
    user.call("grant_credits", "message", 2, "top_up", expires_at=user.now + timedelta(hours=1))
    revoked = user.call("grant_credits", "message", 4)["grant_id"]
    user.call("reserve_credits", "message", 4)
    user.call("revoke_grant", revoked)
    grants = [g for g in user.call("get_credit_summary")["grants"] if g["credit_type"] == "message"]
    assert [g["source"] for g in grants] == ["plan", "top_up"]
    user.wait(hours=1)
    grants = [g for g in user.call("get_credit_summary")["grants"] if g["credit_type"] == "message"]
    assert [g["source"] for g in grants] == ["plan"]


def test_a_check_that_is_refused_says_what_is_available_beside_a_hold(database: Database) -> None:
    user = Timed(database)
    user.call("reserve_credits", "message", 4)
    answer = user.call("check_credits", "message", 7)
    assert (answer["remaining"], answer["details"]["available"]) == (6, 6)
