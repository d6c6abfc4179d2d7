"""The digest of a history stays what it is, whatever comes after, and shows whatever is changed in it."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.support.database import Database, call
from tests.support.errors import raises
from tests.support.people import new_workspace

LONG = 25_000

# A history of more than two stretches, too long to be spent one by one.
GROW = """
insert into public.credit_transactions (
  account_id, credit_type, version, operation_id, grant_id, kind, amount, balance_after, created_at)
select t.account_id, 'message', n, gen_random_uuid(), t.grant_id, 'consume', -1, 0, t.created_at
from public.credit_transactions t, generate_series(2, %s) n
where t.account_id = %s and t.credit_type = 'message' and t.version = 1
"""


def entries(database: Database, **arguments: Any) -> list[dict[str, Any]]:
    """All pages."""
    found: list[dict[str, Any]] = []
    while True:
        page = database.call("ledger_digest", **arguments, **({"after": found[-1]} if found else {}))
        found += page["entries"]
        if page["is_last"]:
            return found


@pytest.fixture(scope="module")
def long(database: Database) -> UUID:
    user = database.new_user()
    database.run(GROW, LONG, user)
    database.run(
        "update credits.balances set version = %s where account_id = %s and credit_type = 'message'", LONG, user
    )
    return user


@pytest.fixture
def damage(database: Database) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database.superuser_url) as connection:
        connection.execute("set local session_replication_role = replica")
        try:
            yield connection
        finally:
            connection.rollback()


def test_each_account_and_type_has_one_and_a_long_history_one_for_each_stretch(
    database: Database, user: UUID, long: UUID
) -> None:
    assert [(e["credit_type"], e["version"], e["rows"]) for e in entries(database, user_id=user)] == [
        ("integration", 1, 1),
        ("message", 1, 1),
        ("project", 1, 1),
    ]
    assert [(e["version"], e["rows"]) for e in entries(database, user_id=long) if e["credit_type"] == "message"] == [
        (10_000, 10_000),
        (20_000, 10_000),
        (25_000, 5_000),
    ]


def test_it_is_the_sha256_of_the_rows_as_postgres_sends_them(database: Database, user: UUID) -> None:
    database.call("consume_credits", user, "message", 3, "words", "key", {"more": "words"})
    rows = database.query(
        "select version, operation_id, grant_id, user_id, kind::text, amount, balance_after, related_operation_id, "
        "(extract(epoch from created_at - timestamptz '2000-01-01 00:00+00') * 1000000)::bigint "
        "from public.credit_transactions where account_id = %s and credit_type = 'message' order by version",
        user,
    )
    wanted = hashlib.sha256()
    for row in rows:
        wanted.update(struct.pack(">i", len(row)))
        for value, oid in zip(row, (20, 2950, 2950, 2950, 25, 20, 20, 2950, 1184), strict=True):
            sent = (
                None if value is None
                else value.bytes if isinstance(value, UUID)
                else value.encode() if isinstance(value, str)
                else struct.pack(">q", value)
            )  # fmt: skip
            wanted.update(struct.pack(">Ii", oid, -1 if sent is None else len(sent)) + (sent or b""))
    [_, message, _] = entries(database, user_id=user)
    assert message["sha256"] == wanted.hexdigest()


def test_what_comes_later_leaves_it_as_it_was(database: Database, user: UUID) -> None:
    database.call("consume_credits", user, "message", 3)
    before = entries(database, user_id=user)
    spent = database.call("consume_credits", user, "message", 2)["operation_id"]
    database.call("refund_credits", user, spent)
    database.call("reset_monthly_credits", user)
    assert database.call("ledger_digest", ends=before) == {"entries": before, "is_last": True}
    assert entries(database, user_id=user) != before
    database.call("forget_account", user)
    assert database.call("ledger_digest", ends=before)["entries"] == before


@pytest.mark.parametrize(
    "change",
    [
        "amount = amount - 1",
        "balance_after = balance_after + 1",
        "kind = 'capture'",
        "user_id = null",
        "user_id = gen_random_uuid()",
        "grant_id = gen_random_uuid()",
        "operation_id = gen_random_uuid()",
        "related_operation_id = operation_id",
        "created_at = created_at + interval '1 microsecond'",
        "version = version + 5000",
    ],
)
def test_a_changed_row_shows_and_only_in_its_stretch(
    database: Database, damage: psycopg.Connection[Any], user: UUID, change: str
) -> None:
    database.call("consume_credits", user, "message", 3)
    before = entries(database, user_id=user)
    damage.execute(
        f"update public.credit_transactions set {change} "
        "where account_id = %s and credit_type = 'message' and version = 2".encode(),
        [user],
    )
    now = call(damage, "ledger_digest", ends=before)["entries"]
    assert [entry["credit_type"] for entry, was in zip(now, before, strict=True) if entry != was] == ["message"]


def test_words_may_be_forgotten(database: Database, damage: psycopg.Connection[Any], user: UUID) -> None:
    database.call("consume_credits", user, "message", 3, "secret", metadata={"a": 1})
    before = entries(database, user_id=user)
    damage.execute("update public.credit_transactions set description = null, metadata = '{}'")
    assert call(damage, "ledger_digest", ends=before)["entries"] == before


def test_missing_rows_are_counted(database: Database, damage: psycopg.Connection[Any], long: UUID) -> None:
    before = [entry for entry in entries(database, user_id=long) if entry["credit_type"] == "message"]
    damage.execute("delete from public.credit_transactions where account_id = %s and version > 24998", [long])
    assert [entry["rows"] for entry in call(damage, "ledger_digest", ends=before)["entries"]] == [10_000, 10_000, 4_998]


def test_a_page_holds_about_fifty_thousand_rows_and_the_rest_is_asked_for_again(database: Database, long: UUID) -> None:
    ends = [{"account_id": str(long), "credit_type": "message", "version": n} for n in (10_000, 20_000, 25_000) * 4]
    page = database.call("ledger_digest", ends=ends)
    assert page["is_last"] is False
    assert [entry["version"] for entry in page["entries"]] == [10_000, 20_000, 25_000] * 2
    whole = entries(database)
    assert len({(e["account_id"], e["credit_type"], e["version"]) for e in whole}) == len(whole)
    assert sum(e["rows"] for e in whole) == database.value("select count(*) from public.credit_transactions")


def test_pages_follow_on_each_other_within_an_account(database: Database, long: UUID) -> None:
    whole = entries(database, user_id=long)
    for nth, entry in enumerate(whole):
        assert database.call("ledger_digest", long, after=entry)["entries"] == whole[nth + 1 :]


def test_a_workspace_has_its_own(database: Database, user: UUID) -> None:
    team = new_workspace(database, user)
    assert {entry["account_id"] for entry in entries(database, workspace_id=team)} == {str(team)}


@pytest.mark.parametrize(
    "arguments",
    [
        {"ends": {"account_id": "x"}},
        {"ends": [{"account_id": "x", "credit_type": "message", "version": 1}]},
        {"ends": [{"account_id": "00000000-0000-4000-8000-000000000000", "credit_type": "message", "version": 0}]},
        {"ends": [{"account_id": "00000000-0000-4000-8000-000000000000", "credit_type": "message", "version": "1"}]},
        {"ends": [{"account_id": "00000000-0000-4000-8000-000000000000", "version": 1}]},
        {"ends": [1]},
        {"ends": [{}] * 5001},
        {"after": {"account_id": "x"}},
        {"after": []},
    ],
)
def test_a_slip_is_told_in_words(database: Database, arguments: dict[str, Any]) -> None:
    with raises("invalid_argument"):
        database.call("ledger_digest", **arguments)


def test_somebody_unknown_has_none(database: Database) -> None:
    nobody = {"account_id": "00000000-0000-4000-8000-000000000000", "credit_type": "message", "version": 3}
    assert database.call("ledger_digest", UUID(int=5))["entries"] == []
    [entry] = database.call("ledger_digest", ends=[nobody])["entries"]
    assert entry["rows"] == 0


def test_many_small_balances_come_in_pages(own_database: Database) -> None:
    own_database.run("insert into auth.users (id) select gen_random_uuid() from generate_series(1, 1700)")
    page = own_database.call("ledger_digest")
    assert (len(page["entries"]), page["is_last"]) == (5000, False)
    rest = own_database.call("ledger_digest", after=page["entries"][-1])
    assert (len(rest["entries"]), rest["is_last"]) == (100, True)
