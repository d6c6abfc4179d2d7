"""`supabase db push` into projects old and new, empty and lived in."""

from __future__ import annotations

import psycopg
import pytest

from sonas_supabase import migrations
from tests.contract.catalog import fingerprint, rows
from tests.contract.conftest import Pushed
from tests.contract.hosts import OLD_OWNER, OLD_USER

inhabited = pytest.mark.parametrize("host", ["inhabited"], indirect=True)


def test_the_push_applies_every_migration(pushed: Pushed) -> None:
    pushed.said.succeeded()
    assert pushed.said.out.count("Applying migration") == len(migrations.migrations())


def test_a_second_push_changes_nothing(pushed: Pushed) -> None:
    before = fingerprint(pushed.database)
    said = pushed.cli.push().succeeded()
    assert "Applying migration" not in said.out
    assert fingerprint(pushed.database) == before


def test_folder_and_history_agree(pushed: Pushed) -> None:
    ours = [migration.version for migration in migrations.migrations()]
    assert pushed.cli.history() == [(version, version) for version in ours]
    assert migrations.pending(pushed.database.connection) == []


def test_books_and_checklist_hold(pushed: Pushed) -> None:
    pushed.database.verify()
    checklist = pushed.database.call("verify_checklist")
    assert checklist["success"] is True, checklist


def test_a_new_user_has_the_free_plan(pushed: Pushed) -> None:
    user = pushed.database.new_user()
    kinds = ("message", "integration", "project")
    assert [pushed.database.balance(user, kind)["remaining"] for kind in kinds] == [10, 100, 3]


@inhabited
def test_users_of_old_have_the_free_plan(pushed: Pushed) -> None:
    assert pushed.database.query(
        "select user_id::text, credit_type, remaining from credit_balances "
        "where user_id::text = any (%s) order by 1, 2",
        [OLD_USER, OLD_OWNER],
    ) == [
        (user, kind, left)
        for user in (OLD_USER, OLD_OWNER)
        for kind, left in (("integration", 100), ("message", 10), ("project", 3))
    ]


@inhabited
def test_what_the_project_had_is_untouched(pushed: Pushed) -> None:
    after = set(fingerprint(pushed.database))
    assert [line for line in pushed.before if line not in after] == []
    added = after - set(pushed.before)
    of_theirs = sorted(
        line for line in added if line.startswith("trigger") and (" public.projects" in line or " auth." in line)
    )
    # Ours on their tables are triggers alone.
    assert of_theirs
    assert [line for line in added if line.startswith(("table public.projects", "table auth."))] == []
    assert rows(pushed.database, "public.projects") == pushed.rows_before["public.projects"]


@inhabited
def test_a_usage_table_of_theirs_keeps_its_rows_and_gains_nullable_columns(pushed: Pushed) -> None:
    theirs = "id, user_id, feature, seconds"
    before = pushed.rows_before["public.usage"]
    now = rows(pushed.database, "public.usage where credit_type is null", theirs)
    assert now == before
    added = pushed.database.query(
        "select attname::text, attnotnull from pg_attribute "
        "where attrelid = 'public.usage'::regclass and attnum > 4 order by 1"
    )
    ours = "account_id created_at credit_type credits_used description metadata operation_id status"
    assert added == [(name, False) for name in ours.split()]


@inhabited
def test_a_usage_table_of_theirs_takes_our_attempts(pushed: Pushed) -> None:
    assert pushed.database.call("consume_credits", OLD_USER, "message", 2, "theirs and ours")["success"] is True
    [(used, status, feature)] = pushed.database.query(
        "select credits_used, status, feature from public.usage where description = 'theirs and ours'"
    )
    assert (used, status, feature) == (2, "allowed", None)
    pushed.database.verify()


@inhabited
def test_a_table_of_theirs_can_be_metered(pushed: Pushed) -> None:
    """Five projects exist on a plan of three: all five count, none is deleted, a sixth is refused."""
    database = pushed.database
    with database.connect(autocommit=False) as connection:
        counted = connection.execute("select credits.meter_table('public.projects', 'project', 'owner')").fetchone()
        assert counted == (5,)
        with pytest.raises(psycopg.Error) as denied:
            connection.execute("insert into public.projects (owner, name) values (%s, 'one too many')", [OLD_OWNER])
        assert denied.value.sqlstate == "PT402"
        connection.rollback()
