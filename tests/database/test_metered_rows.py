"""The charge belongs to the row: whatever its table, its columns, its key and the session are called or set to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.support.database import Database
from tests.support.errors import raises
from tests.support.races import Contender, race, wait_until_blocked


@pytest.fixture
def name(database: Database) -> Iterator[str]:
    """A name for a table of one's own."""
    table = f"public.rows_{uuid4().hex[:8]}"
    yield table
    database.run(f"drop table if exists {table} cascade")


def used(database: Database, user: UUID, credit_type: str = "project") -> int:
    return int(database.balance(user, credit_type)["used"])


def meter(database: Database, table: str, columns: str, **options: object) -> None:
    database.run(f"create table {table} ({columns})")
    meter_again(database, table, **options)


def meter_again(database: Database, table: str, **options: object) -> int:
    arguments = "".join(f", p_{key} => %s" for key in options)
    query = f"select credits.meter_table('{table}', %s, 'owner_id'{arguments})"
    credit_type = options.pop("credit_type", "project")
    query = query.replace(", p_credit_type => %s", "")
    return int(database.value(query, credit_type, *options.values()))


def unlimited(database: Database, new_user: Callable[[], UUID]) -> UUID:
    user = new_user()
    database.call("change_plan", user, "starter")
    return user


SIMPLE = "id bigint primary key, owner_id uuid"


def test_a_renamed_table_gives_back_and_is_counted_once(database: Database, name: str, user: UUID) -> None:
    meter(database, name, SIMPLE)
    database.run(f"insert into {name} select n, %s from generate_series(1, 3) n", user)
    other = f"renamed_{uuid4().hex[:8]}"
    database.run(f"alter table {name} rename to {other}")
    database.run(f"alter table {other} rename column owner_id to payer; alter table {other} rename column id to nr")
    assert database.value(f"select credits.meter_table('public.{other}', 'project', 'payer')") == 0
    assert used(database, user) == 3
    database.run(f"delete from {other}")
    assert used(database, user) == 0
    database.verify(user)
    database.run(f"drop table {other}")


def test_a_table_in_another_schema_is_the_same_table(database: Database, name: str, user: UUID) -> None:
    meter(database, name, SIMPLE)
    database.run(f"insert into {name} values (1, %s)", user)
    database.run(f"create schema if not exists elsewhere; alter table {name} set schema elsewhere")
    database.run(f"delete from elsewhere.{name.removeprefix('public.')}")
    assert used(database, user) == 0
    database.run("drop schema elsewhere cascade")


@pytest.mark.parametrize(
    ("columns", "values"),
    [
        ("owner_id uuid, id int, primary key (owner_id, id)", "%s, 1"),
        ("owner_id uuid primary key", "%s"),
        ("owner_id uuid, id text primary key", "%s, 'Ünïcode \"quoted\", and a comma'"),
        ("owner_id uuid, a int, b text, c date, primary key (b, c, a)", "%s, 1, 'x', '2026-01-02'"),
        ("owner_id uuid, id bytea primary key", "%s, '\\x00ff'"),
        ("owner_id uuid, id interval primary key", "%s, '1 day 02:03:04'"),
        ("owner_id uuid, id float8 primary key", "%s, 0.1"),
        ("owner_id uuid, id text primary key", "%s, repeat('long', 500)"),
    ],
)
def test_any_key_is_given_back_under_other_session_settings(
    database: Database, name: str, user: UUID, columns: str, values: str
) -> None:
    meter(database, name, columns)
    database.run(f"insert into {name} values ({values})", user)
    assert used(database, user) == 1
    with database.connect() as connection:
        connection.execute(
            "set timezone = 'Asia/Tokyo'; set datestyle = 'German'; set intervalstyle = 'iso_8601';"
            "set bytea_output = 'escape'; set extra_float_digits = -10"
        )
        connection.execute(f"delete from {name}".encode())
    assert used(database, user) == 0
    database.verify(user)


def test_a_key_of_a_time_is_the_same_in_every_time_zone(database: Database, name: str, user: UUID) -> None:
    meter(database, name, "id timestamptz primary key, owner_id uuid")
    with database.connect() as connection:
        connection.execute("set timezone = 'America/New_York'; set datestyle = 'SQL, DMY'")
        connection.execute(f"insert into {name} values ('2026-03-08 02:30:00+00', %s)".encode(), [user])
    with database.connect() as connection:
        connection.execute("set timezone = 'Australia/Eucla'")
        connection.execute(f"delete from {name}".encode())
    assert used(database, user) == 0


