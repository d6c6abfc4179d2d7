"""Whatever is broken by hand in books where everything has happened, a rule names it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.certainty.corruptions import CORRUPTIONS, PLAN_DAMAGE, UNJUDGED, Corruption
from tests.support import rich_history
from tests.support.database import Database, call, copied_database
from tests.support.server import Server

# Figures that are worked out from the ledger and made anew at any time: reports, no books. And what HTTP answered
# and could not collect, and what people are told, where no credits live.
REPORTS = (
    "^(account_(numbers|periods)|(monthly|daily)_accounts|rolled_up|stored_answers|uncollected"
    "|outbox|undone_imports|channels|deliveries|credit_webhooks|webhook_secrets|alert_settings"
    "|message_preferences|broadcast_epochs|credit_notifications)$"
)

CONSTRAINTS = """
select format('alter table %s drop constraint %I', c.conrelid::regclass, c.conname)
from pg_constraint c
join pg_class r on r.oid = c.conrelid and r.relnamespace in ('public'::regnamespace, 'credits'::regnamespace)
where c.contype in ('c', 'f') and r.relkind = 'r'
"""


@pytest.fixture(scope="module")
def books(server: Server) -> Iterator[Database]:
    """A rich history, in which nothing but the rules is left to notice."""
    with copied_database(server) as database:
        rich_history.make(database)
        with psycopg.connect(database.superuser_url) as connection:
            for (statement,) in connection.execute(CONSTRAINTS.encode()).fetchall():
                connection.execute(statement.encode())
            connection.execute("drop index public.credit_grants_period_key")
        yield database


@pytest.fixture
def damage(books: Database) -> Iterator[psycopg.Connection[Any]]:
    """As the superuser, past every trigger; undone at the end."""
    with psycopg.connect(books.superuser_url) as connection:
        connection.execute("set local session_replication_role = replica")
        try:
            yield connection
        finally:
            connection.rollback()


def broken(connection: psycopg.Connection[Any], user: UUID | None = None) -> dict[int, list[Any]]:
    """The violations by rule."""
    found: dict[int, list[Any]] = {}
    for check in call(connection, "verify_books", user_id=user)["checks"]:
        if not check["ok"]:
            found.setdefault(check["rule"], []).extend(check["violations"])
    return found


def test_the_books_are_in_order_before(damage: psycopg.Connection[Any]) -> None:
    assert broken(damage) == {}


@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=lambda c: f"{c.rule}: {c.what} ({c.column})")
def test_a_rule_names(damage: psycopg.Connection[Any], corruption: Corruption) -> None:
    changed = damage.execute(corruption.statement.encode()).fetchall()
    assert len(changed) == 1, "the history has no such row to hurt"
    found = broken(damage)
    assert corruption.rule in found
    if ".account_id" not in corruption.column:
        [(account,)] = changed
        assert str(account) in str(found[corruption.rule])
        assert corruption.rule in broken(damage, account)


@pytest.mark.parametrize("what", PLAN_DAMAGE)
def test_rule_5_names_a_version_of_a_plan_that_cannot_be(damage: psycopg.Connection[Any], what: str) -> None:
    assert damage.execute(PLAN_DAMAGE[what].encode()).rowcount > 0
    assert 5 in broken(damage)


def test_it_takes_no_plan_that_only_finds_the_first_few(own_database: Database) -> None:
    """Where nothing is broken, a plan for ten rows compares every balance with every other."""
    own_database.run("insert into auth.users (id) select gen_random_uuid() from generate_series(1, 3000)")
    with own_database.connect() as connection:
        connection.execute("analyze")
        connection.execute("set statement_timeout = '5s'")
        for rule in (1, 2, 3, 4, 5, 6, 7, 9, 10, 11):
            assert call(connection, "verify_books", rule=rule)["success"] is True


def test_every_column_of_an_account_is_judged_or_said_not_to_be(books: Database) -> None:
    columns = books.query(
        "select c.oid::regclass::text, a.attname from pg_class c join pg_attribute a on a.attrelid = c.oid "
        "where c.relkind = 'r' and c.relnamespace in ('public'::regnamespace, 'credits'::regnamespace) "
        "and a.attnum > 0 and not a.attisdropped and c.relname !~ %s and exists ("
        "  select from pg_attribute o where o.attrelid = c.oid and o.attname = 'account_id')",
        REPORTS,
    )
    named = {f"{table if '.' in table else 'public.' + table}.{column}" for table, column in columns}
    judged = {corruption.column for corruption in CORRUPTIONS if corruption.column.count(".") == 2}
    assert named - judged - set(UNJUDGED) == set()
    assert (judged | set(UNJUDGED)) - named == set()
    assert judged & set(UNJUDGED) == set()
