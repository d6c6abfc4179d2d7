"""What became of a message decides when it is tried again, or that it is not."""

from __future__ import annotations

from uuid import uuid4

from tests.messages.support import add_webhook, announce, claim, settle
from tests.support.database import Database


def test_a_failure_waits_and_holds_back_what_comes_after(own_database: Database) -> None:
    user = own_database.new_user()
    add_webhook(own_database, user)
    first, second = (str(announce(own_database, user, "credits.renewed")) for _ in range(2))
    lease = uuid4()
    [claimed] = claim(own_database, lease=lease)
    settle(own_database, lease, claimed, "failed", error="it answered 500", retry_seconds=60)
    assert claim(own_database) == []
    own_database.run("update credits.channels set due_at = now()")
    [again] = claim(own_database)
    assert [(m["id"], m["attempts"]) for m in again["messages"]] == [(first, 1), (second, 0)]


def test_after_the_last_retry_it_is_a_dead_letter_and_the_next_one_goes_on(own_database: Database) -> None:
    user = own_database.new_user()
    add_webhook(own_database, user)
    first, second = (str(announce(own_database, user, "credits.renewed")) for _ in range(2))
    lease = uuid4()
    [claimed] = claim(own_database, lease=lease)
    settle(own_database, lease, claimed, "dead", error="it answered 500")
    [again] = claim(own_database)
    assert [m["id"] for m in again["messages"]] == [second]
    [row] = own_database.call("list_credit_dead_letters", user)["rows"]
    assert (row["message_id"], row["error"], row["attempts"]) == (first, "it answered 500", 1)


def test_an_endpoint_that_is_gone_is_disabled(own_database: Database) -> None:
    user = own_database.new_user()
    add_webhook(own_database, user)
    for _ in range(2):
        announce(own_database, user, "credits.renewed")
    lease = uuid4()
    [claimed] = claim(own_database, lease=lease)
    settle(own_database, lease, claimed, "gone", error="410")
    announce(own_database, user, "credits.renewed")
    assert claim(own_database) == []
    assert own_database.value("select disabled_reason from public.credit_webhooks")
    assert len(own_database.call("list_credit_dead_letters", user)["rows"]) == 2
