"""Where Supabase Realtime is there, people hear that there is news, and only of their own accounts."""

from __future__ import annotations

from uuid import UUID

from tests.support.database import Database
from tests.support.people import acting_as, new_workspace


def hears(database: Database, person: UUID, topic: str) -> bool:
    with acting_as(database, "authenticated", person) as connection:
        connection.execute("select set_config('realtime.topic', %s, true)", [topic])
        return bool(connection.execute("select 1 from realtime.messages").fetchall())


def test_people_may_join_the_topics_of_their_accounts_as_they_are_called_now(own_database: Database) -> None:
    assert own_database.value("select credits.open_realtime()") is False
    for statement in (
        "create schema realtime",
        "create table realtime.messages (extension text)",
        "insert into realtime.messages values ('broadcast')",
        "alter table realtime.messages enable row level security",
        "grant usage on schema realtime to authenticated",
        "grant select on realtime.messages to authenticated",
        "create function realtime.topic() returns text language sql stable "
        "as $$ select current_setting('realtime.topic', true) $$",
    ):
        own_database.run(statement)
    assert own_database.value("select credits.open_realtime()") is True
    owner, member, other = (own_database.new_user() for _ in range(3))
    team = new_workspace(own_database, owner, member)
    topic = own_database.call("get_credit_alerts", member, team)["topic"]
    assert [hears(own_database, person, topic) for person in (owner, member, other)] == [True, True, False]
    assert hears(own_database, other, own_database.call("get_credit_alerts", other)["topic"])
    own_database.call("remove_from_workspace", owner, team, member)
    assert hears(own_database, member, topic) is False
    assert hears(own_database, owner, topic) is False  # the old one; the page asks for the new one
    assert hears(own_database, owner, own_database.call("get_credit_alerts", owner, team)["topic"])
