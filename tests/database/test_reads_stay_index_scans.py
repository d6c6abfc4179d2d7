"""Whatever a signed-in user asks of a table, the database reads rows of their accounts and no others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.support.database import Database, copied_database
from tests.support.people import ACCOUNT_TABLES
from tests.support.server import Server

FILL = Path(__file__).parents[1] / "support" / "filled.sql"

# How many accounts a reader has: the fourth person is a plain member of their workspaces.
READERS = {"one": 1, "two": 2, "forty": 40, "forty, as a member": 40}

# The view reads the table behind it.
BEHIND = {"public.credit_balances": "credits.balances"}

# What may be read beside an account's rows of one table: what a plan cannot know before it looks.
SPARE = 10


@pytest.fixture(scope="module")
def filled(server: Server) -> Iterator[Database]:
    """A database with 120,000 spends of 1,200 accounts."""
    with copied_database(server) as copy:
        with psycopg.connect(copy.superuser_url) as connection:
            connection.execute(FILL.read_bytes())
        with psycopg.connect(copy.superuser_url, autocommit=True) as connection:
            connection.execute("vacuum analyze")
        yield copy


@contextmanager
def changing(database: Database) -> Iterator[psycopg.Connection[Any]]:
    with database.connect(autocommit=False) as connection:
        try:
            yield connection
        finally:
            connection.rollback()


def reader(database: Database, name: str) -> UUID:
    nth = 1 + list(READERS).index(name)
    found: UUID = database.value(
        "select s.user_id from public.subscriptions s left join public.credit_workspace_members m using (user_id) "
        "where s.user_id is not null group by 1 order by count(m.*) = %s and coalesce(min(m.role), 'owner') = %s desc, "
        "1 limit 1",
        READERS[name] - 1,
        "member" if nth == 4 else "owner",
    )
    return found


def indexed_columns(database: Database, table: str) -> list[str]:
    """What PostgREST can filter and order by quickly, and the time, by which every page orders."""
    rows = database.query(
        "select distinct a.attname from pg_index i join pg_attribute a on a.attrelid = i.indrelid "
        "and a.attnum = any (i.indkey) where i.indrelid = %s::regclass and i.indisvalid",
        BEHIND.get(table, table),
    )
    shown = {
        name
        for (name,) in database.query(
            "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped", table
        )
    }
    return sorted(({name for (name,) in rows} | {"created_at"}) & shown)


def questions(database: Database, table: str, user: UUID) -> list[str]:
    """Each order and each filter on an indexed column, as PostgREST writes them, and both together."""
    asked = [f"select * from {table}"]
    if table == "public.usage":
        # The metrics have an index of their own on these, by time alone.
        asked.append(f"select * from {table} where status = 'denied' order by created_at desc limit 50")
    # What has no index is looked for among the reader's rows, and nowhere else.
    shown = [
        name
        for (name,) in database.query(
            "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped", table
        )
    ]
    for column in {"description", "metadata", "data", "url", "email", "captured", "amount"} & {*shown}:
        asked += [
            f"select * from {table} where {column}::text like '%z%' limit 50",
            f"select * from {table} order by {column} desc offset 100000 limit 1",
            f"select * from {table} where {column} is null or account_id = '{user}' or created_at is null limit 50",
        ]
    columns = indexed_columns(database, table)
    for column in columns:
        asked += [
            f"select * from {table} order by {column} desc limit 50",
            f"select * from {table} order by {column} limit 50",
        ]
        row = database.query(
            f"select quote_literal({column}::text) from {table} where account_id = any ("
            "  select %s union all select m.account_id from public.credit_workspace_members m where m.user_id = %s) "
            f"and {column} is not null limit 1",
            user,
            user,
        )
        if not row:
            continue
        [(value,)] = row
        asked += [
            f"select * from {table} where {column} = {value}",
            f"select * from {table} where {column} = {value} order by {columns[-1]} desc limit 50",
            f"select * from {table} where {column} >= {value} order by {column} limit 50",
            f"select count(*) from {table} where {column} < {value}",
        ]
    return asked


def scans(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from scans(part)


def rows_read(connection: psycopg.Connection[Any], table: str, user: UUID, question: str) -> int:
    """How many rows of the table were looked at. Fails when there is a scan of all of it."""
    claims = json.dumps({"role": "authenticated", "sub": str(user)})
    connection.execute("select set_config('request.jwt.claims', %s, true)", [claims])
    connection.execute("set local role authenticated")
    row = connection.execute(b"explain (analyze, timing off, format json) " + question.encode()).fetchone()
    connection.execute("reset role")
    assert row is not None
    name = BEHIND.get(table, table).split(".")[1]
    read = 0
    for scan in scans(row[0][0]["Plan"]):
        if scan.get("Relation Name") != name:
            continue
        told = f"{question}\n{json.dumps(scan, indent=1)}"
        assert scan["Node Type"] != "Seq Scan", told
        conditions = str(scan.get("Index Cond")) + str(scan.get("Recheck Cond"))
        assert "account_id" in conditions or "user_id" in conditions, told
        removed = scan.get("Rows Removed by Filter", 0) + scan.get("Rows Removed by Index Recheck", 0)
        read = max(read, round((scan["Actual Rows"] + removed) * scan["Actual Loops"]))
    return read


def too_much(connection: psycopg.Connection[Any], table: str, user: UUID, asked: list[str], mine: int) -> str | None:
    """The first question that is answered by reading more than what the reader has."""
    for question in asked:
        read = rows_read(connection, table, user, question)
        if read > mine + SPARE:
            return f"{question}\nread {read} rows of {table}, and the reader has {mine}"
    return None


def rows_of(database: Database, table: str, user: UUID) -> int:
    count: int = database.value(
        f"select count(*) from {BEHIND.get(table, table)} where account_id = any ("
        "  select %s union all select m.account_id from public.credit_workspace_members m where m.user_id = %s)",
        user,
        user,
    )
    return count


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("table", ACCOUNT_TABLES)
def test_every_order_and_filter_reads_rows_of_the_reader_alone(filled: Database, table: str, name: str) -> None:
    user = reader(filled, name)
    asked, mine = questions(filled, table, user), rows_of(filled, table, user)
    with changing(filled) as connection:
        assert too_much(connection, table, user, asked, mine) is None


def test_the_newest_attempts_of_one_account_are_read_in_order(filled: Database) -> None:
    """By account and time: fifty rows, however many the account has."""
    user = reader(filled, "forty")
    question = f"select * from public.usage where account_id = '{user}' order by created_at desc limit 50"
    with changing(filled) as connection:
        # Each row is counted where it is found and where it is handed out.
        assert rows_read(connection, "public.usage", user, question) <= 50


# What sequential scans of a table have returned, and scans of its indexes.
READ = (
    "select sum(pg_stat_get_xact_tuples_returned(c.oid))::bigint from pg_class c where c.oid = 'public.{0}'::regclass "
    "or c.oid in (select i.indexrelid from pg_index i where i.indrelid = 'public.{0}'::regclass)"
)


@pytest.mark.parametrize(
    ("function", "table", "most"),
    [
        # Seven halves of a hundred versions, of each of three types.
        ("get_credit_history", "credit_transactions", 3 * 7 + SPARE),
        ("explain_operation", "usage", 0),
        ("explain_operation", "credit_transactions", SPARE),
    ],
)
def test_a_function_does_not_look_through_an_account(filled: Database, function: str, table: str, most: int) -> None:
    """The history before an instant is found by halves, an operation in the ledger by its index."""
    user = reader(filled, "two")
    operation = filled.value("select operation_id from public.credit_transactions where account_id = %s limit 1", user)
    named = {"operation_id": operation} if function == "explain_operation" else {"until": "2000-01-01"}
    with changing(filled) as connection:
        connection.execute(
            "insert into auth.users (id, email, role, aud) values (%s, 'r@example.com', 'authenticated', '')", [user]
        )
        query = READ.format(table)
        [(before,)] = connection.execute(query.encode()).fetchall()
        answer = filled.call(function, user, connection=connection, **named)
        [(after,)] = connection.execute(query.encode()).fetchall()
    assert answer["success"]
    assert after - before <= most


def calls(connection: psycopg.Connection[Any], function: str) -> int:
    """How often a function of the policies has been called in this transaction."""
    found = connection.execute(
        "select coalesce(pg_stat_get_xact_function_calls(%s::regprocedure), 0)", [f"credits.{function}()"]
    ).fetchone()
    assert found is not None
    count: int = found[0]
    return count


def too_often(database: Database, table: str, user: UUID, change: str = "") -> str | None:
    """The first question for which a policy's function is called for each row."""
    asked = [*questions(database, table, user), f"select count(*) from {table}"]
    with psycopg.connect(database.superuser_url) as connection:
        connection.execute(change.encode())
        connection.execute("set local track_functions = 'pl'")
        for question in asked:
            before = [calls(connection, function) for function in ("reader_id", "overseen_ids")]
            rows_read(connection, table, user, question)
            after = [calls(connection, function) for function in ("reader_id", "overseen_ids")]
            if any(now > then + 1 for then, now in zip(before, after, strict=True)):
                connection.rollback()
                return question
        connection.rollback()
    return None


