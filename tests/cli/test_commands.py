"""Every command does what it says, prints one JSON object on demand, and ends with the exit code that is documented."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from sonas_cli import app
from tests.cli.conftest import Sonas
from tests.support.database import Database

Answer = Callable[..., Any]
TREE = get_command(app).commands  # type: ignore[attr-defined]
COMMANDS = sorted(TREE)
# Of a group each of its commands is tried, and what `plans` does by itself.
RUNS = sorted(
    f"{name} {inner}".strip()
    for name, command in TREE.items()
    for inner in ("", *getattr(command, "commands", ()))
    if inner or not getattr(command, "commands", ()) or command.invoke_without_command
)


def test_the_commands_are_those_that_are_promised() -> None:
    promised = (
        "up down demo init migrate status plans balance history consume reserve capture release refund grant "
        "reset plan explain token verify"
    )
    assert set(promised.split()) <= set(COMMANDS)


@pytest.mark.parametrize("command", RUNS)
def test_help_tells_what_it_does_with_an_example(command: str) -> None:
    result = CliRunner().invoke(app, [*command.split(), "--help"])
    assert result.exit_code == 0
    assert f"sonas {command}" in result.stdout.partition("Example:")[2]
    # What writes a file, or speaks to a program already, has no other way to say it.
    assert "--json" in result.stdout or command in ("prices export", "plans export", "mcp")


def test_spending_and_what_is_left(answer: Answer, user: UUID) -> None:
    assert answer("consume", user, "message", 3, "-d", "hello")["remaining"] == 7
    left = answer("balance", user)
    assert {row["credit_type"]: row["remaining"] for row in left["balances"]}["message"] == 7
    [spent, granted] = answer("history", user, "--type", "message")["rows"]
    assert (spent["kind"], spent["amount"], spent["description"]) == ("consume", -3, "hello")
    assert (granted["kind"], granted["amount"]) == ("grant", 10)


def test_the_same_key_spends_once(answer: Answer, user: UUID) -> None:
    first = answer("consume", user, "message", 3, "--key", "k")
    again = answer("consume", user, "message", 3, "--key", "k")
    assert (first["replayed"], again["replayed"]) == (False, True)
    assert again["remaining"] == 7
    assert answer("consume", user, "message", 4, "--key", "k", exit_code=1)["code"] == "idempotency_conflict"


def test_a_hold_is_captured_in_part_or_released(answer: Answer, user: UUID) -> None:
    hold = answer("reserve", user, "message", 5, "--ttl", 60)
    captured = answer("capture", user, hold["reservation_id"], 2)
    assert (captured["captured"], captured["released"], captured["remaining"]) == (2, 3, 8)
    assert answer("release", user, hold["reservation_id"], exit_code=1)["code"] == "reservation_closed"
    other = answer("reserve", user, "message", 5)
    assert answer("release", user, other["reservation_id"])["remaining"] == 8


def test_a_refund_and_its_explanation(answer: Answer, user: UUID) -> None:
    spent = answer("consume", user, "message", 4)
    assert answer("refund", user, spent["operation_id"], 1)["remaining"] == 7
    told = answer("explain", user, spent["operation_id"])
    assert (told["kind"], told["amount"], told["refunded"]) == ("consume", 4, 1)
    assert [entry["amount"] for entry in told["entries"]] == [-4]


def test_grants_plans_and_resets(answer: Answer, user: UUID) -> None:
    assert answer("grant", user, "message", 50, "--source", "goodwill")["remaining"] == 60
    assert answer("plan", user, "starter")["plan"] == "starter"
    assert answer("plan", user, "free", "--at-period-end")["pending_plan"] == "free"
    answer("consume", user, "message", 100)
    reset = answer("reset", user)
    assert {row["credit_type"]: row["remaining"] for row in reset["balances"]}["message"] == 150
    assert [plan["id"] for plan in answer("plans")["plans"]] == ["free", "starter", "builder", "pro", "elite"]


def test_resetting_all_books_what_is_due(answer: Answer, database: Database) -> None:
    users = [database.new_user() for _ in range(3)]
    for user in users:
        database.call("mark_test_account", user)
        database.call("set_test_clock", user, "2027-06-01T00:00:00Z")
    assert answer("status")["system"]["due"] >= 3
    assert answer("reset", "--all")["accounts"] >= 3
    assert answer("status")["system"]["due"] == 0
    assert answer("reset", exit_code=2)["code"] == "usage"


def test_resetting_all_goes_on_after_a_batch_in_which_no_period_began(answer: Answer, database: Database) -> None:
    first = "00000000-0000-4000-8000-"
    database.run(
        "insert into auth.users (id, email, role, aud) "
        "select (%s || lpad(n::text, 12, '0'))::uuid, n || '@first.example', 'authenticated', 'authenticated' "
        "from generate_series(1, 200) n",
        first,
    )
    database.run("update credits.balances set due_at = '-infinity' where account_id::text like %s", f"{first}%")
    last = database.new_user()
    database.call("mark_test_account", last)
    database.call("set_test_clock", last, "2027-06-01T00:00:00Z")
    assert answer("reset", "--all")["accounts"] == 1
    assert answer("status")["system"]["due"] == 0


def test_running_out_has_an_exit_code_of_its_own(answer: Answer, sonas: Sonas, user: UUID) -> None:
    denied = answer("consume", user, "message", 11, exit_code=3)
    assert denied["success"] is False
    assert denied["code"] == "insufficient_credits"
    assert denied["details"]["available"] == 10
    result = sonas("consume", user, "message", 11)
    assert result.exit_code == 3
    assert result.stdout == ""
    assert "Upgrade at /pricing" in result.stderr


@pytest.mark.parametrize(
    ("words", "code", "exit_code"),
    [
        (("consume", uuid4(), "message"), "account_not_found", 1),
        (("consume", "USER", "mesage"), "unknown_credit_type", 1),
        (("consume", "USER", "message", 0), "invalid_amount", 1),
        (("consume", "USER", "message", "1", "--metadata", "[1]"), "usage", 2),
        (("consume", "nobody", "message"), "invalid_argument", 1),
        (("refund", "USER", uuid4()), "operation_not_found", 1),
        (("capture", "USER", uuid4()), "reservation_not_found", 1),
        (("plan", "USER", "gold"), "invalid_argument", 1),
        (("history", "USER", "-n", 0), "invalid_argument", 1),
    ],
)
def test_bad_input_is_a_sentence_and_a_code(
    answer: Answer, user: UUID, words: tuple[object, ...], code: str, exit_code: int
) -> None:
    told = answer(*(user if word == "USER" else word for word in words), exit_code=exit_code)
    assert (told["success"], told["code"]) == (False, code)
    assert told["message"] or told["hint"]


def test_verify_sees_the_books_and_the_checklist(answer: Answer, user: UUID) -> None:
    report = answer("verify")
    assert report["success"] is True
    assert {check["rule"] for check in report["books"]} >= {1, 2, 3, 4, 5, 7, 8, 10}
    assert [line["line"] for line in report["checklist"]] == list(range(1, 11))
    assert all(line["seen"] for line in report["checklist"])
    assert answer("verify", user)["checklist"] == []


def test_verify_fails_when_a_rule_is_broken(own_database: Database) -> None:
    user = own_database.new_user()
    own_database.run("update credits.balances set balance = balance + 1 where account_id = %s", user)
    result = CliRunner().invoke(app, ["verify", "--db-url", own_database.url])
    assert result.exit_code == 5
    assert "✗" in result.stdout


def test_no_database_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "SUPABASE_URL", "SUPABASE_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SONAS_DATA_DIR", str(tmp_path / "none"))
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["plans"])
    assert result.exit_code == 2
    assert "sonas up" in result.stderr
    unreachable = CliRunner().invoke(app, ["plans", "--db-url", "postgresql://postgres@127.0.0.1:1/postgres"])
    assert unreachable.exit_code == 4
    assert "Is the database running" in unreachable.stderr


def test_a_database_without_the_migrations_says_so(database: Database) -> None:
    url = database.server.url("postgres")
    result = CliRunner().invoke(app, ["plans", "--db-url", url])
    assert result.exit_code == 2
    assert "sonas migrate" in result.output


def test_the_demo_tells_the_whole_story(answer: Answer) -> None:
    told = answer("demo")
    assert told["success"] is True
    outcomes = [step["outcome"] for step in told["steps"]]
    assert any("402 insufficient_credits" in outcome for outcome in outcomes)
    assert any("100 message" in outcome for outcome in outcomes)
