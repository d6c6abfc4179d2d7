"""`explain_balance` and `find_operation` tell from the ledger where credits went, and every figure adds up."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from sonas_cli.explain import tell as tell_operation
from sonas_cli.why import tell
from sonas_supabase import CreditsClient
from tests.support.database import Database
from tests.support.errors import raises
from tests.support.people import new_workspace

START = datetime(2027, 1, 31, 12, tzinfo=UTC)


def story(database: Database, user: UUID, credit_type: str = "message", **named: Any) -> dict[str, Any]:
    told: dict[str, Any] = database.call("explain_balance", user, credit_type, **named)
    came = told["opening"] + told["granted"] + told["refunded"]
    assert came - told["spent"] - told["expired"] - told["voided"] == told["closing"]
    for key, parts in (("granted", "grants"), ("spent", "spends")):
        assert told[key] == sum(part["amount"] for part in told[parts])
    assert told["expired"] + told["voided"] == sum(part["amount"] for part in told["losses"])
    return told


def test_what_came_and_went_in_this_period(database: Database, user: UUID) -> None:
    spent = [database.call("consume_credits", user, "message", n, "draw a page") for n in (2, 3)]
    database.call("consume_credits", user, "message", 1, "chat")
    database.call("refund_credits", user, spent[1]["operation_id"], 1)
    granted = database.call("grant_credits", user, "message", 20, "goodwill", "sorry")
    database.call("reserve_credits", user, "message", 4, "a long job")
    database.call("consume_credits", user, "message", 1000)
    database.call("revoke_grant", user, granted["grant_id"], reason="a mistake")

    told = story(database, user)
    assert (told["opening"], told["granted"], told["spent"], told["refunded"]) == (0, 30, 6, 1)
    assert (told["voided"], told["expired"], told["closing"]) == (20, 0, 5)
    assert [(part["description"], part["amount"], part["times"]) for part in told["spends"]] == [
        ("draw a page", 5, 2),
        ("chat", 1, 1),
    ]
    assert [(part["source"], part["amount"]) for part in told["grants"]] == [("goodwill", 20), ("plan", 10)]
    assert [(part["kind"], part["description"]) for part in told["losses"]] == [("void", "a mistake")]
    assert [hold["amount"] for hold in told["holds"]] == [4]
    assert (told["denied"], told["reserved"], told["available"]) == (1, 4, 1)
    assert told["largest"][0]["operation_id"] == spent[1]["operation_id"]


def test_the_period_before_and_what_was_due(database: Database, user: UUID) -> None:
    database.call("mark_test_account", user)
    database.call("set_test_clock", user, START)
    database.call("consume_credits", user, "message", 4, "in January")
    january = database.balance(user)
    database.call("set_test_clock", user, START + timedelta(days=40))
    # Nothing has been booked since: the story books it.
    told = story(database, user)
    assert (told["opening"], told["spent"], told["closing"]) == (6, 0, 10)
    assert (told["granted"], told["expired"]) == (10, 6)
    before = story(database, user, since=january["period_start"], until=told["since"])
    assert (before["spent"], before["closing"]) == (4, 6)
    assert before["until"] is not None


def test_since_ever_ends_where_the_balance_is(database: Database, user: UUID) -> None:
    database.call("consume_credits", user, "project", 2)
    told = story(database, user, "project")
    assert (told["since"], told["opening"], told["closing"], told["period_end"]) == (None, 0, 1, None)


def test_a_time_that_ends_before_it_starts(database: Database, user: UUID) -> None:
    with raises("invalid_argument") as seen:
        database.call("explain_balance", user, "message", since=START, until=START)
    assert seen.details["argument"] == "p_until"
    with raises("unknown_credit_type"):
        database.call("explain_balance", user, "massage")
    with raises("account_not_found"):
        database.call("explain_balance", uuid4(), "message")


def test_an_operation_is_found_on_whatever_account(database: Database, user: UUID) -> None:
    workspace = new_workspace(database, user)
    ids = {
        database.call("consume_credits", user, "message", 1)["operation_id"]: None,
        database.call("reserve_credits", user, "message", 1)["operation_id"]: None,
        database.call("consume_credits", user, "message", 1000)["operation_id"]: None,
        database.call("consume_credits", user, "message", 1, workspace_id=workspace)["operation_id"]: str(workspace),
    }
    for operation, paid_by in ids.items():
        found = database.call("find_operation", operation)
        assert (found["user_id"], found["workspace_id"]) == (str(user), paid_by)
        told = database.call("explain_operation", user, operation, workspace_id=paid_by)
        assert told["operation_id"] == operation
    with raises("operation_not_found"):
        database.call("find_operation", uuid4())


def words(database: Database, user: UUID, credit_type: str = "message", **named: Any) -> str:
    client = CreditsClient.from_connection(database.connection)
    return "\n".join(tell(client.explain_balance(user, credit_type, **named)))


def test_in_words(database: Database, user: UUID) -> None:
    for description in ("draw a page", "draw a page", None):
        database.call("consume_credits", user, "message", 2, description)
    database.call("reserve_credits", user, "message", 3, "a long job")
    database.call("consume_credits", user, "message", 1000)
    told = words(database, user)
    assert "there were 0 message credits" in told
    assert "plan — plan allowance" in told
    assert "4  draw a page, 2 times" in told
    assert "2  without a description" in told
    assert "0 + 10 - 6: 4 are left." in told
    assert "3 of them are held for a long job until" in told
    assert "1 attempt was denied" in told
    assert "1 can be spent now; the allowance of 10 renews on" in told
    database.call("change_plan", user, "starter")
    database.call("set_subscription_status", user, "past_due")
    assert "can be spent now." in words(database, user)


@pytest.mark.parametrize(
    ("plan", "expected"),
    [("pro", "The plan has no limit"), ("free", "3 can be spent now.")],
)
def test_a_limit_in_words(database: Database, user: UUID, plan: str, expected: str) -> None:
    if plan != "free":
        database.call("change_plan", user, plan)
    assert expected in words(database, user, "project")


def test_nothing_has_moved(database: Database, user: UUID) -> None:
    told = words(database, user, since=datetime.now(UTC) + timedelta(hours=1))
    assert "Nothing has moved since." in told
    assert "10: 10 are left." in told


def test_very_many_reasons_still_add_up(database: Database, user: UUID) -> None:
    """The database tells the 20 largest of each kind, and what is left of the total is said in one line."""
    database.call("change_plan", user, "pro")
    for number in range(30):
        database.call("consume_credits", user, "integration", 2, f"call {number}")
        grant = database.call("grant_credits", user, "integration", 3, "goodwill", f"gift {number}")["grant_id"]
        database.call("revoke_grant", user, grant, f"mistake {number}")
    told = database.call("explain_balance", user, "integration")
    assert (len(told["spends"]), len(told["grants"]), len(told["losses"])) == (20, 20, 20)
    lines = words(database, user, "integration").splitlines()
    for total, said in (("granted", "came in:"), ("spent", "were spent:"), ("voided", "lapsed unspent:")):
        heading = f"{told[total] + (told['expired'] if total == 'voided' else 0):,} {said}"
        at = lines.index(heading) + 1
        listed = [int(line.split()[0].replace(",", "")) for line in lines[at : at + 9]]
        assert sum(listed) == int(heading.split(maxsplit=1)[0].replace(",", ""))
        assert lines[at + 8].endswith("for other reasons")


def test_one_is_said_as_one(database: Database, user: UUID) -> None:
    database.call("consume_credits", user, "message", 1, "a page")
    assert "1 was spent:" in words(database, user)


def test_times_are_utc_wherever_the_shell_is(
    database: Database, user: UUID, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """What is shown may be passed to --since as it stands."""
    request.addfinalizer(time.tzset)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    start = datetime.fromisoformat(database.balance(user)["period_start"]).astimezone(UTC)
    assert f"On {start:%Y-%m-%d %H:%M} UTC there were 0 message credits." in words(database, user)


def explained(database: Database, user: UUID, operation: str, **named: Any) -> str:
    client = CreditsClient.from_connection(database.connection)
    return "\n".join(tell_operation(client.explain_operation(user, operation, **named)))


def test_an_operation_in_words(database: Database, user: UUID) -> None:
    call = database.call
    gift = call("grant_credits", user, "message", 5, "promotion", "welcome", START)
    spent = call("consume_credits", user, "message", 12, "draw a page")["operation_id"]
    assert "12 message credits were spent on" in explained(database, user, spent)
    assert explained(database, user, spent).endswith(": draw a page")
    refund = call("refund_credits", user, spent, 4, "it failed")["operation_id"]
    assert f"4 of it came back with the operation {refund}." in explained(database, user, spent)
    assert "4 message credits came back on" in explained(database, user, refund)
    assert f"It belongs to the operation {spent}." in explained(database, user, refund)
    denied = call("consume_credits", user, "message", 1000, "a book")["operation_id"]
    assert "An attempt to spend message credits was denied on" in explained(database, user, denied)
    assert "Nothing was taken." in explained(database, user, denied)
    assert "5 message credits were granted on" in explained(database, user, gift["operation_id"])
    gift = call("grant_credits", user, "message", 5, "promotion", "once more")
    void = call("revoke_grant", user, gift["grant_id"], "a mistake")["operation_id"]
    assert "5 message credits were taken back on" in explained(database, user, void)


def test_a_hold_in_words(database: Database, user: UUID) -> None:
    def hold(amount: int = 3) -> dict[str, Any]:
        told: dict[str, Any] = database.call("reserve_credits", user, "message", amount, "a long job")
        return told

    held = hold()
    assert "They are held until" in explained(database, user, held["operation_id"])
    database.call("release_credits", user, held["reservation_id"], "not needed")
    assert "The hold was released; all of it went back: not needed" in explained(database, user, held["operation_id"])
    held = hold()
    database.call("capture_credits", user, held["reservation_id"], 2)
    assert "3 had been held; 1 of them went back." in explained(database, user, held["operation_id"])
    held = hold(8)
    database.call("capture_credits", user, held["reservation_id"], 11)
    told = explained(database, user, held["operation_id"])
    assert "8 message credits were spent, out of a hold, on" in told
    assert "It cost 3 more, which the account did not have: the shortfall was not charged." in told


def test_a_hold_that_has_expired_in_words(database: Database, user: UUID) -> None:
    database.call("mark_test_account", user)
    database.call("set_test_clock", user, START)
    held = database.call("reserve_credits", user, "message", 3)
    database.call("set_test_clock", user, START + timedelta(hours=1))
    assert "The hold expired on 2027-01-31 12:15 UTC; all of it went back." in explained(
        database, user, held["operation_id"]
    )


def test_credits_of_two_types_are_no_sum(database: Database, user: UUID) -> None:
    database.call("consume_credits", user, "integration", 7)
    reset = database.call("reset_monthly_credits", user)["operation_id"]
    told = database.call("explain_operation", user, reset)
    assert (told["credit_type"], told["amount"]) == ("integration", 100)
    assert [(entry["credit_type"], entry["amount"]) for entry in told["entries"]] == [
        ("integration", 100),
        ("message", 10),
    ]
    assert "100 integration and 10 message credits were granted on" in explained(database, user, reset)


def test_a_change_of_the_plan_in_words(database: Database, user: UUID) -> None:
    changed = database.call("change_plan", user, "pro", idempotency_key="upgrade")["operation_id"]
    assert "change_plan was called on" in explained(database, user, changed)
    assert ": pro, now" in explained(database, user, changed)
    assert database.call("find_operation", changed)["user_id"] == str(user)


def test_who_acted_on_the_account_of_a_workspace(database: Database, user: UUID) -> None:
    workspace = new_workspace(database, user)
    spent = database.call("consume_credits", user, "message", 1, workspace_id=workspace)["operation_id"]
    told = explained(database, user, spent, workspace_id=workspace)
    assert f"User {user} acted on the account {workspace}." in told


def test_many_reasons_are_added_up(database: Database, user: UUID) -> None:
    for number in range(10):
        database.call("consume_credits", user, "integration", number + 1, f"call {number}")
    told = words(database, user, "integration")
    assert "call 9" in told
    assert "call 1 " not in told
    assert "3  for other reasons" in told