def test_an_owner_who_is_deleted_leaves_rows_without_an_owner(database: Database, name: str, user: UUID) -> None:
    meter(database, name, "id bigint primary key, owner_id uuid references auth.users on delete set null")
    database.run(f"insert into {name} select n, %s from generate_series(1, 3) n", user)
    database.run("delete from auth.users where id = %s", user)
    assert database.query(f"select owner_id from {name}") == [(None,)] * 3
    database.run(f"delete from {name}")
    database.verify(user)


def test_a_row_whose_spend_was_refunded_can_be_deleted(database: Database, name: str, user: UUID) -> None:
    meter(database, name, SIMPLE)
    database.run(f"insert into {name} values (1, %s)", user)
    operation = database.value("select operation_id from credits.metered_rows where account_id = %s", user)
    database.call("refund_credits", user, operation)
    database.run(f"delete from {name}")
    assert used(database, user) == 0
    database.verify(user)


def test_a_row_gives_back_what_was_not_refunded(database: Database, name: str, user: UUID) -> None:
    meter(database, name, f"{SIMPLE}, cost int", credit_type="integration", amount_column="cost")
    database.run(f"insert into {name} values (1, %s, 40)", user)
    operation = database.value("select operation_id from credits.metered_rows where account_id = %s", user)
    database.call("refund_credits", user, operation, 15)
    assert used(database, user, "integration") == 25
    database.run(f"delete from {name}")
    assert used(database, user, "integration") == 0
    database.verify(user)


def test_a_row_costs_what_its_column_says_and_follows_it(database: Database, name: str, user: UUID) -> None:
    meter(database, name, f"{SIMPLE}, cost int", credit_type="integration", amount_column="cost")
    database.run(f"insert into {name} values (1, %s, 40), (2, %s, null), (3, %s, 0)", user, user, user)
    assert used(database, user, "integration") == 40
    database.run(f"update {name} set cost = 10 * id")
    assert used(database, user, "integration") == 60
    with raises("insufficient_credits", "PT402"):
        database.run(f"update {name} set cost = 101 where id = 1")
    with raises("invalid_amount"):
        database.run(f"insert into {name} values (4, %s, -1)", user)
    database.run(f"delete from {name}")
    assert used(database, user, "integration") == 0
    database.verify(user)


def test_what_is_used_up_by_being_created_is_not_given_back(
    database: Database, name: str, new_user: Callable[[], UUID]
) -> None:
    maker, taker = new_user(), new_user()
    meter(database, name, SIMPLE, credit_type="message", gives_back=False)
    database.run(f"insert into {name} select n, %s from generate_series(1, 4) n", maker)
    database.run(f"update {name} set owner_id = %s where id = 1", taker)
    database.run(f"delete from {name}")
    assert (used(database, maker, "message"), used(database, taker, "message")) == (4, 0)
    database.run(f"insert into {name} values (1, %s)", maker)
    assert used(database, maker, "message") == 5
    database.verify(maker)


def partitioned(database: Database, name: str) -> None:
    database.run(
        f"create table {name} (region text, id int, owner_id uuid, primary key (region, id))"
        " partition by list (region);"
        f"create table {name}_eu partition of {name} for values in ('eu');"
        f"create table {name}_us (owner_id uuid, junk int, id int not null, region text not null);"
        f"alter table {name}_us drop column junk;"
        f"alter table {name} attach partition {name}_us for values in ('us')"
    )


def test_a_row_that_moves_between_partitions_keeps_its_charge(
    database: Database, name: str, new_user: Callable[[], UUID]
) -> None:
    first, second = new_user(), new_user()
    partitioned(database, name)
    database.run(f"insert into {name} values ('eu', 1, %s), ('us', 2, %s)", first, first)
    assert meter_again(database, name) == 2
    assert meter_again(database, name) == 0
    database.run(f"insert into {name}_us (region, id, owner_id) values ('us', 3, %s)", second)
    database.run(f"insert into {name} values ('eu', 4, %s)", first)
    assert (used(database, first), used(database, second)) == (3, 1)
    database.run(f"update {name} set region = case region when 'eu' then 'us' else 'eu' end")
    assert (used(database, first), used(database, second)) == (3, 1)
    database.run(f"delete from {name}_us where id = 1")
    database.run(f"truncate {name}_eu")
    assert (used(database, first), used(database, second)) == (1, 0)
    database.run(f"delete from {name}")
    assert (used(database, first), used(database, second)) == (0, 0)
    database.verify(first)


