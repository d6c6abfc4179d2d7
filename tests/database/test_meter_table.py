"""Charging for the rows of a host project's own table, whoever writes them."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.support.api import Api
from tests.support.database import Database
from tests.support.errors import raises
from tests.support.people import acting_as, new_workspace
from tests.support.tables import metered_projects


@pytest.fixture(scope="module")
def table(database: Database) -> str:
    return metered_projects(database)


def used(database: Database, user: UUID, credit_type: str = "project") -> int:
    return int(database.balance(user, credit_type)["used"])


def insert(database: Database, table: str, *owners: UUID | None) -> list[UUID]:
    rows = database.connection.execute(
        f"insert into {table} (owner_id) select * from unnest(%s::uuid[]) returning id".encode(), [list(owners)]
    ).fetchall()
    return [row[0] for row in rows]


def test_a_row_costs_its_owner_one_and_its_deletion_gives_it_back(database: Database, table: str, user: UUID) -> None:
    [first, second] = insert(database, table, user, user)
    assert used(database, user) == 2
    database.run(f"delete from {table} where id = %s", first)
    assert used(database, user) == 1
    database.run(f"delete from {table} where id = %s", second)
    assert database.balance(user, "project")["remaining"] == 3
    assert database.query("select status, credits_used, description from usage where account_id = %s", user) == [
        ("allowed", 2, table),
    ]
    database.verify(user)


def test_the_fourth_row_is_refused_and_nothing_of_its_statement_stays(
    database: Database, table: str, user: UUID
) -> None:
    insert(database, table, user)
    with raises("limit_reached", "PT402") as seen:
        insert(database, table, user, user, user)
    assert (seen.details["required"], seen.details["plan"]) == (3, "free")
    assert used(database, user) == 1
    assert database.value(f"select count(*) from {table} where owner_id = %s", user) == 1
    insert(database, table, user, user)
    database.verify(user)


def test_a_rolled_back_insert_costs_nothing(database: Database, table: str, user: UUID) -> None:
    with database.connect(autocommit=False) as connection:
        connection.execute(f"insert into {table} (owner_id) values (%s)".encode(), [user])
        connection.rollback()
    assert used(database, user) == 0


def test_a_new_owner_takes_the_charge_over(database: Database, table: str, new_user: Callable[[], UUID]) -> None:
    seller, buyer = new_user(), new_user()
    [row] = insert(database, table, seller)
    database.run(f"update {table} set owner_id = %s where id = %s", buyer, row)
    assert (used(database, seller), used(database, buyer)) == (0, 1)
    database.run(f"delete from {table} where id = %s", row)
    assert (used(database, seller), used(database, buyer)) == (0, 0)
    database.verify(buyer)


def test_an_owner_without_a_free_place_cannot_be_given_a_row(
    database: Database, table: str, new_user: Callable[[], UUID]
) -> None:
    giver, full = new_user(), new_user()
    insert(database, table, full, full, full)
    [row] = insert(database, table, giver)
    with raises("limit_reached", "PT402"):
        database.run(f"update {table} set owner_id = %s where id = %s", full, row)
    assert (used(database, giver), used(database, full)) == (1, 3)


def test_a_changed_key_is_still_given_back(database: Database, table: str, user: UUID) -> None:
    [row] = insert(database, table, user)
    renamed = uuid4()
    database.run(f"update {table} set id = %s where id = %s", renamed, row)
    assert used(database, user) == 1
    database.run(f"delete from {table} where id = %s", renamed)
    assert used(database, user) == 0
    database.verify(user)


def test_a_key_and_an_owner_changed_at_once_move_the_charge(
    database: Database, table: str, new_user: Callable[[], UUID]
) -> None:
    seller, buyer = new_user(), new_user()
    [row] = insert(database, table, seller)
    renamed = uuid4()
    database.run(f"update {table} set id = %s, owner_id = %s where id = %s", renamed, buyer, row)
    assert (used(database, seller), used(database, buyer)) == (0, 1)
    database.run(f"delete from {table} where id = %s", renamed)
    assert used(database, buyer) == 0


def test_any_other_change_of_a_row_is_free(database: Database, table: str, user: UUID) -> None:
    [row] = insert(database, table, user)
    ledger = database.value("select count(*) from credit_transactions where account_id = %s", user)
    database.run(f"update {table} set name = 'renamed' where id = %s", row)
    database.run(f"update {table} set id = id, owner_id = owner_id where id = %s", row)
    assert database.value("select count(*) from credit_transactions where account_id = %s", user) == ledger


def test_an_upsert_costs_only_what_it_adds(database: Database, table: str, user: UUID) -> None:
    [row] = insert(database, table, user)
    insertion = f"insert into {table} (id, owner_id) values (%s, %s)"
    upsert = f"{insertion} on conflict (id) do update set name = 'again'"
    database.run(upsert, row, user)
    database.run(upsert, row, user)
    assert used(database, user) == 1
    database.run(f"{insertion} on conflict do nothing", row, user)
    assert used(database, user) == 1
    database.run(upsert, uuid4(), user)
    assert used(database, user) == 2
    database.verify(user)


def test_a_truncated_table_gives_everything_back(database: Database, new_user: Callable[[], UUID]) -> None:
    table = metered_projects(database)
    first, second = new_user(), new_user()
    insert(database, table, first, second, first)
    database.run(f"truncate {table}")
    assert (used(database, first), used(database, second)) == (0, 0)
    database.verify(first)
    database.verify(second)


def test_rows_that_existed_are_counted_however_many_they_are(database: Database, user: UUID) -> None:
    table = f"public.old_projects_{uuid4().hex[:8]}"
    database.run(f"create table {table} (id bigint generated always as identity primary key, owner_id uuid)")
    nobody = uuid4()
    insert(database, table, *[user] * 5, None, nobody)
    assert database.value(f"select credits.meter_table('{table}', 'project', 'owner_id')") == 5
    balance = database.balance(user, "project")
    assert (balance["used"], balance["remaining"]) == (5, 0)
    # Safe to repeat: nothing is counted twice, and one row still costs one.
    assert database.value(f"select credits.meter_table('{table}', 'project', 'owner_id')") == 0
    assert used(database, user) == 5
    with raises("limit_reached"):
        insert(database, table, user)
    database.run(f"delete from {table} where id <= 3")
    assert used(database, user) == 2
    insert(database, table, user)
    assert used(database, user) == 3
    # A row without a user was never charged and is given back to nobody.
    database.run(f"delete from {table} where owner_id = %s or owner_id is null", nobody)
    database.verify(user)


def test_a_row_may_cost_credits_that_are_spent(database: Database, user: UUID) -> None:
    table = metered_projects(database, credit_type="message")
    rows = insert(database, table, *[user] * 10)
    assert used(database, user, "message") == 10
    with raises("insufficient_credits", "PT402"):
        insert(database, table, user)
    database.run(f"delete from {table} where id = %s", rows[0])
    assert used(database, user, "message") == 9
    database.verify(user)


def test_a_row_without_an_owner_or_of_one_unknown_is_accepted_and_costs_nothing(database: Database, user: UUID) -> None:
    table = f"public.loose_{uuid4().hex[:8]}"
    database.run(f"create table {table} (id uuid primary key default gen_random_uuid(), owner_id uuid)")
    database.value(f"select credits.meter_table('{table}', 'project', 'owner_id')")
    rows = insert(database, table, None, uuid4())
    assert (
        database.query(
            "select 1 from credits.metered_rows r join credits.meters m on m.id = r.meter_id where m.table_name = %s",
            table,
        )
        == []
    )
    database.run(f"update {table} set owner_id = %s where id = any (%s)", user, rows)
    assert used(database, user) == 2
    database.run(f"delete from {table}")
    assert used(database, user) == 0
    database.verify(user)


def test_a_workspace_may_own_rows(database: Database, table: str, user: UUID) -> None:
    workspace = new_workspace(database, user)
    [row] = insert(database, table, workspace)
    assert (used(database, workspace), used(database, user)) == (1, 0)
    database.run(f"delete from {table} where id = %s", row)
    assert used(database, workspace) == 0


def test_a_table_with_odd_names_and_a_key_of_two_columns_can_be_metered(database: Database, user: UUID) -> None:
    table = 'public."My ""Odd"" Projects"'
    database.run(
        f'create table {table} ("the order" int, "Slug" text, "Owner Id" uuid, primary key ("Slug", "the order"))'
    )
    database.value("select credits.meter_table(%s, 'project', 'Owner Id')", table)
    database.run(f"insert into {table} values (1, 'a', %s), (1, 'b', %s)", user, user)
    database.run(f"update {table} set \"Slug\" = 'c' where \"Slug\" = 'b'")
    assert used(database, user) == 2
    database.run(f"delete from {table}")
    assert used(database, user) == 0
    database.verify(user)


@pytest.mark.parametrize(
    ("table", "credit_type", "owner_column", "slug", "sentence"),
    [
        ("public.usage", "project", "no_such_column", "invalid_argument", "public.usage needs a column no_such_column"),
        ("public.plans", "project", "name", "invalid_argument", "of type uuid that names who pays"),
        ("public.plans", "gold", "name", "unknown_credit_type", "no such credit type"),
        ("pg_temp.keyless", "project", "owner_id", "invalid_argument", "needs a primary key"),
    ],
)
def test_what_cannot_be_metered_is_said_in_a_sentence(
    database: Database, table: str, credit_type: str, owner_column: str, slug: str, sentence: str
) -> None:
    database.run("create temporary table if not exists keyless (owner_id uuid)")
    with raises(slug) as seen:
        database.value("select credits.meter_table(%s, %s, %s)", table, credit_type, owner_column)
    assert sentence in seen.hint


def test_a_table_that_does_not_exist_cannot_be_metered(database: Database) -> None:
    with pytest.raises(psycopg.errors.UndefinedTable, match="no_such_table"):
        database.value("select credits.meter_table('public.no_such_table', 'project', 'owner_id')")


def test_no_api_role_can_meter_a_table(database: Database, user: UUID) -> None:
    for role in ("anon", "authenticated", "service_role"):
        with acting_as(database, role, user) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select credits.meter_table('public.usage', 'project', 'user_id')")


def test_a_browser_creates_three_projects_and_is_refused_the_fourth(
    database: Database, table: str, user: UUID, api: Api
) -> None:
    path = f"/{table.removeprefix('public.')}"
    with api.client(api.user_token(user)) as browser:
        for _ in range(3):
            assert browser.post(path, json={"owner_id": str(user)}).status_code == 201
        refused = browser.post(path, json={"owner_id": str(user)})
        assert (refused.status_code, refused.json()["code"]) == (402, "PT402")
        assert refused.json()["message"] == "limit_reached"
        assert "available" in refused.json()["details"]
        assert len(browser.get(path).json()) == 3
        assert browser.delete(f"{path}?owner_id=eq.{user}").status_code == 204
        assert browser.post(path, json={"owner_id": str(user)}).status_code == 201
    assert used(database, user) == 1
    database.verify(user)


def test_a_browser_cannot_charge_somebody_else(
    database: Database, table: str, new_user: Callable[[], UUID], api: Api
) -> None:
    me, other = new_user(), new_user()
    with api.client(api.user_token(me)) as browser:
        assert browser.post(f"/{table.removeprefix('public.')}", json={"owner_id": str(other)}).status_code == 403
    assert used(database, other) == 0


def test_the_same_key_in_two_metered_tables_is_two_rows(database: Database, user: UUID) -> None:
    tables = metered_projects(database), metered_projects(database)
    key = uuid4()
    for table in tables:
        database.run(f"insert into {table} (id, owner_id) values (%s, %s)", key, user)
    database.run(f"delete from {tables[1]} where id = %s", key)
    assert database.balance(user, "project")["used"] == 1
    assert database.query(
        "select m.table_name from credits.metered_rows r join credits.meters m on m.id = r.meter_id "
        "where r.account_id = %s",
        user,
    ) == [(tables[0],)]
    database.verify(user)


def test_a_row_of_a_user_who_left_costs_nothing(database: Database, user: UUID) -> None:
    table = metered_projects(database)
    database.run("delete from auth.users where id = %s", user)
    database.run(f"insert into {table} (owner_id) values (%s)", user)
    assert database.query("select 1 from credits.metered_rows where account_id = %s", user) == []


def test_rows_that_just_fit_when_a_table_is_metered_raise_no_allowance(database: Database, user: UUID) -> None:
    table = metered_projects(database)
    allowance = database.balance(user, "project")["remaining"]
    database.run(f"alter table {table} disable trigger user")
    database.run(f"insert into {table} (owner_id) select %s from generate_series(1, %s)", user, allowance)
    database.run(f"alter table {table} enable trigger user")
    grants = (
        "select count(*) from credit_transactions where account_id = %s and credit_type = 'project' and kind = 'grant'"
    )
    before = database.value(grants, user)
    database.value("select credits.meter_table(%s, 'project', 'owner_id')", table)
    assert (database.balance(user, "project")["remaining"], database.value(grants, user)) == (0, before)
    database.verify(user)


def test_rows_of_somebody_who_left_are_not_counted_when_a_table_is_metered(database: Database, user: UUID) -> None:
    table = metered_projects(database)
    gone = database.new_user()
    database.run(f"alter table {table} disable trigger user")
    database.run(f"insert into {table} (owner_id) values (%s), (%s)", user, gone)
    database.run(f"alter table {table} enable trigger user")
    database.run("delete from auth.users where id = %s", gone)
    database.value("select credits.meter_table(%s, 'project', 'owner_id')", table)
    assert database.balance(user, "project")["used"] == 1
    assert database.query("select 1 from credits.metered_rows where account_id = %s", gone) == []


def test_an_update_that_keeps_the_key_writes_nothing(database: Database, user: UUID) -> None:
    table = metered_projects(database)
    database.run(f"insert into {table} (owner_id) values (%s)", user)
    row = "select m.xmin::text, to_jsonb(m) from credits.metered_rows m where m.account_id = %s"
    before = database.query(row, user)
    database.run(f"update {table} set owner_id = owner_id, id = id where owner_id = %s", user)
    assert database.query(row, user) == before
