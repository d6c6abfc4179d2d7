"""Everything about one user can be written out, and their words removed, while the books still balance."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.support.database import Database
from tests.support.errors import raises
from tests.support.people import new_workspace

# The words of a user: wherever they end up, they have to be found by the export, and gone after forgetting.
WORDS = ("Bob's page", "bob@example.com", "bob-key", "told by Bob", "Bob was angry", "team page of Bob", "row of Bob")


def words_of(user: UUID) -> dict[str, str]:
    """No two users have the same words."""
    return {words: f"{words} {user}" for words in WORDS}


@pytest.fixture
def bob(database: Database) -> UUID:
    """A user who has left words everywhere: spends, holds, grants, refunds, denials, keys, a freeze, a workspace."""
    user, other = database.new_user(), database.new_user()
    page, mail, key, told, angry, team, row = words_of(user).values()
    metadata = {"email": mail}

    def call(function: str, *arguments: Any, **named: Any) -> Any:
        return database.call(function, user, *arguments, **named)

    spent = call("consume_credits", "message", 2, page, key, metadata)
    call("refund_credits", spent["operation_id"], 1, told, f"{key} 2")
    hold = call("reserve_credits", "message", 2, page, f"{key} 3", metadata)
    call("capture_credits", hold["reservation_id"], 1, page, metadata)
    left = call("reserve_credits", "message", 1, page)
    call("release_credits", left["reservation_id"], told)
    call("reserve_credits", "message", 1, page)
    call("consume_credits", "message", 1000, page, metadata=metadata)
    granted = call("grant_credits", "message", 50, "goodwill", angry, metadata=metadata, idempotency_key=f"{key} 4")
    call("revoke_grant", granted["grant_id"], angry)
    call("change_plan", "pro", idempotency_key=f"{key} 5")
    call("consume_credits", "project", 2, page)
    workspace = new_workspace(database, other, user)
    call("consume_credits", "message", 1, team, f"{team} key", metadata, workspace_id=workspace)
    call("reserve_credits", "message", 1, team, metadata=metadata, workspace_id=workspace)
    for description in (team, angry):
        granted = call(
            "grant_credits", "message", 5, "goodwill", description, metadata=metadata, workspace_id=workspace
        )
    call("revoke_grant", granted["grant_id"], told, workspace_id=workspace)
    database.run("create table if not exists pages (name text primary key, owner_id uuid)")
    database.value("select credits.meter_table('pages', 'project', 'owner_id')")
    database.run("insert into pages values (%s, %s)", row, user)
    call("freeze_account", angry)
    return user


def everything(database: Database) -> str:
    """The whole database as text, but for what Auth knows and what is in the project's own tables."""
    tables = database.query(
        "select quote_ident(schemaname) || '.' || quote_ident(tablename) from pg_tables "
        "where schemaname in ('public', 'credits') and tablename <> 'pages'"
    )
    return "\n".join(
        row for (table,) in tables for (row,) in database.query(f"select to_jsonb(t)::text from {table} t")
    )


def figures(database: Database) -> list[tuple[Any, ...]]:
    return database.query(
        "select to_jsonb(t) - 'description' - 'metadata' from credit_transactions t "
        "order by account_id, credit_type, version"
    )


def test_the_export_has_every_word(database: Database, bob: UUID) -> None:
    told = database.call("export_account", bob)
    written = json.dumps(told["tables"])
    for words in words_of(bob).values():
        assert words in written, words
    others = database.new_user()
    assert str(others) not in str(told)
    assert {len(told["tables"][name]) for name in ("credits.accounts", "credits.subscriptions")} == {1}
    entries = told["tables"]["public.credit_transactions"]
    assert len(entries) == database.value(
        "select count(*) from credit_transactions where account_id = %s or user_id = %s", bob, bob
    )