@pytest.mark.parametrize("name", ["forty", "forty, as a member"])
@pytest.mark.parametrize("table", ["public.usage", "public.credit_transactions", "public.credit_reservations"])
def test_who_oversees_can_be_asked_once_however_many_rows_there_are(filled: Database, table: str, name: str) -> None:
    """Asked for each row, the owner of a very large workspace waits for seconds."""
    user = reader(filled, name)
    assert rows_of(filled, table, user) > 500
    assert too_often(filled, table, user, "select credits.ask_policies_once()") is None
    assert too_often(filled, table, user) == f"select * from {table}"


@pytest.mark.parametrize(
    ("table", "change"),
    [
        (
            "public.usage",
            'alter policy "Users may read their usage and what they oversee" on public.usage '
            "using (account_id in (select unnest(credits.readable_ids())))",
        ),
        ("public.usage", "alter table public.usage drop constraint usage_pkey"),
        (
            "public.credit_transactions",
            "alter table public.credit_transactions drop constraint credit_transactions_pkey; "
            "drop index public.credit_transactions_operation_idx",
        ),
    ],
)
def test_a_policy_of_another_form_or_a_lost_index_is_seen(filled: Database, table: str, change: str) -> None:
    """The guards removed: what is asked above is answered by reading too much."""
    readers = [reader(filled, name) for name in READERS]
    asked = [(user, questions(filled, table, user), rows_of(filled, table, user)) for user in readers]
    with changing(filled) as connection:
        connection.execute(change.encode())
        with pytest.raises(AssertionError):
            assert [too_much(connection, table, *of_one) for of_one in asked] == [None] * len(READERS)
