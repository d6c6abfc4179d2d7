"""The history by pages: every row once, whatever shares an instant and whatever is added meanwhile."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.database import Database
from tests.support.errors import raises
from tests.support.people import acting_as, new_workspace
from tests.support.timed import Timed

SPENDS = st.lists(st.tuples(st.sampled_from(["message", "integration"]), st.booleans()), min_size=1, max_size=25)


def pages(user: Timed, limit: int, credit_type: str | None = None, **named: Any) -> list[list[dict[str, Any]]]:
    found: list[list[dict[str, Any]]] = []
    cursor = None
    while True:
        page = user.call("get_credit_history", credit_type, limit, cursor, **named)
        found.append(page["rows"])
        cursor = page["next_cursor"]
        if cursor is None:
            return found


def names(rows: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return [(row["credit_type"], row["version"]) for row in rows]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=SPENDS, meanwhile=SPENDS, limit=st.integers(1, 7))
def test_every_row_comes_once_in_order_while_others_are_added(
    database: Database, before: list[tuple[str, bool]], meanwhile: list[tuple[str, bool]], limit: int
) -> None:
    user = Timed(database, plan="builder")
    for credit_type, is_later in before:
        user.wait(seconds=int(is_later)).call("consume_credits", credit_type, 1)
    there = sorted(
        (row["credit_type"], row["version"])
        for credit_type in ("message", "integration", "project")
        for row in user.entries(credit_type=credit_type)
    )
    rows: list[dict[str, Any]] = []
    cursor, added = None, iter(meanwhile)
    while True:
        page = user.call("get_credit_history", limit=limit, cursor=cursor)
        assert 1 <= len(page["rows"]) <= limit
        rows += page["rows"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        for credit_type, is_later in (next(added, ("message", True)), next(added, ("integration", False))):
            user.wait(seconds=int(is_later)).call("consume_credits", credit_type, 1)
    assert sorted(names(rows)) == there
    times = [row["created_at"] for row in rows]
    assert times == sorted(times, reverse=True)


def test_a_page_has_the_keys_of_a_ledger_row(database: Database, user: UUID) -> None:
    page = database.call("get_credit_history", user)
    assert page.keys() == {"success", "code", "account_id", "rows", "next_cursor"}
    assert page["next_cursor"] is None
    keys = (
        "version, credit_type, operation_id, kind, grant_id, user_id, amount, balance_after, related_operation_id, "
        "description, metadata, created_at"
    )
    assert {frozenset(row) for row in page["rows"]} == {frozenset(keys.split(", "))}


def test_one_type_alone_is_paged_alike(database: Database) -> None:
    user = Timed(database, plan="starter")
    for _ in range(5):
        user.call("consume_credits", "message", 1)
    found = pages(user, 2, "message")
    assert [len(page) for page in found] == [2] * (len(user.entries()) // 2) + [1] * (len(user.entries()) % 2)
    assert names([row for page in found for row in page]) == [
        ("message", version) for version in range(len(user.entries()), 0, -1)
    ]


def test_a_member_pages_through_what_they_did(database: Database) -> None:
    owner, member = Timed(database), Timed(database)
    workspace = new_workspace(database, owner.id, member.id)
    for _ in range(3):
        for user in (owner, member, owner):
            user.call("consume_credits", "integration", 1, workspace_id=workspace)
    mine = [row for page in pages(member, 2, workspace_id=workspace) for row in page]
    assert [row["user_id"] for row in mine] == [str(member.id)] * 3
    everybodys = [row for page in pages(owner, 2, workspace_id=workspace) for row in page]
    assert len([row for row in everybodys if row["kind"] == "consume"]) == 9


def test_a_clock_that_had_stepped_back_hides_nothing(own_database: Database) -> None:
    user = Timed(own_database)
    for _ in range(6):
        user.wait(seconds=1).call("consume_credits", "message", 1)
    own_database.run("alter table public.credit_transactions disable trigger user")
    own_database.run(
        "update public.credit_transactions set created_at = created_at - interval '1 day' "
        "where account_id = %s and credit_type = 'message' and version = 5",
        user.id,
    )
    rows = [row for page in pages(user, 2) for row in page]
    assert len(names(rows)) == len(set(names(rows))) == len(user.entries()) + 2


def test_a_cursor_belongs_to_one_history(database: Database) -> None:
    user, other = Timed(database, plan="starter"), Timed(database, plan="starter")
    cursor = user.call("get_credit_history", limit=1)["next_cursor"]
    assert cursor
    calls: tuple[Callable[[], object], ...] = (
        lambda: other.call("get_credit_history", limit=1, cursor=cursor),
        lambda: user.call("get_credit_history", "message", 1, cursor),
        lambda: user.call("get_credit_history", limit=1, cursor=cursor[:-3]),
        lambda: user.call("get_credit_history", limit=1, cursor=f"{cursor}="),
    )
    for call in calls:
        with pytest.raises(psycopg.Error, match="invalid_argument") as refused:
            call()
        assert json.loads(str(refused.value.diag.message_detail))["argument"] == "p_cursor"


def test_deep_pages_read_no_more_than_the_first(database: Database) -> None:
    """A signed-in user who asks for the last page of many: found by versions, not by counting from the top."""
    user = Timed(database, plan="builder")
    for _ in range(30):
        user.call("consume_credits", "integration", 1)
    cursor = None
    for _ in range(9):
        cursor = user.call("get_credit_history", "integration", 3, cursor)["next_cursor"]
    with acting_as(database, "authenticated", user.id) as connection:
        row = connection.execute(
            "select get_credit_history(p_credit_type => 'integration', p_limit => 3, p_cursor => %s)", [cursor]
        ).fetchone()
    assert row is not None
    assert row[0]["rows"]


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


def test_entries_of_one_instant_come_with_the_last_one_first(database: Database) -> None:
    user = Timed(database)
    user.call("grant_credits", "message", 3)
    user.wait(seconds=1).call("consume_credits", "message", 5)
    versions = [e["version"] for e in user.call("get_credit_history", "message")["rows"][:2]]
    assert versions == [e["version"] for e in reversed(user.entries("consume"))]


def test_a_window_of_time_has_its_rows_and_no_others(database: Database) -> None:
    user = Timed(database, plan="builder")
    for _ in range(9):
        user.wait(days=3).call("consume_credits", "message", 1)
        user.call("consume_credits", "integration", 2)
    rows = [row for page in pages(user, 50) for row in page]
    times = sorted({row["created_at"] for row in rows})
    for since, until in ((None, times[4]), (times[3], None), (times[2], times[7]), (times[-1], times[-1])):
        wanted = [
            row
            for row in rows
            if (since is None or row["created_at"] >= since) and (until is None or row["created_at"] < until)
        ]
        for limit in (1, 4, 50):
            found = pages(user, limit, since=since, until=until)
            assert names([row for page in found for row in page]) == names(wanted)