def test_no_table_with_rows_of_a_user_is_left_out(database: Database, bob: UUID) -> None:
    tables = {
        name
        for (name,) in database.query(
            "select distinct table_schema || '.' || table_name from information_schema.columns "
            "join information_schema.tables using (table_schema, table_name) "
            "where table_schema in ('public', 'credits') and column_name in ('account_id', 'user_id') "
            "and table_type = 'BASE TABLE'"
        )
    }
    # What a provider charged the seller is nobody's data.
    assert set(database.call("export_account", bob)["tables"]) == tables - {"credits.operation_costs"}


def test_no_word_is_left_and_every_figure_is(database: Database, bob: UUID) -> None:
    before = figures(database)
    assert all(words in everything(database) for words in words_of(bob).values())
    told = database.call("forget_account", bob)
    assert (told["success"], told["replayed"]) == (True, False)
    # Keys of a workspace stay: it answers their requests again.
    left = everything(database).replace(f"{words_of(bob)['team page of Bob']} key", "")
    assert [words for words in words_of(bob).values() if words in left] == []
    assert figures(database) == before
    database.verify()
    database.verify(bob)


def test_the_account_is_closed_for_good(database: Database, bob: UUID) -> None:
    database.call("forget_account", bob)
    for call in (
        ("consume_credits", bob, "message", 1),
        ("grant_credits", bob, "message", 1),
        ("get_credit_summary", bob),
        ("change_plan", bob, "starter"),
    ):
        with raises("account_not_found"):
            database.call(*call)
    again = database.call("forget_account", bob)
    assert again["replayed"] is True
    assert again["rows"]["credit_transactions"] == 0
    assert database.call("export_account", bob)["tables"]["public.credit_transactions"]
    assert database.value("select count(*) from credit_workspace_members where user_id = %s", bob) == 0


def test_a_key_of_a_workspace_still_takes_effect_once(database: Database) -> None:
    user, owner = database.new_user(), database.new_user()
    workspace = new_workspace(database, owner, user)
    database.call("consume_credits", user, "message", 3, "team", "key", workspace_id=workspace)
    database.call("forget_account", user)
    with raises("idempotency_conflict"):
        database.call("consume_credits", owner, "message", 3, "team", "key", workspace_id=workspace)
    assert database.balance(workspace)["used"] == 3


def test_what_they_did_in_workspaces_is_in_the_export_and_what_others_did_is_not(database: Database) -> None:
    bob, eve = database.new_user(), database.new_user()
    workspace = new_workspace(database, bob, eve)
    for user, name in ((bob, "bob"), (eve, "eve")):
        database.call("consume_credits", user, "message", 1, f"for {name}", f"{name}-key", workspace_id=workspace)
        database.call("reserve_credits", user, "message", 1, f"held for {name}", workspace_id=workspace)
        database.call("grant_credits", user, "message", 1, "goodwill", f"thanks to {name}", workspace_id=workspace)
    told = database.call("export_account", bob)["tables"]
    assert [row["idempotency_key"] for row in told["credits.idempotency_keys"]] == ["bob-key"]
    written = json.dumps(told)
    assert all(words in written for words in ("for bob", "held for bob", "thanks to bob"))
    assert not any(words in written for words in ("for eve", "eve-key", "to eve"))
    assert str(eve) not in written


def test_an_export_may_be_read_in_parts(database: Database, bob: UUID) -> None:
    whole = database.call("export_account", bob)
    assert (whole["more"], whole["names"]) == (False, sorted(whole["tables"]))
    for name in whole["names"]:
        rows: list[Any] = []
        more = True
        while more:
            part = database.call("export_account", bob, table=name, offset=len(rows), limit=2)
            assert set(part["tables"]) == {name}
            rows += part["tables"][name]
            more = part["more"]
            assert len(part["tables"][name]) == 2 or not more
        assert rows == whole["tables"][name], name


