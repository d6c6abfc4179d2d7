"""The lines that the guide gives for the SQL console work as they stand there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.support.database import Database

CHECK = "SELECT * FROM credit_balances WHERE user_id = 'user-id-here';"
HISTORY = "SELECT * FROM usage WHERE user_id = 'user-id-here' ORDER BY created_at DESC;"
RESET = "SELECT reset_monthly_credits('user-id-here');"
CONSUME = "SELECT consume_credits('user-id-here', 'message', 1, 'Test consumption');"

KEYS = "success code operation_id credit_type amount remaining limit used reserved unlimited period_end replayed"

Console = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture
def console(database: Database, user: UUID) -> Console:
    def run(line: str) -> list[tuple[Any, ...]]:
        return database.query(line.replace("user-id-here", str(user)))

    return run


def test_a_new_user_has_three_balances(database: Database, user: UUID) -> None:
    cursor = database.connection.execute(CHECK.replace("user-id-here", str(user)).encode())
    assert cursor.description is not None
    names = [column.name for column in cursor.description]
    rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    assert {row["credit_type"]: row["remaining"] for row in rows} == {"message": 10, "integration": 100, "project": 3}
    assert {*names} >= {"account_id", "user_id", "credit_type", "allowance", "used", "reserved", "remaining"}
    assert {*names} >= {"period_start", "period_end"}
    assert all(row["user_id"] == user for row in rows)


def test_consuming_is_seen_in_the_history_the_newest_first(console: Console) -> None:
    [(answer,)] = console(CONSUME)
    assert (answer["success"], answer["remaining"], answer["used"]) == (True, 9, 1)
    console(CONSUME.replace("1, 'Test consumption'", "2, 'Second'"))
    history = console(HISTORY)
    assert len(history) == 2
    assert "Second" in history[0]
    assert "Test consumption" in history[1]


def test_the_answer_has_the_keys_of_the_contract(console: Console) -> None:
    [(answer,)] = console(CONSUME)
    assert answer.keys() == {*KEYS.split()}
    [(denied,)] = console(CONSUME.replace("1,", "100,"))
    assert denied.keys() == answer.keys() | {"message", "hint", "details"}
    details = "operation_id required available resets_at plan next_step upgrade_url"
    assert denied["details"].keys() == {*details.split()}
    [(hold,)] = console("SELECT reserve_credits('user-id-here', 'message', 1);")
    assert hold.keys() == answer.keys() | {"reservation_id", "expires_at"}


def test_the_limits_of_the_free_plan_hold_and_a_reset_gives_ten_again(console: Console) -> None:
    codes = [console(CONSUME)[0][0]["code"] for _ in range(11)]
    assert codes == ["ok"] * 10 + ["insufficient_credits"]
    assert [row[-1] for row in console("SELECT status FROM usage WHERE user_id = 'user-id-here' AND status = 'denied'")]
    [(answer,)] = console(RESET)
    assert answer["success"] is True
    assert console(CONSUME)[0][0]["remaining"] == 9


def test_an_id_that_is_not_one_is_refused_by_postgres(database: Database) -> None:
    with pytest.raises(psycopg.errors.InvalidTextRepresentation, match="user-id-here"):
        database.query(CONSUME)


def test_the_checklist_of_the_guide_holds(database: Database) -> None:
    before = database.value("select count(*) from auth.users")
    report = database.call("verify_checklist")
    assert [check["line"] for check in report["checks"]] == [*range(1, 11)]
    # Line 6 looks at the dashboard, which the database cannot see.
    assert {check["line"]: check["ok"] for check in report["checks"] if check["ok"] is not True} == {6: None}
    assert report["success"] is True
    assert database.value("select count(*) from auth.users") == before
