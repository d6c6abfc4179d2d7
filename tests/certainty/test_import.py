"""Balances move in all or not at all, their totals proven against the ledger."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.support.database import Database, call
from tests.support.errors import raises
from tests.support.people import fingerprint, new_workspace
from tests.support.races import wait_until_blocked, weaken

Table = Callable[..., str]


@pytest.fixture
def old(database: Database) -> Table:
    """Makes a table of balances by user: rows of (user, balance)."""

    def make(*rows: tuple[object, object], kind: str = "numeric", user_kind: str = "uuid") -> str:
        name = f"old_{uuid4().hex[:8]}"
        database.run(f"create table {name} (user_id {user_kind}, credits {kind})")
        for row in rows:
            database.run(f"insert into {name} values (%s::{user_kind}, %s)", *row)
        return name

    return make


def take(database: Database, table: str, **named: Any) -> dict[str, Any]:
    told: dict[str, Any] = database.call("import_balances", table, "user_id", "credits", "message", **named)
    return told


@pytest.fixture
def users(database: Database) -> list[UUID]:
    return [database.new_user() for _ in range(3)]


def test_every_row_becomes_an_opening_grant(database: Database, old: Table, users: list[UUID]) -> None:
    table = old(*zip(users, (100, 0, 7), strict=True))
    told = take(database, table, expected_total=107)
    assert (told["success"], told["rows"], told["empty"], told["granted"]) == (True, 3, 1, 2)
    assert told["total"] == told["granted_total"] == 107
    assert [database.balance(user)["remaining"] for user in users] == [110, 10, 17]
    [grant] = database.query(
        "select source, amount, expires_at from credit_grants where account_id = %s and source <> 'plan'", users[0]
    )
    assert grant == ("top_up", 100, None)
    database.verify()


def test_a_second_run_adds_nothing(database: Database, old: Table, users: list[UUID]) -> None:
    table = old(*zip(users, (5, 6, 7), strict=True))
    take(database, table)
    database.call("consume_credits", users[0], "message", 12)
    before = fingerprint(database, *users)
    again = take(database, table)
    assert (again["success"], again["granted"], again["replayed"], again["granted_total"]) == (True, 3, 3, 18)
    assert fingerprint(database, *users) == before


def test_who_came_since_the_last_run_is_taken_along(database: Database, old: Table, users: list[UUID]) -> None:
    table = old((users[0], 5))
    take(database, table)
    database.run(f"insert into {table} values (%s, 8)", users[1])
    told = take(database, table)
    assert (told["success"], told["granted"], told["replayed"], told["total"]) == (True, 2, 1, 13)
    assert [database.balance(user)["remaining"] for user in users] == [15, 18, 10]


def test_a_rehearsal_leaves_nothing(database: Database, old: Table, users: list[UUID]) -> None:
    table = old(*zip(users, (5, 6, 7), strict=True))
    before = fingerprint(database, *users)
    told = take(database, table, dry_run=True)
    assert (told["success"], told["dry_run"], told["granted_total"]) == (True, True, 18)
    assert fingerprint(database, *users) == before


def test_another_total_than_expected_changes_nothing(database: Database, old: Table, users: list[UUID]) -> None:
    table = old(*zip(users, (5, 6, 7), strict=True))
    before = fingerprint(database, *users)
    told = take(database, table, expected_total=19)
    assert (told["success"], told["code"], told["total"], told["granted"]) == (False, "totals_differ", 18, 0)
    assert fingerprint(database, *users) == before


BAD_ROWS = {
    "no user": (None, 5),
    "no such user in auth.users": (uuid4(), 5),
    "no balance": ("USER", None),
    "the balance is negative": ("USER", -1),
    "the balance is not a whole number": ("USER", 1.5),
    "the balance is too large": ("USER", 2**53 + 1),
}


@pytest.mark.parametrize("problem", BAD_ROWS)
def test_one_row_that_cannot_be_used_stops_them_all(
    database: Database, old: Table, users: list[UUID], problem: str
) -> None:
    who, balance = BAD_ROWS[problem]
    table = old((users[0], 5), (users[1] if who == "USER" else who, balance))
    before = fingerprint(database, *users)
    told = take(database, table)
    assert (told["success"], told["code"], told["granted"]) == (False, "unusable_rows", 0)
    [found] = told["problems"]
    assert (found["problem"], found["rows"]) == (problem, 1)
    assert fingerprint(database, *users) == before


def test_several_rows_for_one_user(database: Database, old: Table, users: list[UUID]) -> None:
    [found] = take(database, old((users[0], 5), (users[0], 6)))["problems"]
    assert (found["problem"], found["rows"], found["users"]) == (
        "several rows for one user",
        2,
        [str(users[0])],
    )


def test_what_is_no_uuid(database: Database, old: Table, users: list[UUID]) -> None:
    table = old((str(users[0]).upper(), 5), ("bob", 6), user_kind="text")
    [found] = take(database, table)["problems"]
    assert (found["problem"], found["users"]) == ("the user is not a UUID", ["bob"])
    database.run(f"delete from {table} where user_id = 'bob'")
    assert take(database, table)["granted_total"] == 5


def test_a_balance_that_has_changed_since_it_was_imported(database: Database, old: Table, users: list[UUID]) -> None:
    table = old((users[0], 5), (users[1], 6))
    take(database, table)
    database.run(f"update {table} set credits = 9 where user_id = %s", users[0])
    [found] = take(database, table)["problems"]
    assert found == {"problem": "imported before, with another balance", "rows": 1, "users": [str(users[0])]}


def test_a_closed_account(database: Database, old: Table, users: list[UUID]) -> None:
    database.run("delete from auth.users where id = %s", users[0])
    [found] = take(database, old((users[0], 5)))["problems"]
    assert found["problem"] == "the account is closed"


def test_a_view_rounds_and_filters(database: Database, old: Table, users: list[UUID]) -> None:
    table = old((users[0], 5.7), (users[1], -3))
    database.run(f"create view {table}_v as select user_id, floor(credits) as credits from {table} where credits > 0")
    assert take(database, f"public.{table}_v")["granted_total"] == 5


def test_the_ledger_has_the_last_word(own_database: Database) -> None:
    """A trigger of somebody's that halves what is granted: the totals differ, and nothing has changed."""
    user = own_database.new_user()
    own_database.run("create table old (user_id uuid, credits int)")
    own_database.run("insert into old values (%s, 10)", user)
    own_database.run(
        "create function halve() returns trigger language plpgsql as "
        "$$ begin new.amount := new.amount / 2; return new; end $$"
    )
    own_database.run(
        "create trigger halve before insert on credit_transactions for each row "
        "when (new.description = 'opening balance') execute function halve()"
    )
    before = fingerprint(own_database, user)
    told = take(own_database, "old")
    assert (told["success"], told["code"], told["total"], told["granted_total"]) == (False, "totals_differ", 10, 0)
    assert fingerprint(own_database, user) == before


