"""What no other test noticed when a small fault was put into a function that only reads (docs/mutation.md)."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

from tests.support.database import Database
from tests.support.errors import raises
from tests.support.timed import Timed


def test_what_lapses_at_a_capture_is_related_to_it_and_no_refund(database: Database) -> None:
    user = Timed(database)
    user.call("grant_credits", "message", 5, expires_at=user.now + timedelta(hours=1))
    hold = user.call("reserve_credits", "message", 5, ttl_seconds=7200)
    user.wait(minutes=90).call("capture_credits", hold["reservation_id"], 2)
    other = user.call("consume_credits", "message", 1)["operation_id"]
    refund = user.call("refund_credits", other)["operation_id"]
    explained = user.call("explain_operation", hold["operation_id"])
    assert [(r["kind"], r["amount"]) for r in explained["related"]] == [("expire", -3)]
    assert (explained["refunded"], explained["refunds"]) == (0, [])
    explained = user.call("explain_operation", other)
    assert explained["related"] == []
    assert [(r["operation_id"], r["amount"]) for r in explained["refunds"]] == [(refund, 1)]


def test_an_operation_of_nobody_is_not_found_where_there_are_others(database: Database) -> None:
    user = Timed(database)
    user.call("reserve_credits", "message", 1)
    user.call("consume_credits", "message", 100)
    with raises("operation_not_found", "PT404"):
        user.call("explain_operation", uuid4())


def test_entries_of_one_instant_come_with_the_last_one_first(database: Database) -> None:
    user = Timed(database)
    user.call("grant_credits", "message", 3)
    user.wait(seconds=1).call("consume_credits", "message", 5)
    versions = [e["version"] for e in user.call("get_credit_history", "message")["rows"][:2]]
    assert versions == [e["version"] for e in reversed(user.entries("consume"))]


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


def test_a_time_zone_that_does_not_exist_is_refused(database: Database) -> None:
    user = Timed(database)
    with raises("invalid_argument", "PT422") as seen:
        user.call("set_time_zone", "Mars/Olympus")
    assert seen.details["argument"] == "p_time_zone"


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
