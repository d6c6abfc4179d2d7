"""An import is taken back as long as nothing of it was spent, and may be made again."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from tests.support.database import Database
from tests.support.errors import raises
from tests.support.people import fingerprint


@pytest.fixture
def users(database: Database) -> list[UUID]:
    return sorted((database.new_user() for _ in range(3)), key=str)


@pytest.fixture
def table(database: Database, users: list[UUID]) -> str:
    """Balances of 5, 6 and 7, which were imported."""
    name = f"old_{uuid4().hex[:8]}"
    database.run(f"create table {name} (user_id uuid, credits integer)")
    for user, balance in zip(users, (5, 6, 7), strict=True):
        database.run(f"insert into {name} values (%s, %s)", user, balance)
    assert database.call("import_balances", name, "user_id", "credits", "message")["granted_total"] == 18
    return name


def test_it_is_as_if_it_had_not_been(database: Database, users: list[UUID], table: str) -> None:
    told = database.call("undo_import", table, "credits", "message")
    assert (told["success"], told["grants"], told["total"]) == (True, 3, 18)
    assert [database.balance(user)["remaining"] for user in users] == [10, 10, 10]
    with raises("invalid_argument"):
        database.call("undo_import", table, "credits", "message")
    for user in users:
        database.verify(user)


def test_a_rehearsal_leaves_it(database: Database, users: list[UUID], table: str) -> None:
    before = fingerprint(database, *users)
    assert database.call("undo_import", table, "credits", "message", dry_run=True)["total"] == 18
    assert fingerprint(database, *users) == before


@pytest.mark.parametrize("how", ["consume_credits", "reserve_credits"])
def test_what_was_spent_from_is_left_and_named(database: Database, users: list[UUID], table: str, how: str) -> None:
    database.call(how, users[1], "message", 11)
    before = fingerprint(database, *users)
    told = database.call("undo_import", table, "credits", "message")
    assert (told["success"], told["code"]) == (False, "spent")
    assert told["problems"] == [{"problem": "spent from, or held", "rows": 1, "users": [str(users[1])]}]
    assert fingerprint(database, *users) == before


def test_what_was_spent_and_given_back_is_no_reason(database: Database, users: list[UUID], table: str) -> None:
    spent = database.call("consume_credits", users[0], "message", 12)
    database.call("refund_credits", users[0], spent["operation_id"])
    assert database.call("undo_import", table, "credits", "message")["success"] is True
    database.verify(users[0])


def test_it_may_be_imported_again_and_undone_again(database: Database, users: list[UUID], table: str) -> None:
    for _ in range(2):
        database.call("undo_import", table, "credits", "message")
        again = database.call("import_balances", table, "user_id", "credits", "message")
        assert (again["granted"], again["replayed"], again["elsewhere"]) == (3, 0, {})
        assert database.call("import_balances", table, "user_id", "credits", "message")["replayed"] == 3
    assert [database.balance(user)["remaining"] for user in users] == [15, 16, 17]


def test_the_table_may_be_gone(database: Database, users: list[UUID], table: str) -> None:
    database.run(f"drop table {table}")
    assert database.call("undo_import", table, "credits", "message")["total"] == 18


def test_of_another_column_or_type_there_is_nothing(database: Database, table: str) -> None:
    for arguments in (
        (table, "coins", "message"),
        (table, "credits", "integration"),
        ("nowhere", "credits", "message"),
    ):
        with raises("invalid_argument"):
            database.call("undo_import", *arguments)


def test_an_account_that_is_closed_keeps_what_it_is(database: Database, users: list[UUID], table: str) -> None:
    database.run("delete from auth.users where id = %s", users[2])
    told = database.call("undo_import", table, "credits", "message")
    assert (told["success"], told["grants"], told["total"]) == (True, 2, 11)
