"""Running out: an answer that is on record, and in strict mode an error that takes the caller's own writes with it."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.support.api import Api
from tests.support.database import Database
from tests.support.errors import raises
from tests.support.people import fingerprint, new_workspace
from tests.support.timed import Timed


def test_a_denial_says_what_was_required_and_what_there_is(database: Database, user: UUID) -> None:
    denied = database.call("consume_credits", user, "message", 11, "too much")
    balance = database.balance(user)
    assert (denied["success"], denied["code"]) == (False, "insufficient_credits")
    assert (denied["remaining"], denied["limit"], denied["amount"], denied["used"]) == (10, 10, 11, 0)
    details = denied["details"]
    assert (details["required"], details["available"], details["plan"]) == (11, 10, "free")
    assert datetime.fromisoformat(details["resets_at"]) == datetime.fromisoformat(balance["period_end"])
    assert details["upgrade_url"] in denied["hint"]
    assert "11 required, 10 available" in denied["message"]


def test_the_denial_of_a_limit_has_no_date_at_which_it_resets(database: Database, user: UUID) -> None:
    denied = database.call("consume_credits", user, "project", 4)
    assert (denied["code"], denied["period_end"], denied["details"]["resets_at"]) == ("limit_reached", None, None)
    assert "delete something" in denied["hint"]


def test_a_denial_says_what_gives_more(database: Database, user: UUID) -> None:
    """A larger plan; on the largest one what is sold beside it; where there is neither, to wait or to make room."""

    def told(account: UUID, credit_type: str, **more: Any) -> tuple[str | None, str]:
        denied = database.call("check_credits", account, credit_type, 10**9, **more)
        steps = database.call("get_credit_summary", account, **more)["next_steps"]
        assert denied["details"]["next_step"] == steps[credit_type]
        return denied["details"]["next_step"], denied["hint"]

    step, hint = told(user, "message")
    assert (step, hint[:34]) == ("upgrade", "Upgrade at /pricing, or wait until")
    workspace = new_workspace(database, user)
    step, hint = told(user, "message", workspace_id=workspace)
    assert step == "upgrade"
    assert hint.startswith("Upgrade at /pricing, as owners and admins of the workspace may, or wait until")
    denied = database.call("check_credits", user, "message", 10**9, workspace_id=workspace)
    assert denied["details"]["upgrade_url"] == f"/pricing?workspace={workspace}"
    database.call("change_plan", user, "elite")
    step, hint = told(user, "message")
    assert (step, hint[:38]) == ("buy_credits", "Buy credits at /pricing, or wait until")
    database.run("update plan_limits set allowance = 9 where plan_id = 'elite' and credit_type = 'project'")
    try:
        largest = database.new_user()
        database.call("change_plan", largest, "elite")
        assert told(largest, "project") == (None, "Delete something that counts towards the limit.")
    finally:
        database.run("update plan_limits set allowance = null where plan_id = 'elite' and credit_type = 'project'")


def test_a_denial_is_on_record_and_moves_nothing(database: Database, user: UUID) -> None:
    ledger = "select count(*) from credit_transactions where account_id = %s"
    before = database.value(ledger, user)
    denied = database.call("consume_credits", user, "message", 11, "too much", metadata={"page": 7})
    assert database.query(
        "select credits_used, status, description, metadata, operation_id::text, user_id from usage "
        "where account_id = %s",
        user,
    ) == [(0, "denied", "too much", {"page": 7, "required": 11, "available": 10}, denied["operation_id"], user)]
    assert database.value(ledger, user) == before
    explained = database.call("explain_operation", user, denied["operation_id"])
    assert (explained["kind"], explained["required"], explained["available"]) == ("denial", 11, 10)
    database.verify(user)


@pytest.mark.parametrize(
    ("function", "credit_type", "slug"),
    [
        ("consume_credits", "message", "insufficient_credits"),
        ("consume_credits", "project", "limit_reached"),
        ("reserve_credits", "message", "insufficient_credits"),
        ("reserve_credits", "project", "limit_reached"),
    ],
)
def test_in_strict_mode_it_is_raised_and_nothing_is_on_record(
    database: Database, user: UUID, function: str, credit_type: str, slug: str
) -> None:
    before = fingerprint(database, user)
    with raises(slug, "PT402") as seen:
        database.call(function, user, credit_type, 1000, strict=True)
    assert seen.details["required"] == 1000
    assert seen.details["upgrade_url"] in seen.hint
    assert fingerprint(database, user) == before


def test_in_strict_mode_the_callers_own_writes_do_not_survive(database: Database, user: UUID) -> None:
    database.run("create table if not exists public.notes (id int)")
    for strict, rows in ((False, 1), (True, 0)):
        database.run("truncate public.notes")
        with database.connect(autocommit=False) as connection:
            connection.execute("insert into public.notes values (1)")
            try:
                database.call("consume_credits", user, "message", 11, strict=strict, connection=connection)
                connection.commit()
            except psycopg.Error:
                connection.rollback()
        assert database.value("select count(*) from public.notes") == rows


def test_the_check_gives_the_answer_that_consuming_would_give(database: Database) -> None:
    user = Timed(database)
    for amount in (1, 10, 11):
        user.call("reset_monthly_credits")
        checked = user.call("check_credits", "message", amount)
        spent = user.call("consume_credits", "message", amount)
        assert (checked["success"], checked["code"]) == (spent["success"], spent["code"])
        assert checked.get("hint") == spent.get("hint")
        details = [answer.get("details", {}) | {"operation_id": None} for answer in (checked, spent)]
        assert details[0] == details[1]


def test_a_check_changes_nothing(database: Database, user: UUID) -> None:
    database.call("reserve_credits", user, "message", 4, ttl_seconds=60)
    before = fingerprint(database, user)
    assert database.call("check_credits", user, "message", 6)["success"] is True
    assert database.call("check_credits", user, "message", 7)["success"] is False
    assert fingerprint(database, user) == before


def test_over_http_a_check_is_advice_and_a_denial_is_a_402_that_commits(
    database: Database, user: UUID, api: Api
) -> None:
    body = {"p_user_id": str(user), "p_credit_type": "message", "p_amount": 11}
    with api.service() as client:
        assert client.post("/rpc/check_credits", json=body).status_code == 200
        for function in ("consume_credits", "reserve_credits"):
            denied = client.post(f"/rpc/{function}", json=body)
            assert (denied.status_code, denied.json()["code"]) == (402, "insufficient_credits")
            assert denied.json().keys() >= {"message", "hint", "details"}
        batch = client.post("/rpc/consume_credits_batch", json={
            "p_user_id": str(user), "p_items": [{"credit_type": "message", "amount": 11}]})  # fmt: skip
        assert (batch.status_code, batch.json()["code"]) == (402, "insufficient_credits")
        strict = client.post("/rpc/consume_credits", json=body | {"p_strict": True})
        assert (strict.status_code, strict.json()["code"], strict.json()["message"]) == (
            402, "PT402", "insufficient_credits")  # fmt: skip
    assert database.value("select count(*) from usage where account_id = %s and status = 'denied'", user) == 3


def test_a_batch_is_all_or_nothing_and_names_the_item(database: Database, user: UUID) -> None:
    items = [
        {"credit_type": "message", "amount": 6},
        {"credit_type": "project"},
        {"credit_type": "message", "amount": 5},
    ]
    denied = database.call("consume_credits_batch", user, items)
    assert (denied["success"], denied["item"], denied["details"]["available"]) == (False, 2, 4)
    assert (database.balance(user)["used"], database.balance(user, "project")["used"]) == (0, 0)
    assert database.query("select credit_type, status from usage where account_id = %s", user) == [
        ("message", "denied")
    ]
    done = database.call("consume_credits_batch", user, items[:2])
    assert (done["success"], done["amount"]) == (True, 7)
    assert [item["remaining"] for item in done["items"]] == [4, 2]
    database.verify(user)


class TestWorkspace:
    def test_members_spend_from_one_pool_and_each_is_on_record(self, database: Database, user: UUID) -> None:
        colleague = database.new_user()
        workspace = new_workspace(database, user, colleague)
        for member in (user, colleague):
            database.call("consume_credits", member, "message", 4, workspace_id=workspace)
        denied = database.call("consume_credits", colleague, "message", 4, workspace_id=workspace)
        assert (denied["code"], denied["details"]["available"]) == ("insufficient_credits", 2)
        actors = "select user_id from {} where account_id = %s and user_id is not null"
        assert {row[0] for row in database.query(actors.format("credit_transactions"), workspace)} == {user, colleague}
        assert len(database.query(actors.format("public.usage"), workspace)) == 3
        # Their own credits are untouched.
        assert database.balance(user)["remaining"] == database.balance(colleague)["remaining"] == 10
        database.verify(workspace)

    def test_who_is_not_a_member_spends_nothing(self, database: Database, user: UUID) -> None:
        workspace = new_workspace(database, database.new_user())
        before = fingerprint(database, workspace)
        with raises("account_not_found", "PT404"):
            database.call("consume_credits", user, "message", workspace_id=workspace)
        # Nor by passing the workspace off as a user.
        for function in ("consume_credits", "reserve_credits", "check_credits"):
            with raises("account_not_found", "PT404"):
                database.call(function, workspace, "message")
        assert fingerprint(database, workspace) == before

    def test_a_member_who_has_left_spends_nothing_more(self, database: Database, user: UUID) -> None:
        workspace = new_workspace(database, database.new_user(), user)
        assert database.call("consume_credits", user, "message", workspace_id=workspace)["success"] is True
        database.run("delete from credit_workspace_members where account_id = %s and user_id = %s", workspace, user)
        with raises("account_not_found", "PT404"):
            database.call("consume_credits", user, "message", workspace_id=workspace)

    def test_a_hold_of_one_member_can_be_captured_by_another(self, database: Database, user: UUID) -> None:
        colleague = database.new_user()
        workspace = new_workspace(database, user, colleague)
        hold = database.call("reserve_credits", user, "message", 4, workspace_id=workspace)["reservation_id"]
        with raises("reservation_not_found", "PT404"):
            database.call("capture_credits", colleague, hold)
        assert database.call("capture_credits", colleague, hold, 3, workspace_id=workspace)["captured"] == 3
        database.verify(workspace)