def test_nobody_changes_the_table_meanwhile(database: Database, old: Table, users: list[UUID]) -> None:
    table = old((users[0], 5))
    with database.connect(autocommit=False) as other:
        other.execute(f"update {table} set credits = 6".encode())
        with database.connect() as own:
            own.execute("set lock_timeout = '100ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                database.call("import_balances", table, "user_id", "credits", "message", connection=own)
        other.rollback()


def test_a_text_that_is_no_number_is_a_problem_of_its_row(database: Database, old: Table, users: list[UUID]) -> None:
    table = old((users[0], " 12 "), (users[1], "1e2"), (users[2], "twelve"), kind="text")
    [found] = take(database, table)["problems"]
    assert found == {"problem": "the balance is not a number", "rows": 1, "users": [str(users[2])]}
    database.run(f"delete from {table} where credits = 'twelve'")
    assert take(database, table)["granted_total"] == 112


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_number_of_a_float(database: Database, old: Table, users: list[UUID], value: str) -> None:
    [found] = take(database, old((users[0], value), kind="float8"))["problems"]
    assert found["users"] == [str(users[0])]


@pytest.mark.parametrize("kind", ["boolean", "timestamptz", "uuid", "int[]"])
def test_a_column_that_is_no_balance(database: Database, old: Table, kind: str) -> None:
    with raises("invalid_argument") as seen:
        take(database, old(kind=kind))
    assert seen.details["argument"] == "column"
    assert "which is no balance" in seen.hint


@pytest.mark.parametrize("name", ["Old Balances", 'old "quoted" %s', "Nice"])
def test_a_name_is_taken_as_it_is_written(database: Database, users: list[UUID], name: str) -> None:
    """Capitals, blanks and quotes, in schema public or in another, with or without the quotes of SQL."""
    quoted = '"' + name.replace('"', '""') + '"'
    database.run("create schema if not exists app")
    for schema, called in (("public", name), ("app", f"app.{name}"), ("public", quoted)):
        user = database.new_user()
        database.run(f'create table if not exists {schema}.{quoted} ("User Id" uuid, "Left %" int)')
        database.run(f"truncate {schema}.{quoted}")
        database.run(f"insert into {schema}.{quoted} values ('{user}', 5)")
        told = database.call("import_balances", called, "User Id", "Left %", "message")
        assert told["granted_total"] == 5


def test_a_table_that_is_not_there_and_where_such_columns_are(database: Database, old: Table) -> None:
    table = old()
    for name in ("nowhere", "a.b.c.d", "other.public.t", "(select 1)", "credit_balances", "credit_grants", ""):
        with raises("invalid_argument") as seen:
            take(database, name)
        assert seen.details == {"argument": "p_table", "value": name}
        assert f"public.{table}" in seen.hint
    with raises("invalid_argument") as seen:
        database.call("import_balances", table, "id", "credits", "message")
    assert seen.hint == f"public.{table} has no column id. It has user_id, credits."


def test_a_workspace_is_no_user(database: Database, old: Table, users: list[UUID]) -> None:
    workspace = new_workspace(database, users[0])
    [found] = take(database, old((users[0], 5), (workspace, 5)))["problems"]
    assert (found["problem"], found["users"]) == ("a workspace, and no user", [str(workspace)])


def test_another_source_than_before(database: Database, old: Table, users: list[UUID]) -> None:
    table = old((users[0], 5))
    take(database, table)
    [found] = take(database, table, source="goodwill")["problems"]
    assert (found["problem"], found["rows"]) == ("imported before, from another source", 1)


def test_more_than_an_account_can_have(database: Database, old: Table, users: list[UUID]) -> None:
    table = old((users[0], 2**53 - 10), (users[1], 2**53 - 9))
    [found] = take(database, table)["problems"]
    assert found["problem"] == "the balance is too large beside what the account has"
    assert found["users"] == [str(users[1])]
    database.run(f"delete from {table} where user_id = %s", users[1])
    for _ in range(2):
        assert take(database, table)["granted_total"] == 2**53 - 10


def test_the_same_money_from_another_table_is_told(database: Database, old: Table, users: list[UUID]) -> None:
    table = old((users[0], 5), (users[1], 6))
    assert take(database, table)["elsewhere"] == {}
    database.run(f"create view {table}_v as select user_id, credits from {table}")
    told = take(database, f"{table}_v", dry_run=True)
    assert told["elsewhere"] == {f"public.{table}:credits": 2}
    assert database.call("import_balances", table, "user_id", "credits", "integration")["elsewhere"] == {}


def test_a_second_run_asks_the_accounts_nothing(database: Database, old: Table, users: list[UUID]) -> None:
    """Who has been imported is not waited for."""
    table = old((users[0], 5))
    take(database, table)
    with database.connect(autocommit=False) as other, database.connect() as own:
        call(other, "consume_credits", users[0], "message", 1)
        own.execute("set lock_timeout = '200ms'")
        assert database.call("import_balances", table, "user_id", "credits", "message", connection=own)["replayed"] == 1
        other.rollback()


def locks(connection: psycopg.Connection[Any]) -> set[str]:
    rows = connection.execute(
        "select relation::regclass::text from pg_locks where pid = pg_backend_pid() and mode = 'ShareLock'"
    ).fetchall()
    return {name for (name,) in rows}


def test_of_a_view_the_projects_own_tables_are_locked(database: Database, old: Table, users: list[UUID]) -> None:
    """And not those of Auth: nobody could sign in meanwhile."""
    table = old((users[0], 5))
    database.run(f"create view {table}_a as select user_id, credits from {table}")
    database.run(f"create view {table}_b as select a.* from {table}_a a join auth.users u on u.id = a.user_id")
    with database.connect(autocommit=False) as own:
        told = call(own, "import_balances", f"{table}_b", "user_id", "credits", "message")
        assert told["granted_total"] == 5
        assert locks(own) == {table}
        own.rollback()


def test_an_import_that_is_killed_leaves_nothing(database: Database, old: Table, users: list[UUID]) -> None:
    """It waits for the last account when its backend is ended; the first two have their grants by then."""
    last = sorted(users, key=str)[-1]
    table = old(*((user, 5) for user in users))
    before = fingerprint(database, *users)
    with database.connect(autocommit=False) as other, database.connect() as own:
        call(other, "consume_credits", last, "message", 1)
        outcome: list[BaseException] = []

        def run() -> None:
            try:
                call(own, "import_balances", table, "user_id", "credits", "message")
            except psycopg.Error as error:
                outcome.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        wait_until_blocked(database, own)
        database.run("select pg_terminate_backend(%s)", own.info.backend_pid)
        thread.join(30)
        other.rollback()
    assert len(outcome) == 1
    assert fingerprint(database, *users) == before
    assert take(database, table)["granted"] == 3


def test_how_far_it_is(own_database: Database) -> None:
    own_database.run("create table old (user_id uuid, credits int)")
    for _ in range(3):
        own_database.run("insert into old values (%s, 5)", own_database.new_user())
    # Told once a second; here, after each row.
    weaken(
        own_database,
        "credits.import_grants(credits.import_row[],text,text,text)",
        "interval '1 second'",
        "interval '0'",
    )
    heard: list[str] = []
    own_database.connection.add_notice_handler(lambda said: heard.append(said.message_primary or ""))
    take(own_database, "old")
    assert heard == ["imported 1 of 3", "imported 2 of 3", "imported 3 of 3"]


@pytest.mark.parametrize(
    ("named", "slug"),
    [
        ({"table": "nothing_there"}, "invalid_argument"),
        ({"table": "auth.users"}, "invalid_argument"),
        ({"table": "credits.balances"}, "invalid_argument"),
        ({"user_column": "nobody"}, "invalid_argument"),
        ({"balance_column": "credits; drop table x"}, "invalid_argument"),
        ({"credit_type": "massage"}, "unknown_credit_type"),
        ({"source": "plan"}, "invalid_argument"),
    ],
)
def test_bad_arguments(database: Database, old: Table, named: dict[str, str], slug: str) -> None:
    arguments = {"table": old(), "user_column": "user_id", "balance_column": "credits", "credit_type": "message"}
    with raises(slug):
        database.call("import_balances", **(arguments | named))


def test_lots_keep_when_they_expire(database: Database) -> None:
    user, other = database.new_user(), database.new_user()
    table = f"lots_{uuid4().hex[:8]}"
    database.run(f"""
        create table public.{table} (user_id uuid, credits integer, ends date);
        insert into public.{table} values ('{user}', 30, current_date + 10), ('{user}', 20, current_date + 40),
          ('{user}', 5, null), ('{other}', 7, current_date + 10)
    """)
    arguments = dict(expires_column="ends", expected_total=62)
    told = database.call("import_balances", table, "user_id", "credits", "message", **arguments)
    assert (told["success"], told["granted"], told["granted_total"]) == (True, 4, 62)
    lots = (
        "select amount, expires_at::date - current_date from credit_grants where account_id = %s and source = 'top_up'"
    )
    assert sorted(database.query(lots, user), key=str) == [(20, 40), (30, 10), (5, None)]
    again = database.call("import_balances", table, "user_id", "credits", "message", **arguments)
    assert (again["granted"], again["replayed"], again["elsewhere"]) == (4, 4, {})
    assert database.balance(user, "message")["remaining"] == 65
    database.verify(user)


def test_a_lot_that_has_expired_is_named(database: Database) -> None:
    user, table = database.new_user(), f"lots_{uuid4().hex[:8]}"
    database.run(f"create table public.{table} (user_id uuid, credits integer, ends timestamptz, note text)")
    database.run(f"insert into public.{table} values ('{user}', 30, now() - interval '1 day')")
    told = database.call("import_balances", table, "user_id", "credits", "message", expires_column="ends")
    assert [problem["problem"] for problem in told["problems"]] == ["it has expired"]
    with pytest.raises(psycopg.Error, match="invalid_argument"):
        database.call("import_balances", table, "user_id", "credits", "message", expires_column="note")


def test_users_may_be_named_by_their_email(database: Database, old: Table, users: list[UUID]) -> None:
    emails = [database.value("select email from auth.users where id = %s", user) for user in users]
    table = old(*zip((emails[0].upper(), f" {emails[1]} ", emails[2]), (5, 6, 7), strict=True), user_kind="text")
    assert take(database, table, user_key="email", expected_total=18)["granted_total"] == 18
    assert [database.balance(user)["remaining"] for user in users] == [15, 16, 17]
    other = old(
        ("nobody@example.com", 5), ("two@example.com", 6), (emails[0], 7), (emails[0].upper(), 8), user_kind="text"
    )
    for _ in range(2):
        database.run("insert into auth.users (id, email) values (gen_random_uuid(), 'two@example.com')")
    problems = {found["problem"]: found["users"] for found in take(database, other, user_key="email")["problems"]}
    assert problems == {
        "no such user in auth.users": ["nobody@example.com"],
        "several users have this e-mail": ["two@example.com"],
        "several rows for one user": [emails[0]],
    }


@pytest.mark.parametrize(("rounding", "total"), [("floor", 8), ("ceil", 10), ("round", 9)])
@pytest.mark.parametrize("kind", ["numeric", "text", "float8"])
def test_fractions_are_rounded_when_asked(
    database: Database, old: Table, users: list[UUID], rounding: str, total: int, kind: str
) -> None:
    table = old((users[0], 5.5), (users[1], 3.4), kind=kind)
    assert take(database, table)["problems"][0]["problem"] == "the balance is not a whole number"
    assert take(database, table, rounding=rounding, expected_total=total)["granted_total"] == total


def test_each_lot_may_have_a_source_of_its_own(database: Database, users: list[UUID]) -> None:
    table = f"lots_{uuid4().hex[:8]}"
    database.run(f"create table {table} (user_id uuid, credits integer, how text)")
    for amount, how in ((5, "top_up"), (6, "promotion"), (7, None)):
        database.run(f"insert into {table} values (%s, %s, %s)", users[0], amount, how)
    for _ in range(2):
        told = take(database, table, source="goodwill", source_column="how")
        assert told["granted_total"] == 18
    assert told["replayed"] == 3
    sources = "select source, amount from credit_grants where account_id = %s and source <> 'plan' order by amount"
    assert database.query(sources, users[0]) == [("top_up", 5), ("promotion", 6), ("goodwill", 7)]
    database.run(f"insert into {table} values (%s, 1, 'plan')", users[1])
    [found] = take(database, table, source="goodwill", source_column="how")["problems"]
    assert (found["problem"], found["users"]) == ("no such source", [str(users[1])])


def test_rows_out_of_a_file(database: Database, users: list[UUID]) -> None:
    rows = [{"who": str(user), "n": str(n), "ends": "2099-01-01T00:00:00Z"} for n, user in enumerate(users, 1)]
    for replayed in (0, 3):
        told = database.call(
            "import_balances", "export.json", "who", "n", "message", expires_column="ends", rows=rows, expected_total=6
        )
        assert (told["success"], told["granted_total"], told["replayed"]) == (True, 6, replayed)
    assert database.call("undo_import", "export.json", "n", "message")["total"] == 6
    for odd in ([1], [{"who": str(users[0])}], [{"n": 5}], [None]):
        assert database.call("import_balances", "odd", "who", "n", "message", rows=odd)["success"] is False
    with raises("invalid_argument"):
        database.call("import_balances", "odd", "who", "n", "message", expires_column="n", rows=[{"n": "soon"}])
