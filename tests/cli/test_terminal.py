"""The terminal of a person: names for ids, errors that say what would have been right, lines that can be copied."""

from __future__ import annotations

import inspect
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from rich.console import Console
from typer.main import get_command
from typer.testing import CliRunner

from sonas_cli import _metric_tables, _output, app, call
from sonas_supabase import CreditsClient
from tests.cli.conftest import Sonas
from tests.support.database import Database
from tests.support.edge import EDGE

Answer = Callable[..., Any]
FOLDER = Path(inspect.getfile(_output)).parent
COMMANDS = get_command(app).commands  # type: ignore[attr-defined]


@pytest.fixture
def ann(database: Database) -> tuple[UUID, str]:
    """A user with an address."""
    user = uuid4()
    email = f"ann-{user.hex[:8]}@example.com"
    database.run("insert into auth.users (id, email) values (%s, %s)", user, email)
    return user, email


def test_a_user_is_named_by_e_mail_wherever_one_is_named(answer: Answer, sonas: Sonas, ann: tuple[UUID, str]) -> None:
    user, email = ann
    assert answer("consume", email, "message", 3)["remaining"] == 7
    assert answer("balance", email.upper())["user_id"] == str(user)
    assert answer("history", email)["rows"][0]["amount"] == -3
    assert answer("verify", email)["success"] is True
    assert email in sonas("balance", user).stdout
    assert [found["name"] for found in answer("users", email[:12])["accounts"]] == [email]
    assert str(user) in sonas("users", email).stdout
    assert email in sonas("metrics", "usage", "--by", "account", "--limit", 1000).stdout


def test_what_support_does_has_a_command(answer: Answer, ann: tuple[UUID, str]) -> None:
    _, email = ann
    answer("freeze", email, "--reason", "looked at")
    assert answer("consume", email, "message", exit_code=1)["code"] == "account_frozen"
    answer("unfreeze", email)
    given = answer("grant", email, "message", 50)
    assert answer("revoke", email, given["grant_id"], 20)["remaining"] == 40
    assert answer("time-zone", email, "Europe/Paris")["time_zone"] == "Europe/Paris"
    assert answer("clock", email, "2030-02-01", "--mark")["now"].startswith("2030-02-01")
    assert answer("set-status", email, "past_due")["status"] == "past_due"
    hold = answer("reserve", email, "integration", 5, "--ttl", 60)
    assert answer("extend", email, hold["reservation_id"], "--ttl", 600)["expires_at"] > hold["expires_at"]
    spent = answer("batch", email, '[{"credit_type": "integration", "amount": 2}]')
    assert spent["items"][0]["amount"] == 2
    assert answer("pin", email, 1)["version"] == 1
    assert answer("publish", "starter")["plan"] == "starter"
    assert answer("uncollected", email)["rows"] == []
    assert answer("open", uuid4())["account_id"]


