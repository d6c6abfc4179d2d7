"""What is announced is told once, to the people of the account, and only if it happened."""

from __future__ import annotations

from uuid import UUID

import pytest

from tests.support.database import Database, call
from tests.support.people import acting_as, new_workspace

ANNOUNCE = "select credits.announce(%s, 'plan.changed', '{\"plan_id\": \"pro\"}', p_once => %s)"


def told(database: Database, account: UUID) -> list[tuple[UUID, str]]:
    return database.query(
        "select user_id, kind from public.credit_notifications where account_id = %s order by created_at, id", account
    )


def test_what_is_rolled_back_is_told_to_no_one(database: Database) -> None:
    user = database.new_user()
    with database.connect(autocommit=False) as connection:
        connection.execute(ANNOUNCE, (user, None))
        connection.rollback()
    assert database.value("select count(*) from credits.outbox where account_id = %s", user) == 0
    assert told(database, user) == []


def test_what_bears_one_key_is_told_once(database: Database) -> None:
    user = database.new_user()
    first = database.value(ANNOUNCE, user, "plan:1")
    assert (database.value(ANNOUNCE, user, "plan:1"), database.value(ANNOUNCE, user, "plan:2") is None) == (None, False)
    assert first
    assert told(database, user) == [(user, "plan.changed")] * 2


def test_a_workspace_tells_its_owners_and_admins(database: Database) -> None:
    people = {role: database.new_user() for role in ("owner", "admin", "member", "viewer")}
    workspace = new_workspace(database, *people.values())
    for role, person in people.items():
        database.run("update public.credit_workspace_members set role = %s where user_id = %s", role, person)
    database.value(ANNOUNCE, workspace, None)
    assert {person for person, _ in told(database, workspace)} == {people["owner"], people["admin"]}
    for person in people.values():
        with acting_as(database, "authenticated", person) as connection:
            seen = connection.execute("select user_id from public.credit_notifications").fetchall()
        assert seen == ([(person,)] if person in (people["owner"], people["admin"]) else [])


def test_a_kind_that_is_not_on_the_list_is_refused(database: Database) -> None:
    with pytest.raises(Exception, match="no such kind of message"):
        database.value("select credits.announce(%s, 'plan.chnaged')", database.new_user())


def test_the_topic_of_a_workspace_changes_when_a_member_goes(database: Database) -> None:
    owner, member = database.new_user(), database.new_user()
    workspace = new_workspace(database, owner, member)
    before = database.value("select credits.topic_of(%s)", workspace)
    database.run("delete from public.credit_workspace_members where user_id = %s", member)
    assert (before, database.value("select credits.topic_of(%s)", workspace)) == (
        f"account:{workspace}:0",
        f"account:{workspace}:1",
    )


def test_realtime_hears_of_it_and_cannot_stop_it(own_database: Database) -> None:
    user = own_database.new_user()
    own_database.run("create schema realtime; create table realtime.sent (payload jsonb, event text, topic text)")
    own_database.run(
        "create function realtime.send(payload jsonb, event text, topic text, private boolean) returns void "
        "language sql as $$ insert into realtime.sent values (payload, event, topic) $$"
    )
    message = own_database.value(ANNOUNCE, user, None)
    assert own_database.query("select payload ->> 'id', topic from realtime.sent") == [
        (str(message), f"account:{user}:0")
    ]
    own_database.run("drop table realtime.sent")
    with own_database.connect() as connection:
        connection.execute(ANNOUNCE, (user, None))
        assert call(connection, "consume_credits", user, "message")["success"]
    assert len(told(own_database, user)) == 2


def test_who_is_forgotten_is_told_nothing_any_more(database: Database) -> None:
    user = database.new_user()
    database.value(ANNOUNCE, user, None)
    database.call("forget_account", user)
    assert told(database, user) == []
    assert database.value("select count(*) from credits.outbox where account_id = %s", user) == 0
