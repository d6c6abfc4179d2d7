"""What no other test noticed when a small fault was put into a function (docs/mutation.md)."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.support.database import Database
from tests.support.errors import raises
from tests.support.races import PATIENCE, wait_until_blocked
from tests.support.tables import metered_projects
from tests.support.timed import Timed


def test_a_grant_that_is_held_as_a_whole_has_no_row_in_a_spend_that_passes_it_by(
    database: Database, user: UUID
) -> None:
    held = database.call("grant_credits", user, "message", 5, source="promotion")["grant_id"]
    database.call("reserve_credits", user, "message", 5)
    database.call("grant_credits", user, "message", 3, source="promotion")
    spent = database.call("consume_credits", user, "message", 6)
    rows = database.query(
        "select grant_id, amount from public.credit_transactions where operation_id = %s", UUID(spent["operation_id"])
    )
    assert sorted(amount for _, amount in rows) == [-3, -3]
    assert UUID(held) not in {grant for grant, _ in rows}


def test_saying_the_same_status_again_changes_nothing(database: Database, user: UUID) -> None:
    database.call("change_plan", user, "pro")
    database.call("set_subscription_status", user, "past_due")
    row = "select s.xmin::text, to_jsonb(s) from public.subscriptions s where s.account_id = %s"
    [before] = database.query(row, user)
    database.call("set_subscription_status", user, "past_due")
    assert database.query(row, user) == [before]


@pytest.mark.parametrize("status", ["paid", "", None])
def test_a_status_that_does_not_exist_is_refused(database: Database, user: UUID, status: str | None) -> None:
    with raises("invalid_argument", "PT422") as seen:
        database.call("set_subscription_status", user, status)
    assert seen.details["argument"] == "p_status"


def test_the_greatest_amount_may_have_metadata(database: Database, user: UUID) -> None:
    answer = database.call("consume_credits", user, "message", 2**53, metadata={"any": "thing"})
    assert answer["code"] == "insufficient_credits"


def test_a_hold_is_found_among_others_by_its_id(database: Database, user: UUID) -> None:
    database.call("reserve_credits", user, "message", 2)
    hold = database.call("reserve_credits", user, "integration", 5)["reservation_id"]
    database.call("reserve_credits", user, "message", 3)
    answer = database.call("capture_credits", user, hold)
    assert (answer["credit_type"], answer["captured"]) == ("integration", 5)
    assert database.balance(user)["reserved"] == 5
    database.verify(user)
    with raises("reservation_not_found", "PT404"):
        database.call("capture_credits", user, uuid4())


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


@pytest.mark.parametrize(("used", "held", "percent"), [(1, 5, 60), (2, 3, 50), (0, 8, 80)])
def test_what_is_held_counts_as_used_in_the_percentage(
    database: Database, user: UUID, used: int, held: int, percent: int
) -> None:
    if used:
        database.call("consume_credits", user, "message", used)
    database.call("reserve_credits", user, "message", held)
    [shown] = [b for b in database.call("get_credit_summary", user)["balances"] if b["credit_type"] == "message"]
    assert shown["percent_used"] == percent
    assert shown["warning"] == ("low" if percent >= 80 else None)


def test_the_allowance_of_a_limit_cannot_be_revoked(database: Database, user: UUID) -> None:
    grant = database.value(
        "select id from public.credit_grants where account_id = %s and credit_type = 'project' and source = 'plan'",
        user,
    )
    with raises("invalid_argument", "PT422") as seen:
        database.call("revoke_grant", user, grant)
    assert seen.details["argument"] == "p_grant_id"
    assert database.balance(user, "project")["remaining"] == 3


def test_an_account_that_closes_while_it_is_being_frozen_stays_closed(database: Database, user: UUID) -> None:
    with database.connect(autocommit=False) as leaving, database.connect() as freezing:
        leaving.execute("delete from auth.users where id = %s", [user])
        freezing.execute(f"set lock_timeout = {int(PATIENCE * 1000)}")
        freezing.pgconn.send_query(f"select public.freeze_account('{user}')".encode())
        wait_until_blocked(database, freezing)
        leaving.commit()
        answer, end = freezing.pgconn.get_result(), freezing.pgconn.get_result()
        assert answer is not None
        assert (answer.error_message, end) == (b"", None)
    assert database.value("select status from credits.accounts where account_id = %s", user) == "closed"
    assert database.query("select distinct account_status from credits.balances where account_id = %s", user) == [
        ("closed",)
    ]


def test_a_user_who_is_deleted_waits_for_a_spend_without_standing_in_its_way(database: Database, user: UUID) -> None:
    """Locks are taken in one order: who leaves has none of the account while waiting for the first of its balances."""
    with database.connect(autocommit=False) as spending, database.connect() as leaving:
        spending.execute("select public.consume_credits(%s, 'integration')", [user])
        leaving.execute(f"set lock_timeout = {int(PATIENCE * 1000)}")
        leaving.pgconn.send_query(f"delete from auth.users where id = '{user}'".encode())
        wait_until_blocked(database, leaving)
        spending.execute("select public.freeze_account(%s)", [user])
        spending.commit()
        answer, end = leaving.pgconn.get_result(), leaving.pgconn.get_result()
        assert answer is not None
        assert (answer.error_message, end) == (b"", None)
    assert database.value("select status from credits.accounts where account_id = %s", user) == "closed"


def test_an_operation_is_explained_by_what_is_its_own(database: Database, user: UUID) -> None:
    operations = [database.call("consume_credits", user, "message", 2)["operation_id"] for _ in range(2)]
    for operation in operations:
        database.call("refund_credits", user, operation, 1)
    hold = database.call("reserve_credits", user, "message", 1)
    explained = database.call("explain_operation", user, operations[0])
    assert (explained["refunded"], [r["amount"] for r in explained["refunds"]]) == (1, [1])
    assert explained["reservation"] is None
    reservation = database.call("explain_operation", user, hold["operation_id"])["reservation"]
    assert (reservation["reservation_id"], reservation["status"]) == (hold["reservation_id"], "open")


@pytest.mark.parametrize("limit", [0, 1001, None])
def test_a_page_of_the_history_has_its_bounds(database: Database, user: UUID, limit: int | None) -> None:
    with raises("invalid_argument", "PT422") as seen:
        database.call("get_credit_history", user, limit=limit)
    assert seen.details["argument"] == "p_limit"


def test_a_page_of_the_history_is_the_newest_of_all_types(database: Database) -> None:
    user = Timed(database)
    user.call("grant_credits", "message", 3)
    user.wait(seconds=1).call("consume_credits", "message", 5)
    newest_of_message = user.entries("consume")[-1]["version"]
    user.wait(seconds=1).call("consume_credits", "integration", 1)
    for limit, expected in ((1, ["integration"]), (2, ["integration", "message"])):
        entries = user.call("get_credit_history", limit=limit)["rows"]
        assert [entry["credit_type"] for entry in entries] == expected
    assert entries[-1]["version"] == newest_of_message


class TestSystemStatus:
    def test_what_falls_due_at_this_very_instant_is_due(self, own_database: Database) -> None:
        user = own_database.new_user()
        with own_database.connect() as connection:
            # One statement: all of it sees the same instant.
            connection.execute(
                f"""
                do $$ begin
                  update credits.balances set due_at = statement_timestamp()
                  where account_id = '{user}' and credit_type = 'message';
                  create temp table seen as select public.system_status() as status;
                end $$
                """
            )
            [status] = connection.execute("select status from seen").fetchone() or [None]
        assert (status["due"], status["oldest_due_at"]) == (1, status["now"])

    def test_so_is_what_falls_due_at_the_instant_of_a_test_clock(self, own_database: Database) -> None:
        user = Timed(own_database)
        own_database.run(
            "update credits.balances set due_at = test_now where account_id = %s and credit_type = 'message'", user.id
        )
        status = own_database.call("system_status")
        assert (status["due"], status["oldest_due_at"]) == (1, None)

    def test_the_size_of_the_ledger_is_what_postgres_counted_last(self, own_database: Database) -> None:
        own_database.new_user()
        with psycopg.connect(own_database.superuser_url, autocommit=True) as connection:
            connection.execute("analyze public.credit_transactions")
        rows = own_database.value("select count(*) from public.credit_transactions")
        assert own_database.call("system_status")["transactions_estimate"] == rows > 0


def test_the_longest_text_and_the_largest_metadata_pass(database: Database, user: UUID) -> None:
    room = 65536 - len('{"k": ""}')
    spent = database.call("consume_credits", user, "message", 1, description="d" * 2000, metadata={"k": "m" * room})
    assert spent["success"] is True
    with raises("invalid_argument", "PT422") as seen:
        database.call("consume_credits", user, "message", 1, description="d" * 2001)
    assert seen.details["argument"] == "p_description"
    with raises("invalid_argument", "PT422") as seen:
        database.call("consume_credits", user, "message", 1, metadata={"k": "m" * (room + 1)})
    assert seen.details["argument"] == "p_metadata"


@pytest.mark.parametrize("key", [None, "one"])
def test_a_grant_that_is_held_in_part_gives_what_is_free(database: Database, user: UUID, key: str | None) -> None:
    first = database.call(
        "grant_credits", user, "message", 5, source="promotion", expires_at="2100-01-01T00:00:00+00:00"
    )["grant_id"]
    database.call("reserve_credits", user, "message", 3)
    database.call("consume_credits", user, "message", 4, idempotency_key=key)
    [grant] = database.query(
        "select remaining, held, spent from public.credit_grants where account_id = %s and id = %s", user, UUID(first)
    )
    assert grant == (3, 3, 2)
    database.verify(user)


@pytest.mark.parametrize(
    "change", ["frozen_at = created_at, frozen_reason = 'dispute'", "starts_at = starts_at + interval '2 days'"]
)
def test_what_cannot_be_spent_yet_is_passed_by_though_it_comes_first(database: Database, change: str) -> None:
    user = Timed(database)
    user.call("grant_credits", "message", 5, source="promotion")
    database.run(f"update public.credit_grants set {change} where account_id = %s and source = 'promotion'", user.id)
    user.call("grant_credits", "message", 5, source="top_up")
    database.run("update credits.balances set due_at = '-infinity' where account_id = %s", user.id)
    before = user.grants("promotion")
    assert user.call("reserve_credits", "message", 16)["code"] == "insufficient_credits"
    for key in (None, "one"):
        user.call("consume_credits", "message", 1, idempotency_key=key)
    hold = user.call("reserve_credits", "message", 1)["reservation_id"]
    user.call("consume_credits", "message", 8)
    user.call("reserve_credits", "message", 4)
    assert user.call("capture_credits", hold)["captured"] == 1
    assert user.grants("promotion") == before
    user.verify()


def test_the_grace_ends_before_the_plan_that_is_to_come(database: Database) -> None:
    user = Timed(database, plan="pro")
    user.call("change_plan", "free", effective="period_end")
    user.call("set_subscription_status", "past_due")
    assert user.call("consume_credits", "message", 1)["success"] is True
    user.wait(days=3)
    assert user.call("consume_credits", "message", 1)["code"] == "insufficient_credits"


def test_a_frozen_account_says_so_in_both_places(database: Database, user: UUID) -> None:
    database.call("freeze_account", user, "looked into")
    row = "select a.status, a.frozen_reason from credits.accounts a where a.account_id = %s"
    assert database.query(row, user) == [("frozen", "looked into")]
    assert database.query("select distinct account_status from credits.balances where account_id = %s", user) == [
        ("frozen",)
    ]
    database.call("unfreeze_account", user)
    assert database.query(row, user) == [("active", None)]


def test_a_refund_at_the_instant_of_expiry_is_compensated(database: Database) -> None:
    user = Timed(database)
    user.call("grant_credits", "message", 6, source="promotion", expires_at=user.now + timedelta(hours=1))
    spent = user.call("consume_credits", "message", 6)["operation_id"]
    user.wait(hours=1).call("refund_credits", spent)
    assert [grant["amount"] for grant in user.grants("compensation")] == [6]
    user.verify()


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
