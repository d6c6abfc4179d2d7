"""What people are shown: summary, explained operations, history, plans."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import psycopg
import pytest

from tests.support.database import Database
from tests.support.people import ACCOUNT_TABLES, acting_as, new_workspace
from tests.support.timed import Timed


def shown(user: Timed, credit_type: str = "message") -> dict[str, object]:
    [balance] = [b for b in user.call("get_credit_summary")["balances"] if b["credit_type"] == credit_type]
    return dict(balance)


def test_the_summary_agrees_with_the_balances_at_every_instant(database: Database) -> None:
    user = Timed(database, plan="starter")
    user.call("grant_credits", "message", 9, expires_at=user.now + timedelta(days=4))
    user.call("consume_credits", "message", 20)
    user.call("reserve_credits", "message", 7)
    for days in (0, 3, 5, 40):
        user.wait(days=days)
        summary = user.call("get_credit_summary")
        assert summary["plan"] == "starter"
        assert datetime.fromisoformat(summary["now"]) == user.now
        for balance in summary["balances"]:
            row = user.balance(balance["credit_type"])
            assert {key: balance[key] for key in ("allowance", "used", "reserved", "remaining")} == {
                key: row[key] for key in ("allowance", "used", "reserved", "remaining")
            }
            assert balance["period_end"] == row["period_end"]


def test_the_warning_comes_at_80_percent_of_what_could_be_spent(database: Database) -> None:
    user = Timed(database)
    seen = []
    for _ in range(10):
        user.call("consume_credits", "message", 1)
        seen.append((shown(user)["percent_used"], shown(user)["warning"]))
    assert seen == [(10 * n, None) for n in range(1, 8)] + [(80, "low"), (90, "low"), (100, "exhausted")]
    # Credits beside the allowance count, so a top-up takes the warning away.
    user.call("grant_credits", "message", 90, "top_up")
    assert (shown(user)["percent_used"], shown(user)["warning"]) == (10, None)
    assert shown(user, "project")["warning"] is None


def test_an_operation_is_explained_grant_by_grant(database: Database) -> None:
    user = Timed(database)
    user.call("grant_credits", "message", 3)
    operation = user.call("consume_credits", "message", 5, "chat", metadata={"model": "small"})["operation_id"]
    explained = user.call("explain_operation", operation)
    assert (explained["kind"], explained["amount"], explained["description"]) == ("consume", 5, "chat")
    assert explained["metadata"] == {"model": "small"}
    assert explained["price"] == {"credit_type": "message", "credits": 5}
    assert [
        (e["source"], e["priority"], e["amount"], e["balance_before"], e["balance_after"]) for e in explained["entries"]
    ] == [("promotion", 20, -3, 13, 10), ("plan", 30, -2, 10, 8)]


def test_a_hold_is_explained_before_and_after_its_capture(database: Database) -> None:
    user = Timed(database)
    hold = user.call("reserve_credits", "message", 5)
    before = user.call("explain_operation", hold["operation_id"])
    assert (before["kind"], before["status"], before["entries"]) == ("reserve", "open", [])
    user.call("capture_credits", hold["reservation_id"], 2)
    after = user.call("explain_operation", hold["operation_id"])
    assert (after["kind"], after["amount"]) == ("capture", 2)
    assert (after["reservation"]["captured"], after["reservation"]["released"]) == (2, 3)


def test_the_history_is_the_ledger_the_newest_first_and_in_pages(database: Database) -> None:
    user = Timed(database)
    for nth in range(7):
        user.wait(seconds=1).call("consume_credits", "message", 1, f"spend {nth}")
    first = user.call("get_credit_history", "message", 3)
    page = first["rows"]
    assert [e["description"] for e in page] == ["spend 6", "spend 5", "spend 4"]
    older = user.call("get_credit_history", "message", 100, first["next_cursor"])["rows"]
    assert [e["description"] for e in older] == ["spend 3", "spend 2", "spend 1", "spend 0", "plan allowance"]
    assert {e["credit_type"] for e in user.call("get_credit_history")["rows"]} == {
        "message",
        "integration",
        "project",
    }


def test_the_plans_have_the_figures_of_the_guide(database: Database) -> None:
    plans = database.call("list_plans")["plans"]
    assert {
        plan["id"]: tuple(limit["allowance"] for limit in plan["limits"]) for plan in plans
    } == {  # integration, message, project
        "free": (100, 10, 3),
        "starter": (2000, 100, None),
        "builder": (10000, 250, None),
        "pro": (20000, 500, None),
        "elite": (50000, 1200, None),
    }
    assert [plan["id"] for plan in plans] == ["free", "starter", "builder", "pro", "elite"]


def test_reading_books_nothing(database: Database, user: UUID) -> None:
    from tests.support.people import fingerprint

    before = fingerprint(database, user)
    database.call("get_credit_summary", user)
    database.call("get_credit_history", user)
    database.call("list_plans")
    database.call("system_status")
    database.balance(user)
    assert fingerprint(database, user) == before


@pytest.mark.parametrize("table", ACCOUNT_TABLES)
def test_every_client_can_read_every_row(database: Database, table: str) -> None:
    """No instant is without end, or before the first year that a client knows."""
    user = Timed(database, plan="starter")
    workspace = new_workspace(database, user.id)
    for account in (None, workspace):
        user.call("grant_credits", "message", 9, workspace_id=account)
        user.call("reserve_credits", "message", 1, workspace_id=account)
        user.call("consume_credits", "project", 1, workspace_id=account)
        user.call("consume_credits", "message", 999, workspace_id=account)
        user.call("set_credit_budget", credit_type="message", limit=50, window="day", workspace_id=account)
        user.call("add_credit_webhook", url="https://example.com/credits", workspace_id=account)
    user.call("invite_to_workspace", workspace, "guest@example.com")
    with acting_as(database, "authenticated", user.id) as connection:
        connection.execute("set local time zone 'America/Los_Angeles'")
        assert connection.execute(f"select * from {table}".encode()).fetchall()


def test_no_grant_ends_at_infinity(database: Database, user: UUID) -> None:
    with pytest.raises(psycopg.Error, match="invalid_argument"):
        database.call("grant_credits", user, "message", 1, expires_at="infinity")
