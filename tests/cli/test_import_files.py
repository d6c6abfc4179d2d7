"""`sonas import` reads files: rows of one's own, Stripe's credit grants, customers out of Autumn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from typer.testing import CliRunner

from sonas_cli import app
from tests.support.database import Database

LATER, BEFORE = 4070908800, 1577836800  # 2099 and 2020


@pytest.fixture
def users(database: Database) -> list[UUID]:
    return [database.new_user() for _ in range(3)]


def sonas(database: Database, *words: object, exit_code: int = 0) -> Any:
    result = CliRunner().invoke(app, ["import", *map(str, words), "--db-url", database.url, "--json"])
    assert result.exit_code == exit_code, result.output
    return json.loads(result.stdout)


def lots(database: Database, user: UUID) -> list[tuple[Any, ...]]:
    return database.query(
        "select amount, source, extract(year from expires_at at time zone 'UTC')::integer from credit_grants "
        "where account_id = %s and source <> 'plan' order by amount",
        user,
    )


def test_rows_of_ones_own(database: Database, users: list[UUID], tmp_path: Path) -> None:
    path = tmp_path / "balances.csv"
    path.write_text(f"id,left,ends\n{users[0]},10,2099-06-01\n{users[1]},2.5,\n")
    words = (path, "--user", "id", "--balance", "left", "--expires", "ends")
    assert sonas(database, *words, exit_code=5)["problems"][0]["problem"] == "the balance is not a whole number"
    assert sonas(database, *words, "--round", "ceil", "--expect", 13)["granted_total"] == 13
    assert lots(database, users[0]) == [(10, "top_up", 2099)]
    assert sonas(database, *words, "--round", "ceil")["replayed"] == 2
    assert sonas(database, *words, "--undo")["total"] == 13


def test_stripes_credit_grants(database: Database, users: list[UUID], tmp_path: Path) -> None:
    def grant(customer: str, cents: int, **more: Any) -> dict[str, Any]:
        money = {"type": "monetary", "monetary": {"currency": "usd", "value": cents}}
        return {"object": "billing.credit_grant", "amount": money, "customer": customer, "category": "paid",
                "expires_at": None, "effective_at": BEFORE, "voided_at": None, "metadata": {}, **more}  # fmt: skip

    left = {"balances": [{"available_balance": {"type": "monetary", "monetary": {"currency": "usd", "value": 30}}}]}
    grants = [
        grant("cus_1", 500, expires_at=LATER, category="promotional"),
        grant("cus_1", 100),
        grant("cus_1", 200),
        grant("cus_2", 1000, **left),
        grant("cus_9", 70, metadata={"user_id": str(users[2])}),
        grant("cus_2", 5000, voided_at=BEFORE),
        grant("cus_2", 5000, expires_at=BEFORE),
        grant("cus_2", 5000, effective_at=LATER),
    ]
    path, customers = tmp_path / "grants.json", tmp_path / "customers.csv"
    path.write_text(json.dumps({"object": "list", "data": grants}))
    customers.write_text(f"cus_1,{users[0]}\ncus_2,{users[1]}\n")
    assert sonas(database, path, exit_code=5)["problems"][0]["users"] == ["cus_1", "cus_2"]
    told = sonas(database, path, "--customers", customers, "--rate", "0.1", "--expect", 90)
    assert told["success"] is True
    assert lots(database, users[0]) == [(30, "top_up", None), (50, "promotion", 2099)]
    assert (lots(database, users[1]), lots(database, users[2])) == ([(3, "top_up", None)], [(7, "top_up", None)])
    result = CliRunner().invoke(
        app, ["import", str(path), "--customers", str(customers), "--rate", "0.1", "--db-url", database.url]
    )
    assert "1 left out: voided." in result.output
    assert "1 left out: expired." in result.output
    assert "1 left out: effective only later." in result.output
    database.verify(users[0])


def test_customers_out_of_autumn(database: Database, users: list[UUID], tmp_path: Path) -> None:
    path = tmp_path / "customers.json"
    breakdown = [
        {"balance": 500, "interval": "month", "next_reset_at": LATER * 1000},
        {"balance": 200, "interval": "one_off", "expires_at": LATER * 1000},
        {"balance": 20, "reset": {"interval": "lifetime"}},
    ]
    path.write_text(
        json.dumps(
            {
                "list": [
                    {"id": str(users[0]), "balances": {"messages": {"balance": 720, "breakdown": breakdown}}},
                    {"id": str(users[1]), "features": [{"feature_id": "messages", "balance": 9, "interval": None},
                                                       {"feature_id": "seats", "balance": 1, "interval": None}]},
                    {"id": str(users[2]), "features": {"messages": {"unlimited": True}}},
                ]
            }
        )
    )  # fmt: skip
    assert "messages, seats" in sonas(database, path, exit_code=2)["message"]
    told = sonas(database, path, "--feature", "messages", "--expect", 229)
    assert told["granted"] == 3
    assert lots(database, users[0]) == [(20, "top_up", None), (200, "top_up", 2099)]
    assert (lots(database, users[1]), lots(database, users[2])) == ([(9, "top_up", None)], [])


@pytest.mark.parametrize(("name", "text"), [("a.json", "{"), ("a.json", "[1]"), ("a.json", "5"), ("a.jsonl", "x")])
def test_what_cannot_be_read_is_said(database: Database, tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert "cannot be read" in sonas(database, tmp_path / name, exit_code=2)["message"]


def test_users_by_email(database: Database, users: list[UUID], tmp_path: Path) -> None:
    path = tmp_path / "mails.jsonl"
    path.write_text("\n".join(json.dumps({"user_id": f"{user}@example.com", "credits": 4}) for user in users))
    assert sonas(database, path, "--by", "email")["granted_total"] == 12