def test_every_function_can_be_called_by_its_name(answer: Answer, ann: tuple[UUID, str]) -> None:
    _, email = ann
    # These are for policies of a project; they are asked as the user who is signed in.
    assert set(EDGE) - {"has_credits", "within_limit"} <= set(call.functions())
    for function in call.functions():
        assert callable(getattr(CreditsClient, function))
    spent = answer("call", "consume_credits", f"user_id={email}", "credit_type=message", "p_amount=2")
    assert (spent["amount"], spent["remaining"]) == (2, 8)
    window = answer("call", "get_credit_history", f"user_id={email}", "since=2020-01-01", "limit=1")
    assert len(window["rows"]) == 1
    for words in (("consume_credit",), ("consume_credits", "usr_id=1"), ("consume_credits",), ("list_plans", "x")):
        assert answer("call", *words, exit_code=2)["code"] == "usage"
    assert "consume_credits(user_id" in CliRunner().invoke(app, ["call", "--list"]).stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("consume", "ANN", "mesage"), "Did you mean message? There are: integration, message, project."),
        (("plan", "ANN", "start"), "Did you mean starter? There are: free, starter, builder, pro, elite."),
        (("plan", "ANN", "gold"), "There are: free, starter, builder, pro, elite."),
        (("grant", "ANN", "message", "5", "--source", "topup"), "Did you mean top_up? There are: trial,"),
        (("time-zone", "ANN", "Europe/Pariss"), "Did you mean Europe/Paris?"),
        (("set-status", "ANN", "pastdue"), "Did you mean past_due? There are: active,"),
        (("balance", "nobody@example.com"), "There is no user with the address nobody@example.com."),
        (("balance", "nobody"), "Pass an id or an e-mail"),
        (("metrics", "consumtion"), "Did you mean consumption? There are: consumption, conversion,"),
        (("metrics", "usage", "--by", "hours"), "Did you mean hour? There are: plan,"),
        (("metrics", "--plan", "startr"), "Did you mean starter?"),
        (("call", "get_credit_sumary"), "Did you mean get_credit_summary?"),
    ],
)
def test_an_error_says_what_would_have_been_right(
    sonas: Sonas, ann: tuple[UUID, str], words: tuple[str, ...], said: str
) -> None:
    result = sonas(*(ann[1] if word == "ANN" else word for word in words))
    assert result.exit_code in (1, 2)
    assert said in " ".join(result.stderr.split())


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of eighty columns."""
    monkeypatch.setattr(
        _output,
        "Console",
        lambda **given: Console(**(given | {"force_terminal": True, "width": 80, "color_system": None})),
    )


@pytest.mark.usefixtures("narrow")
def test_eighty_columns_fold_no_id_and_no_address(sonas: Sonas, ann: tuple[UUID, str], database: Database) -> None:
    user, email = ann
    spent = database.call("consume_credits", user, "message", 2, "A description that is longer than there is room " * 3)
    shown = sonas("history", email, "-n", 5).stdout
    assert spent["operation_id"] in shown
    assert re.search(r"^\d{4}-\d\d-\d\d \d\d:\d\d +message +consume +-2 +8 +A description.*…$", shown, re.M)
    for words in (("balance", email, "--grants"), ("users", email[:12]), ("explain", spent["operation_id"])):
        text = sonas(*words).stdout
        for line in text.splitlines():
            assert len(line) <= 80 or " " not in line.strip(), line
        for found in re.findall(r"[0-9a-f]{8}-[0-9a-f]{0,4}", text):
            assert len(found) == 13, text
    database.call("grant_credits", user, "message", 9_007_199_254_740_000, "top_up")
    assert "9,007,199,254,740,008" in sonas("balance", email).stdout


def test_a_balance_is_of_what_there_was(sonas: Sonas, ann: tuple[UUID, str], database: Database) -> None:
    user, email = ann
    database.call("grant_credits", user, "message", 50)
    database.call("consume_credits", user, "message", 2)
    row = next(line.split() for line in sonas("balance", email).stdout.splitlines() if line.startswith("message"))
    assert row[:4] == ["message", "58", "60", "2"]
    nobody = uuid4()
    database.run("insert into auth.users (id, is_anonymous) values (%s, true)", nobody)
    said = sonas("balance", nobody).stdout
    assert "No free credits until its person has signed up." in said
    row = next(line.split() for line in said.splitlines() if line.startswith("message"))
    assert row == ["message", "0", "0", "0", "0", "0", "never"]


def test_every_command_that_may_use_the_local_stack_takes_its_folder() -> None:
    for name, command in COMMANDS.items():
        options = {option for parameter in command.params for option in parameter.opts}
        assert ("--db-url" in options) <= ("--data-dir" in options), name


def test_the_next_steps_that_are_printed_work(tmp_path: Path) -> None:
    from sonas_cli.stack import _welcome
    from sonas_supabase.local import LocalStack

    folder = tmp_path / "some where"
    text = "\n".join(item for item in _welcome(LocalStack(folder), folder, with_rest=True) if isinstance(item, str))
    steps = [line.strip() for line in text.splitlines() if "sonas " in line]
    assert len(steps) >= 5
    for step in steps:
        assert f"--data-dir '{folder}'" in step


def complete(words: str) -> str:
    result = CliRunner().invoke(
        app,
        [],
        prog_name="sonas",
        env={"_SONAS_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))},
    )
    return result.output


def test_completion_offers_what_there_is(
    database: Database, ann: tuple[UUID, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database.url)
    email = ann[1]
    assert complete("sonas consume x mes").split() == ["message"]
    assert complete(f"sonas balance {email[:8]}").split() == [email]
    assert complete("sonas plan x st").split() == ["starter"]
    assert complete("sonas grant x message 1 --source to").split() == ["top_up"]
    assert complete("sonas metrics br").split() == ["breakage"]
    assert complete("sonas set-status x past").split() == ["past_due"]
    assert complete("sonas history x --type int").split() == ["integration"]
    assert complete("sonas workspaces tr").split() == ["transfer"]
    assert complete("sonas workspaces role x --role ad").split() == ["admin"]
    assert complete(f"sonas workspaces remove x --member {email[:8]}").split() == [email]
    assert complete("sonas budgets set x --window ro").split() == ["rolling"]


@pytest.mark.parametrize(
    ("hours", "said"),
    [(0.0, "a minute"), (0.25, "15 minutes"), (1 / 60, "1 minute"), (3.5, "3.5 hours"), (72, "3.0 days")],
)
def test_how_long_something_took_is_said_in_a_unit_that_fits(hours: float, said: str) -> None:
    assert _metric_tables.duration(hours) == said


def test_a_new_plan_has_no_share_of_what_ended_unused(sonas: Sonas, database: Database, ann: tuple[UUID, str]) -> None:
    database.call("change_plan", ann[0], "elite")
    shown = sonas("metrics", "breakage", "--plan", "elite").stdout
    [row] = [line.split() for line in shown.splitlines() if line.startswith("elite") and " message " in line]
    assert row[7] == "-"
    assert " project " not in shown


def test_what_turns_a_line_around_is_not_printed() -> None:
    text = io.StringIO()
    console = Console(file=text, width=80)
    console.print(_output.table(("name", "@id"), [("a\u202egnp.exe", "1")]))
    assert "\u202e" not in text.getvalue()
