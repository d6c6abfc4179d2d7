"""Rule 3 adds up by chance-drawn weights first, and still finds each spend that `usage` tells otherwise."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from tests.support.database import Database

LARGE = 2**53 - 2**20


def operations(database: Database, user: UUID | None = None) -> dict[str, Any]:
    [check, _] = database.call("verify_books", user_id=user, rule=3)["checks"]
    assert check["ok"] == (check["violations"] == [])
    return dict(check)


@pytest.fixture
def spends(database: Database, user: UUID) -> list[str]:
    """Spends of 2, 3 and 4, the last over two grants."""
    database.call("grant_credits", user, "message", 3)
    return [database.call("consume_credits", user, "message", amount)["operation_id"] for amount in (2, 3, 4)]


@pytest.mark.parametrize("whom", ["one account", "all accounts"])
@pytest.mark.parametrize(
    ("damage", "found"),
    [
        ("update usage set credits_used = credits_used + 1 where operation_id = %(first)s", ("first",)),
        # The sum of the account is what it was.
        ("update usage set credits_used = 5 - credits_used where operation_id in (%(first)s, %(second)s)",
         ("first", "second")),
        ("insert into usage select (jsonb_populate_record(u, '{\"id\": \"11111111-1111-4111-8111-111111111111\"}')).* "
         "from usage u where operation_id = %(third)s", ("third",)),
        ("update usage set credit_type = 'integration' where operation_id = %(second)s", ("second",)),
        # A project may clear its own log; what is left of it has to agree.
        ("delete from usage where operation_id = %(first)s", ()),
        ("with cleared as (delete from usage where operation_id = %(first)s) "
         "update usage set credits_used = 9 where operation_id = %(second)s", ("second",)),
    ],
)  # fmt: skip
def test_a_spend_that_usage_tells_otherwise(
    database: Database, user: UUID, spends: list[str], damage: str, found: tuple[str, ...], whom: str
) -> None:
    named = dict(zip(("first", "second", "third"), spends, strict=True))
    assert operations(database, user)["ok"]
    with database.connection.transaction(force_rollback=True):
        database.connection.execute(damage.encode(), named)
        seen = operations(database, user if whom == "one account" else None)["violations"]
        assert {entry["operation_id"] for entry in seen} == {named[name] for name in found}
        assert {entry["account_id"] for entry in seen} <= {str(user)}


def test_a_refund_above_its_spend(database: Database, user: UUID, spends: list[str]) -> None:
    database.call("refund_credits", user, spends[0])
    assert operations(database)["ok"]
    with database.connection.transaction(force_rollback=True):
        database.run("alter table credit_transactions disable trigger user")
        database.run("update credit_transactions set amount = 3 where related_operation_id = %s", spends[0])
        assert operations(database)["violations"] == [{"account_id": str(user), "operation_id": spends[0]}]


def test_amounts_as_large_as_they_get(database: Database, user: UUID) -> None:
    for amount in (LARGE - 2**33, 2**33):
        database.call("grant_credits", user, "message", amount)
    spent = database.call("consume_credits", user, "message", LARGE)["operation_id"]
    assert operations(database, user)["ok"]
    with database.connection.transaction(force_rollback=True):
        database.run("update usage set credits_used = credits_used - 1 where operation_id = %s", spent)
        assert [entry["operation_id"] for entry in operations(database, user)["violations"]] == [spent]