def test_a_partition_younger_than_the_meter_is_metered(database: Database, name: str, user: UUID) -> None:
    partitioned(database, name)
    meter_again(database, name)
    database.run(f"create table {name}_as partition of {name} for values in ('as')")
    database.run(f"insert into {name}_as values ('as', 1, %s)", user)
    database.run(f"insert into {name} values ('as', 2, %s)", user)
    assert used(database, user) == 2
    database.run(f"update {name} set region = 'eu' where id = 1")
    database.run(f"update {name} set region = 'as' where id = 1")
    database.run(f"update {name}_as set id = id + 10")
    assert used(database, user) == 2
    assert meter_again(database, name) == 0
    database.run(f"delete from {name}_as where id = 11")
    assert used(database, user) == 1
    database.run(f"delete from {name}")
    assert used(database, user) == 0
    database.verify(user)


def test_a_child_table_is_metered_with_its_parent(database: Database, name: str, user: UUID) -> None:
    database.run(f"create table {name} ({SIMPLE}); create table {name}_child () inherits ({name})")
    database.run(f"insert into {name}_child values (1, %s)", user)
    assert meter_again(database, name) == 1
    database.run(f"insert into {name}_child values (2, %s)", user)
    assert used(database, user) == 2
    database.run(f"delete from {name}")
    assert used(database, user) == 0


def test_a_dropped_table_gives_its_places_back(database: Database, name: str, user: UUID) -> None:
    meter(database, name, SIMPLE)
    database.run(f"insert into {name} select n, %s from generate_series(1, 3) n", user)
    database.run(f"drop table {name}")
    database.value("select credits.return_dropped_tables()")
    assert used(database, user) == 0
    database.verify(user)


def test_a_dropped_table_stands_in_the_way_of_nothing(database: Database, name: str, user: UUID) -> None:
    """Who looks or creates something next does not find its rows counted."""
    for function, arguments in (
        ("get_credit_summary", ()),
        ("check_credits", ("project",)),
        ("consume_credits", ("project",)),
    ):
        meter(database, name, SIMPLE)
        database.run(f"insert into {name} select n, %s from generate_series(1, 3) n", user)
        database.run(f"drop table {name}")
        answer = database.call(function, user, *arguments)
        assert answer["success"], function
        assert used(database, user) == (1 if function == "consume_credits" else 0)
    meter(database, name, SIMPLE)
    database.run(f"insert into {name} select n, %s from generate_series(1, 2) n", user)
    database.run(f"drop table {name}")
    assert database.call("reserve_credits", user, "project", 2)["remaining"] == 0
    database.verify(user)


def test_a_table_that_is_metered_no_longer_gives_back_or_keeps(
    database: Database, name: str, new_user: Callable[[], UUID]
) -> None:
    user, other = new_user(), new_user()
    meter(database, name, SIMPLE)
    database.run(f"insert into {name} values (1, %s), (2, %s), (3, %s)", user, user, other)
    assert database.value("select credits.unmeter_table(%s)", name) == 3
    assert (used(database, user), used(database, other)) == (0, 0)
    database.run(f"insert into {name} values (4, %s)", user)
    assert used(database, user) == 0
    assert meter_again(database, name) == 4
    assert database.value("select credits.unmeter_table(%s, false)", name) == 0
    assert (used(database, user), used(database, other)) == (3, 1)
    assert database.value("select credits.unmeter_table(%s)", name) == 0
    database.verify(user)


def test_statements_of_every_kind_are_metered(database: Database, name: str, new_user: Callable[[], UUID]) -> None:
    user = unlimited(database, new_user)
    meter(database, name, SIMPLE)
    with database.connection.cursor().copy(f"copy {name} from stdin".encode()) as copy:
        for number in range(1, 6):
            copy.write_row((number, user))
    assert used(database, user) == 5
    database.run(
        f"merge into {name} t using (values (1), (2), (6), (7)) v(id) on t.id = v.id "
        "when matched and v.id = 1 then delete when matched then update set id = 20 "
        "when not matched then insert values (v.id, %s)",
        user,
    )
    assert used(database, user) == 6
    database.run(f"insert into {name} values (3, %s), (9, %s) on conflict do nothing", user, user)
    database.run(
        f"insert into {name} as rows values (3, %s), (9, %s) on conflict (id) do update set id = rows.id + 30",
        user,
        user,
    )
    assert used(database, user) == 7
    database.run(f"update {name} set id = id + 1000")
    database.run(f"delete from {name} where id > 1006")
    assert used(database, user) == database.value(f"select count(*) from {name}")
    database.run(f"truncate {name}")
    assert used(database, user) == 0
    database.verify(user)


def test_keys_that_are_swapped_swap_their_charges(database: Database, name: str, user: UUID) -> None:
    meter(
        database,
        name,
        "id int primary key deferrable initially deferred, owner_id uuid, cost int",
        credit_type="integration",
        amount_column="cost",
    )
    database.run(f"insert into {name} values (1, %s, 10), (2, %s, 20)", user, user)
    database.run(f"update {name} set id = 3 - id")
    database.run(f"delete from {name} where id = 1")
    assert used(database, user, "integration") == 10
    database.verify(user)