@pytest.mark.parametrize(
    ("named", "argument"),
    [
        ({"table": "auth.users"}, "p_table"),
        ({"table": ""}, "p_table"),
        ({"offset": -1}, "p_offset"),
        ({"limit": 0}, "p_limit"),
        ({"limit": 5}, "p_limit"),
        ({"offset": 5}, "p_offset"),
    ],
)
def test_parts_that_are_none(database: Database, user: UUID, named: dict[str, Any], argument: str) -> None:
    with raises("invalid_argument") as seen:
        database.call("export_account", user, **named)
    assert seen.details["argument"] == argument


def test_an_export_too_large_for_one_answer_says_how_to_get_it(database: Database) -> None:
    """Postgres cannot make a JSON value of more than 256 MB. The parts can be had, with fewer rows in each."""
    user = database.new_user()
    database.run(
        "insert into usage (account_id, user_id, credit_type, credits_used, status, metadata, operation_id) "
        "select %(user)s, %(user)s, 'message', 0, 'denied', jsonb_build_object('text', repeat('x', 65000)), "
        "gen_random_uuid() from generate_series(1, 4200)".replace("%(user)s", f"'{user}'")
    )
    for named in ({}, {"table": "public.usage", "limit": 5000}):
        with raises("invalid_argument") as seen:
            database.call("export_account", user, **named)
        assert seen.details["argument"] == ("p_limit" if named else "p_table")
    part = database.call("export_account", user, table="public.usage", limit=50)
    assert (len(part["tables"]["public.usage"]), part["more"]) == (50, True)


def test_a_hold_of_a_workspace_is_answered_alike(database: Database) -> None:
    """Who captures it once more, in a retry, gets the first answer."""
    user, other = database.new_user(), database.new_user()
    workspace = new_workspace(database, other, user)
    hold = database.call("reserve_credits", user, "message", 3, "team", workspace_id=workspace)["reservation_id"]
    first = database.call("capture_credits", user, hold, 2, workspace_id=workspace)
    database.call("forget_account", user)
    again = database.call("capture_credits", other, hold, 2, workspace_id=workspace)
    assert again == first | {"replayed": True}


def test_others_keep_their_words_in_a_workspace(database: Database) -> None:
    user, other = database.new_user(), database.new_user()
    workspace = new_workspace(database, other, user, plan="starter")
    database.call("grant_credits", other, "message", 5, "goodwill", "thank you", workspace_id=workspace)
    database.call("change_plan", user, "pro", workspace_id=workspace)
    grants = "select jsonb_agg(to_jsonb(g) order by g.id) from credit_grants g where account_id = %s"
    before = database.value(grants, workspace)
    database.call("forget_account", user)
    assert database.value(grants, workspace) == before


def test_rows_of_a_metered_table_may_outlive_who_is_forgotten(database: Database) -> None:
    """Auth may still know the user then, and metering the table anew leaves the rows alone."""
    user, heir = database.new_user(), database.new_user()
    database.run("create table albums (id int primary key, owner_id uuid)")
    database.value("select credits.meter_table('albums', 'project', 'owner_id')")
    database.run("insert into albums values (1, %(user)s), (2, %(user)s)".replace("%(user)s", f"'{user}'"))
    database.call("forget_account", user)
    assert database.value("select credits.meter_table('albums', 'project', 'owner_id')") == 0
    database.run("delete from albums where id = 1")
    database.run("update albums set owner_id = %s where id = 2", heir)
    assert database.balance(heir, "project")["used"] == 1
    database.verify(user)
    database.verify(heir)


@pytest.mark.parametrize("first", ["delete", "forget"])
def test_before_or_after_the_user_is_deleted(database: Database, first: str) -> None:
    user = database.new_user()
    database.call("consume_credits", user, "message", 3, "Bob's page")
    steps = [
        lambda: database.run("delete from auth.users where id = %s", user),
        lambda: database.call("forget_account", user),
    ]
    for step in steps if first == "delete" else reversed(steps):
        step()
    assert "Bob's page" not in str(database.call("export_account", user))
    database.verify(user)


