"""What no other test noticed when a small fault was put into a function (docs/mutation.md)."""

from __future__ import annotations

from uuid import UUID

from tests.support.database import Database


def test_a_grant_that_is_held_as_a_whole_has_no_row_in_a_spend_that_passes_it_by(
    database: Database, user: UUID
) -> None:
    held = database.call("grant_credits", user, "message", 5, source="promotion")["grant_id"]
    database.call("reserve_credits", user, "message", 5)
    database.call("grant_credits", user, "message", 3, source="promotion")
    spent = database.call("consume_credits", user, "message", 6)
    rows = database.query(
        "select grant_id, amount from public.credit_transactions where operation_id = %s", UUID(spent["operation_id"])
    )
    assert sorted(amount for _, amount in rows) == [-3, -3]
    assert UUID(held) not in {grant for grant, _ in rows}


def test_saying_the_same_status_again_changes_nothing(database: Database, user: UUID) -> None:
    database.call("change_plan", user, "pro")
    database.call("set_subscription_status", user, "past_due")
    row = "select s.xmin::text, to_jsonb(s) from public.subscriptions s where s.account_id = %s"
    [before] = database.query(row, user)
    database.call("set_subscription_status", user, "past_due")
    assert database.query(row, user) == [before]


def test_the_greatest_amount_may_have_metadata(database: Database, user: UUID) -> None:
    answer = database.call("consume_credits", user, "message", 2**53, metadata={"any": "thing"})
    assert answer["code"] == "insufficient_credits"
