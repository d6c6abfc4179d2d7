"""Work that could not be charged is on record once, whatever became of the account."""

from __future__ import annotations

from uuid import UUID, uuid4

from tests.support.database import Database, call
from tests.support.races import race


def test_it_is_on_record(database: Database, user: UUID) -> None:
    made = database.call("record_uncollected", user, "message", 3, "insufficient_credits", "POST /chat")
    assert (made["amount"], made["account_id"], made["replayed"]) == (3, str(user), False)
    assert database.balance(user)["used"] == 0, "no credits move"
    database.verify(user)


def test_the_same_key_is_one_entry(database: Database, user: UUID) -> None:
    asked = [lambda c: call(c, "record_uncollected", user, "message", 3, "unavailable", None, "k")] * 10
    outcomes = race(database, asked)
    assert sorted(outcome["replayed"] for outcome in outcomes) == [False] + [True] * 9
    assert database.call("list_uncollected", user)["totals"] == {"message": 3}


def test_an_account_that_is_gone_is_no_reason_to_forget(database: Database) -> None:
    nobody = uuid4()
    database.call("record_uncollected", nobody, "message", 1, "account_not_found")
    assert database.call("list_uncollected", nobody)["totals"] == {"message": 1}


def test_a_workspace_may_be_who_was_to_pay(database: Database, user: UUID) -> None:
    team = uuid4()
    database.call("record_uncollected", user, "message", 2, "unavailable", workspace_id=team)
    [row] = database.call("list_uncollected", workspace_id=team)["rows"]
    assert (row["user_id"], row["account_id"]) == (str(user), str(team))