def test_others_keep_their_words(database: Database, bob: UUID) -> None:
    other = database.new_user()
    database.call("consume_credits", other, "message", 1, "a page of mine", "mine")
    before = database.call("export_account", other)["tables"]
    database.call("forget_account", bob)
    assert database.call("export_account", other)["tables"] == before


@pytest.mark.parametrize("who", ["postgres", "supabase_admin"])
@pytest.mark.parametrize(
    "change",
    [
        "amount = 0",
        "balance_after = 1",
        "description = 'corrected'",
        "description = null, metadata = '{}', amount = 0",
        "description = null, metadata = '{}', created_at = now()",
        "description = null, metadata = '{}', account_id = gen_random_uuid()",
        "description = null, metadata = '{\"a\": 1}'",
    ],
)
def test_the_ledger_lets_words_go_and_nothing_else(database: Database, change: str, who: str) -> None:
    forgotten, other = database.new_user(), database.new_user()
    database.call("forget_account", forgotten)
    with psycopg.connect(database.server.url(database.name, user=who)) as own:
        for user, text in ((forgotten, change), (other, "description = null, metadata = '{}'")):
            with raises("ledger_is_append_only", "PT405"), own.transaction():
                own.execute(f"update public.credit_transactions set {text} where account_id = '{user}'".encode())


def test_unknown_people(database: Database, user: UUID) -> None:
    for function in ("export_account", "forget_account"):
        for nobody in (uuid4(), new_workspace(database, user), None):
            with raises("account_not_found"):
                database.call(function, nobody)


# Text and jsonb that are nobody's words: names of plans, types and states, times zones, the calendar's own texts.
NOBODYS_WORDS = {
    "credit_type", "kind", "status", "source", "plan_id", "pending_plan_id", "from_plan", "to_plan",
    "time_zone", "role", "account_status", "free_credits", "pinned_plan_id",
    "public.credit_grants.frozen_reason", "name",
    # What was sold, in a provider's ids and the states of payments.
    "credits.billing_customers", "credits.billing_orders", "credits.billing_references", "credits.billing_payments",
    "credits.billing_plan_voids", "credits.auto_top_ups",
    "currency", "credits.debts.source", "credits.debt_payments.source", "token_hash",
    "credits.x402_payments.network", "credits.x402_payments.asset", "credits.x402_payments.state",
    "credits.x402_payments.transaction", "credits.x402_payments.pack_id",
    # The names of the price book.
    "book", "credits.priced_operations.operation", "credits.priced_operations.quantities",
    "credits.priced_operations.lines", "credits.priced_holds.operation", "credits.priced_holds.quantities",
}  # fmt: skip


def test_every_column_that_could_hold_words_is_thought_of(database: Database, bob: UUID) -> None:
    """A new column with text or JSON in a table of accounts: forget it in credits.forget_words, or list it here."""
    columns = database.query(
        "select c.table_schema || '.' || c.table_name, c.column_name, "
        "  pg_get_functiondef('credits.forget_words'::regproc) "
        "from information_schema.columns c join information_schema.tables t using (table_schema, table_name) "
        "where c.table_schema in ('public', 'credits') and t.table_type = 'BASE TABLE' "
        "and c.data_type in ('text', 'jsonb', 'character varying') and exists ("
        "  select from information_schema.columns a where a.table_schema = c.table_schema "
        "  and a.table_name = c.table_name and a.column_name in ('account_id', 'user_id'))"
    )
    assert len(columns) > 20
    unthought = [
        f"{table}.{column}"
        for table, column, code in columns
        if not {column, table, f"{table}.{column}"} & NOBODYS_WORDS
        and f"delete from {table} " not in code
        and not (f"update {table} " in code and f"{column} = " in code)
    ]
    assert not unthought, "\n".join(unthought)