def test_a_statement_is_one_spend_of_each_owner(database: Database, name: str, new_user: Callable[[], UUID]) -> None:
    users = [unlimited(database, new_user) for _ in range(2)]
    meter(database, name, SIMPLE)
    database.run(f"insert into {name} select n, (%s::uuid[])[1 + n %% 2] from generate_series(1, 1000) n", users)
    for user in users:
        assert database.query("select credits_used from usage where account_id = %s", user) == [(500,)]
    database.run(f"delete from {name} where id <= 998")
    assert [used(database, user) for user in users] == [1, 1]


def test_the_plan_of_a_statement_does_not_depend_on_what_was_written_before(
    database: Database, name: str, new_user: Callable[[], UUID]
) -> None:
    """Rows of an owner who has many already are looked up, not compared with each other."""
    user = unlimited(database, new_user)
    meter(database, name, SIMPLE)
    seconds = []
    for start in range(0, 8000, 1000):
        # As autovacuum does within a minute.
        database.run("analyze credits.metered_rows")
        began = time.perf_counter()
        database.run(
            f"insert into {name} select n, %s from generate_series(%s::int, %s::int) n", user, start, start + 999
        )
        seconds.append(time.perf_counter() - began)
    assert min(seconds[4:]) < 5 * min(seconds[:4])
    began = time.perf_counter()
    database.run(f"update {name} set id = id + 100000")
    database.run(f"delete from {name}")
    assert time.perf_counter() - began < 40 * max(seconds) + 5
    assert used(database, user) == 0
    database.verify(user)


def test_two_statements_of_two_owners_in_opposite_order_wait_for_each_other(
    database: Database, name: str, new_user: Callable[[], UUID]
) -> None:
    users = [unlimited(database, new_user) for _ in range(2)]
    meter(database, name, "id bigint generated always as identity primary key, owner_id uuid")

    def writer(owners: list[UUID]) -> Contender:
        def write(connection: psycopg.Connection[object]) -> str:
            for _ in range(30):
                connection.execute(f"insert into {name} (owner_id) select * from unnest(%s::uuid[])".encode(), [owners])
            return "written"

        return write

    assert race(database, [writer(users), writer(users[::-1])] * 2) == ["written"] * 4
    assert [used(database, user) for user in users] == [120, 120]


@pytest.mark.parametrize("plan", ["free", "starter"])
def test_a_deletion_that_meets_a_lock_timeout_gives_back_later(
    database: Database, name: str, user: UUID, plan: str
) -> None:
    database.call("change_plan", user, plan)
    meter(database, name, SIMPLE)
    database.run(f"insert into {name} values (1, %s), (2, %s)", user, user)
    with database.connect(autocommit=False) as busy, database.connect() as deleting:
        busy.execute("select 1 from credits.balances where account_id = %s for update", [user])
        deleting.execute("set lock_timeout = '50ms'")
        deleting.execute(f"delete from {name} where id = 1".encode())
    assert database.value(f"select count(*) from {name}") == 1
    database.run(f"insert into {name} values (3, %s)", user)
    assert database.call("consume_credits", user, "project")["success"]
    database.run(f"delete from {name} where id >= 2")
    assert used(database, user) == 1
    database.verify(user)


def test_a_row_of_a_closed_or_frozen_account_can_be_deleted(
    database: Database, name: str, new_user: Callable[[], UUID]
) -> None:
    frozen, gone = new_user(), new_user()
    meter(database, name, SIMPLE)
    database.run(f"insert into {name} values (1, %s), (2, %s)", frozen, gone)
    database.call("freeze_account", frozen)
    database.run("delete from auth.users where id = %s", gone)
    database.run(f"delete from {name}")
    assert used(database, frozen) == 0
    with raises("account_frozen", "PT403"):
        database.run(f"insert into {name} values (3, %s)", frozen)
    database.run(f"insert into {name} values (4, %s)", gone)
    database.verify(frozen)
    database.verify(gone)


def test_a_deletion_waits_its_turn_and_gives_back(database: Database, name: str, user: UUID) -> None:
    meter(database, name, SIMPLE)
    database.run(f"insert into {name} values (1, %s)", user)
    with database.connect(autocommit=False) as spending, database.connect(autocommit=False) as deleting:
        spending.execute("select consume_credits(%s, 'project')", [user])
        thread = threading.Thread(target=lambda: deleting.execute(f"delete from {name}".encode()))
        thread.start()
        wait_until_blocked(database, deleting)
        spending.commit()
        thread.join()
        deleting.commit()
    assert used(database, user) == 1
    database.verify(user)
