"""doctor, why, explain, import, export and forget, from the command line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from typer.testing import CliRunner

from sonas_cli import app
from sonas_cli._export import written
from sonas_supabase import CreditsClient
from tests.cli.conftest import Sonas
from tests.support.database import Database
from tests.support.people import new_workspace

Answer = Callable[..., Any]


def test_doctor_finds_nothing_in_a_new_project(answer: Answer, sonas: Sonas) -> None:
    told = answer("doctor")
    assert told["success"] is True
    assert [finding["code"] for finding in told["findings"]] == ["scheduler_missing"]
    shown = sonas("doctor").stdout
    assert "Nothing is wrong here." in shown
    assert "info: pg_cron (scheduler_missing)" in shown


def test_doctor_says_what_it_means_and_how_to_mend_it(own_database: Database) -> None:
    own_database.run("grant execute on function public.grant_credits to anon")
    result = CliRunner().invoke(app, ["doctor", "--db-url", own_database.url])
    assert result.exit_code == 5
    [found] = [line for line in result.stdout.splitlines() if "function_may_be_called" in line]
    assert found.startswith("critical: public.grant_credits(uuid,text,bigint")
    [mend] = [line for line in result.stdout.splitlines() if "mend: revoke execute" in line]
    own_database.run(mend.partition("mend: ")[2])
    assert CliRunner().invoke(app, ["doctor", "--db-url", own_database.url]).exit_code == 0


def test_doctor_folds_words_and_no_statement(own_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    own_database.run("grant execute on function public.grant_credits to anon")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    shown = CliRunner().invoke(app, ["doctor", "--db-url", own_database.url]).stdout
    lines = re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines()
    [first] = [nth for nth, line in enumerate(lines) if "function_may_be_called" in line]
    words = [line for line in lines[first + 1 :] if not line.startswith("  try:")][:2]
    assert all(line.startswith("  ") and len(line) <= 80 for line in words), words
    assert any(line.startswith("  mend: revoke execute") and len(line) > 80 for line in lines)


def test_doctor_does_not_bury_what_matters(own_database: Database) -> None:
    for nth in range(8):
        own_database.run(f"create function f{nth}() returns int language sql security definer as 'select 1'")
    own_database.run("grant execute on all functions in schema public to authenticated")
    shown = CliRunner().invoke(app, ["doctor", "--db-url", own_database.url]).stdout
    assert shown.count("(definer_without_search_path)") == 5
    assert "3 more of definer_without_search_path" in shown
    assert shown.count("(function_may_be_called)") > 5
    assert "more of function_may_be_called" not in shown


def test_doctor_compares_the_migrations(own_database: Database) -> None:
    own_database.run("delete from supabase_migrations.schema_migrations")
    own_database.run(
        "insert into supabase_migrations.schema_migrations values ('20991231000000', null, 'sonas_credits_9.9.9')"
    )
    result = CliRunner().invoke(app, ["doctor", "--json", "--db-url", own_database.url])
    assert result.exit_code == 5
    told = json.loads(result.stdout)
    found = {finding["code"]: finding["object"] for finding in told["findings"]}
    assert found["migrations_pending"].endswith("_sonas_credits_0.1.0")
    assert found["library_is_older"] == "20991231000000"


def test_why_tells_it_in_words(answer: Answer, sonas: Sonas, user: UUID) -> None:
    answer("consume", user, "message", 3, "-d", "draw [a] page")
    shown = sonas("why", user, "message").stdout
    assert "3  draw [a] page" in shown
    assert "0 + 10 - 3: 7 are left." in shown
    told = answer("why", user, "message", "--since", "2020-01-01", "--until", "2020-02-01")
    assert (told["story"]["closing"], told["words"][-3:-1]) == (0, ["Nothing has moved since.", "0: 0 were left then."])


def test_explain_needs_no_user(answer: Answer, database: Database, user: UUID) -> None:
    spent = answer("consume", user, "message", 2)["operation_id"]
    assert answer("explain", spent) == answer("explain", user, spent)
    workspace = new_workspace(database, user)
    pooled = answer("consume", user, "message", 3, "--workspace", workspace)["operation_id"]
    assert answer("explain", pooled)["amount"] == 3
    assert answer("explain", user, exit_code=1)["code"] == "operation_not_found"
    assert answer("explain", user, spent, spent, exit_code=2)["code"] == "usage"


def test_import_proves_the_totals(answer: Answer, sonas: Sonas, database: Database, user: UUID) -> None:
    database.run("create table old_balances (id uuid, credits int)")
    database.run("insert into old_balances values (%s, 25)", user)
    words = ("import", "old_balances", "--user", "id")
    assert answer(*words, "--dry-run")["granted_total"] == 25
    refused = answer(*words, "--expect", 26, exit_code=5)
    assert (refused["success"], refused["code"]) == (False, "totals_differ")
    assert "The totals differ: 25 and 26. Nothing has changed." in sonas(*words, "--expect", 26).stdout
    assert answer("balance", user)["balances"][1]["remaining"] == 10
    assert "The totals agree." in sonas(*words).stdout
    assert answer("balance", user)["balances"][1]["remaining"] == 35
    database.run("insert into old_balances values (gen_random_uuid(), 5)")
    shown = sonas(*words)
    assert shown.exit_code == 5
    assert "no such user in auth.users" in shown.stdout


def test_import_warns_of_the_same_money(answer: Answer, sonas: Sonas, database: Database, user: UUID) -> None:
    database.run("create table purse (user_id uuid, credits int)")
    database.run("insert into purse values (%s, 25)", user)
    database.run("create view purse_of_all as select user_id, credits from purse")
    answer("import", "purse")
    shown = sonas("import", "purse_of_all", "--dry-run").stdout
    assert "1 of these users have opening message credits from public.purse:credits already." in shown
    assert answer("import", "purse_of_all", "--dry-run")["elsewhere"] == {"public.purse:credits": 1}


def test_export_and_forget(answer: Answer, sonas: Sonas, user: UUID, tmp_path: Path) -> None:
    answer("consume", user, "message", 3, "-d", "Bob's page")
    assert "Bob's page" in json.dumps(answer("export", user))
    file = tmp_path / "bob.json"
    assert answer("export", user, "--to", file)["rows"]["public.credit_transactions"] == 4
    assert "Bob's page" in file.read_text()
    assert answer("export", user, "--to", tmp_path / "none" / "bob.json", exit_code=2)["code"] == "cannot"

    assert answer("forget", user, exit_code=2)["code"] == "usage"
    assert answer("balance", user)
    assert answer("forget", user, "--yes")["rows"]["credit_transactions"] == 1
    assert answer("balance", user, exit_code=1)["code"] == "account_not_found"
    assert "Bob's page" not in json.dumps(answer("export", user))
    assert "Forgotten." in sonas("forget", user, "--yes").stdout


@pytest.mark.parametrize(("typed", "exit_code"), [("n\n", 2), ("y\n", 0)])
def test_forget_asks_first(database: Database, user: UUID, typed: str, exit_code: int) -> None:
    result = CliRunner().invoke(app, ["forget", str(user), "--db-url", database.url], input=typed)
    assert result.exit_code == exit_code, result.output
    assert ("Nothing has changed." in result.output) == (exit_code == 2)


def test_verify_goes_rule_by_rule(answer: Answer, database: Database) -> None:
    told = answer("verify")
    assert told["success"] is True
    assert [check["rule"] for check in told["books"]] == sorted(check["rule"] for check in told["books"])
    assert told["books"] == [
        {**check, "checked": told["books"][nth]["checked"]}
        for nth, check in enumerate(database.call("verify_books")["checks"])
    ]


def test_what_people_write_is_shown_as_they_wrote_it(answer: Answer, sonas: Sonas, user: UUID) -> None:
    """Neither square brackets nor colons mean anything."""
    words = "a [/nope] [red] :key: page"
    spent = answer("consume", user, "message", 1, "-d", words)["operation_id"]
    assert words in sonas("explain", spent).stdout
    assert words in sonas("why", user, "message").stdout
    assert words in sonas("history", user).stdout
    assert answer("explain", spent)["description"] == words
    assert words in sonas("export", user).stdout


def test_what_people_write_does_not_reach_the_terminal_itself(answer: Answer, sonas: Sonas, user: UUID) -> None:
    spent = answer("consume", user, "message", 1, "-d", "a \x1b[2J page")["operation_id"]
    for shown in (sonas("explain", spent).stdout, sonas("why", user, "message").stdout):
        assert "\x1b" not in shown
        assert "a \N{REPLACEMENT CHARACTER}[2J page" in shown


def test_an_export_is_written_in_parts(answer: Answer, database: Database, user: UUID) -> None:
    for number in range(9):
        answer("consume", user, "message", 1, "-d", f"page {number}")
    whole = database.call("export_account", user)["tables"]
    client = CreditsClient.from_connection(database.connection)
    counts: dict[str, int] = {}
    assert json.loads("".join(written(client, str(user), counts, page=2)))["tables"] == whole
    assert counts == {name: len(rows) for name, rows in whole.items() if rows}


def test_rows_with_much_metadata_are_written_fewer_at_a_time(database: Database, user: UUID) -> None:
    database.run(
        "insert into usage (account_id, user_id, credit_type, credits_used, status, metadata, operation_id) "
        f"select '{user}', '{user}', 'message', 0, 'denied', jsonb_build_object('text', repeat('x', 65000)), "
        "gen_random_uuid() from generate_series(1, 4200)"
    )
    counts: dict[str, int] = {}
    for _ in written(CreditsClient.from_connection(database.connection), str(user), counts, page=5000):
        pass
    assert counts["public.usage"] == 4200


def test_an_export_that_breaks_off_leaves_no_file(sonas: Sonas, tmp_path: Path) -> None:
    file = tmp_path / "nobody.json"
    assert sonas("export", "00000000-0000-4000-8000-00000000dead", "--to", file).exit_code == 1
    assert list(tmp_path.iterdir()) == []
