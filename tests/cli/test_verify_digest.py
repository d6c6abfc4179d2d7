"""`sonas verify --save-digest` and `--digest`: what was written down once proves that the history is still the same."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from typer.testing import CliRunner

from sonas_cli import app
from tests.support.api import Api
from tests.support.database import Database


def verify(url: str, *words: object, exit_code: int = 0) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["verify", *map(str, words), "--json", "--db-url", url])
    assert result.exit_code == exit_code, result.output
    return dict(json.loads(result.stdout))


def hurt(database: Database, statement: str, *arguments: Any) -> None:
    with psycopg.connect(database.superuser_url) as connection:
        connection.execute("set local session_replication_role = replica")
        connection.execute(statement.encode(), arguments)


def history(told: dict[str, Any]) -> dict[str, Any]:
    [check] = [book for book in told["books"] if book["name"].startswith("the history is")]
    return dict(check)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "digest.jsonl"


def test_the_history_is_the_same_after_more_of_it(own_database: Database, file: Path) -> None:
    user = own_database.new_user()
    own_database.call("consume_credits", user, "message", 3)
    saved = verify(own_database.url, "--save-digest", file)["digest"]
    assert saved["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert (saved["entries"], saved["rows"]) == (3, 4)
    own_database.call("consume_credits", user, "message", 1)
    own_database.call("forget_account", user)
    check = history(verify(own_database.url, "--digest", file))
    assert check == {
        "rule": 8,
        "name": "the history is what digest.jsonl says",
        "ok": True,
        "checked": 4,
        "violations": [],
    }
    assert list(file.parent.iterdir()) == [file]


def test_what_was_changed_and_what_was_lost_is_named_by_account_and_type(own_database: Database, file: Path) -> None:
    changed, lost, gone = (own_database.new_user() for _ in range(3))
    for user in (changed, lost, gone):
        own_database.call("consume_credits", user, "message", 3)
        own_database.call("consume_credits", user, "integration", 3)
    verify(own_database.url, "--save-digest", file)
    hurt(own_database, "update public.credit_transactions set created_at = created_at - interval '1 microsecond' "
         "where account_id = %s and credit_type = 'integration' and version = 1", changed)  # fmt: skip
    hurt(own_database, "delete from public.credit_transactions where account_id = %s and version = 2", lost)
    hurt(own_database, "delete from public.credit_transactions where account_id = %s", gone)
    check = history(verify(own_database.url, "--digest", file, exit_code=5))
    assert sorted(
        (v["account_id"], v["credit_type"], v["versions"], v["problem"]) for v in check["violations"]
    ) == sorted(
        [
            (str(changed), "integration", "1 to 2", "changed"),
            (str(lost), "integration", "1 to 2", "1 of 2 rows are missing"),
            (str(lost), "message", "1 to 2", "1 of 2 rows are missing"),
            (str(gone), "integration", "1 to 2", "2 of 2 rows are missing"),
            (str(gone), "message", "1 to 2", "2 of 2 rows are missing"),
            (str(gone), "project", "1 to 1", "1 of 1 rows are missing"),
        ]
    )
    result = CliRunner().invoke(app, ["verify", "--digest", str(file), "--db-url", own_database.url])
    assert result.exit_code == 5
    assert "Something does not hold." in result.stdout
    assert str(changed) in result.stdout


def test_one_account_alone(own_database: Database, file: Path, tmp_path: Path) -> None:
    one, other = own_database.new_user(), own_database.new_user()
    verify(own_database.url, "--save-digest", file)
    verify(own_database.url, one, "--save-digest", tmp_path / "one")
    hurt(own_database, "update public.credit_transactions set amount = 11 where account_id = %s", other)
    assert history(verify(own_database.url, one, "--digest", file))["checked"] == 3
    assert history(verify(own_database.url, str(one).upper(), "--digest", tmp_path / "one"))["ok"]
    told = verify(own_database.url, other, "--digest", tmp_path / "one", exit_code=2)
    assert "says nothing about" in told["message"]


def test_yesterdays_is_compared_and_todays_is_saved_in_one_go(own_database: Database, file: Path) -> None:
    own_database.new_user()
    verify(own_database.url, "--save-digest", file)
    told = verify(own_database.url, "--digest", file, "--save-digest", file.with_name("next"))
    assert history(told)["ok"]
    assert told["digest"]["file"] == str(file.with_name("next"))
    assert file.with_name("next").read_text().splitlines()[1:] == file.read_text().splitlines()[1:]


def test_many_balances_take_several_pages(own_database: Database, file: Path) -> None:
    own_database.run("insert into auth.users (id) select gen_random_uuid() from generate_series(1, 1700)")
    assert verify(own_database.url, "--save-digest", file)["digest"]["entries"] == 5100
    assert history(verify(own_database.url, "--digest", file))["checked"] == 5100


def test_a_page_that_holds_less_than_was_asked_for_is_asked_for_again(own_database: Database, file: Path) -> None:
    """Six long histories are more than the 50,000 rows of a page."""
    users = [own_database.new_user() for _ in range(6)]
    hurt(
        own_database,
        "insert into public.credit_transactions (account_id, credit_type, version, operation_id, grant_id, kind, "
        "amount, balance_after, created_at) "
        "select t.account_id, t.credit_type, n, gen_random_uuid(), t.grant_id, 'consume', -1, 0, t.created_at "
        "from public.credit_transactions t, generate_series(2, 12000) n where credit_type = 'message'",
    )
    hurt(own_database, "update credits.balances set version = 12000 where credit_type = 'message'")
    told = verify(own_database.url, "--save-digest", file, exit_code=5)
    assert told["digest"]["rows"] == 6 * 12_002
    hurt(
        own_database,
        "update public.credit_transactions set amount = -2 where account_id = %s and version = 11000",
        users[-1],
    )
    check = history(verify(own_database.url, "--digest", file, exit_code=5))
    assert check["checked"] == 6 * 12_002
    assert [(v["account_id"], v["versions"]) for v in check["violations"]] == [(str(users[-1]), "10001 to 12000")]


def test_it_works_through_the_api(
    database: Database, api: Api, file: Path, user: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPABASE_URL", api.url)
    monkeypatch.setenv("SUPABASE_SECRET_KEY", api.keys.secret_key)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    for option in ("--save-digest", "--digest"):
        result = CliRunner().invoke(app, ["verify", str(user), option, str(file), "--json"])
        assert result.exit_code == 0, result.output
    assert history(json.loads(result.stdout))["checked"] == 3
    assert history(verify(database.url, "--digest", file))["checked"] == 3


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda file: file.write_text(""), "is not a whole digest"),
        (lambda file: file.write_text("[1]\n"), "is not a whole digest"),
        (lambda file: file.write_bytes(b"\xff\xfe"), "is not a whole digest"),
        (lambda file: file.write_text("".join(file.read_text().splitlines(True)[:-1])), "is not a whole digest"),
        (lambda file: file.write_text(file.read_text()[:-40]), "is not a whole digest"),
        (lambda file: file.write_text(file.read_text() + file.read_text()), "is not a whole digest"),
        (lambda file: file.write_text(file.read_text().replace(',1,"', ',2,"')), "is not a whole digest"),
        (lambda file: file.unlink(), "cannot be read: No such file or directory"),
        (lambda file: (file.unlink(), file.mkdir()), "cannot be read: Is a directory"),
    ],
)
def test_a_file_that_proves_nothing_is_told_before_anything_is_read(
    own_database: Database, file: Path, spoil: Any, sentence: str
) -> None:
    own_database.new_user()
    verify(own_database.url, "--save-digest", file)
    spoil(file)
    told = verify("postgresql://nobody@127.0.0.1:1/none", "--digest", file, exit_code=2)
    assert sentence in told["message"]
    assert told["hint"]


def test_proof_is_never_written_over(own_database: Database, file: Path, tmp_path: Path) -> None:
    file.write_text("yesterday's")
    assert "exists already" in verify(own_database.url, "--save-digest", file, exit_code=2)["message"]
    assert file.read_text() == "yesterday's"
    told = verify(own_database.url, "--save-digest", tmp_path / "none" / "file", exit_code=2)
    assert "There is no folder" in told["message"]
    (tmp_path / "half.part").write_text("")
    told = verify(own_database.url, "--save-digest", tmp_path / "half", exit_code=2)
    assert "is being written, or was left behind" in told["message"]


def test_a_user_that_is_none_is_a_sentence(own_database: Database) -> None:
    assert verify(own_database.url, "bob", exit_code=2)["message"] == "bob is no id."
