"""People mark what they have read, and nobody else's."""

from __future__ import annotations

from tests.messages.support import announce
from tests.support.database import Database, call
from tests.support.people import acting_as


def test_people_mark_their_own(database: Database) -> None:
    user, other = database.new_user(), database.new_user()
    for person in (user, user, other):
        announce(database, person)
    rows = database.call("list_notifications", user)["rows"]
    theirs = database.call("list_notifications", other)["rows"][0]["notification_id"]
    with acting_as(database, "authenticated", user) as connection:
        ids = f"{{{rows[0]['notification_id']},{theirs}}}"
        assert call(connection, "mark_notifications_read", notification_ids=ids)["marked"] == 1
        answer = call(connection, "mark_notifications_read")
        assert (answer["marked"], answer["unread"]) == (1, 0)
        connection.commit()
    assert database.call("list_notifications", other)["unread"] == 1
