"""One worker at a time has a channel, in order, until its lease ends."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

from tests.messages.support import add_webhook, announce, claim, settle
from tests.support.database import Database, call


def test_a_channel_is_leased_to_one_of_many_workers(own_database: Database) -> None:
    users = [own_database.new_user() for _ in range(12)]
    for user in users:
        add_webhook(own_database, user)
        announce(own_database, user, "credits.renewed")
    own_database.call("tend_messages")

    def work(_: int) -> list[str]:
        with own_database.connect() as connection:
            found = call(connection, "claim_messages", uuid4(), limit=5)["claims"]
            return [claimed["channel"] for claimed in found]

    with ThreadPoolExecutor(6) as pool:
        taken = [channel for channels in pool.map(work, range(6)) for channel in channels]
    assert len(taken) == len(set(taken)) == 12


def test_messages_come_in_order_and_the_channel_waits_for_its_worker(own_database: Database) -> None:
    user = own_database.new_user()
    add_webhook(own_database, user)
    ids = [str(announce(own_database, user, "credits.renewed")) for _ in range(7)]
    lease = uuid4()
    [claimed] = claim(own_database, lease=lease, per_channel=3)
    assert [m["id"] for m in claimed["messages"]] == ids[:3]
    assert claim(own_database) == []
    assert settle(own_database, lease, claimed, "delivered", "delivered")
    [rest] = claim(own_database)
    assert [m["id"] for m in rest["messages"]] == ids[2:]


def test_a_lease_ends_by_itself_and_who_comes_back_late_changes_nothing(own_database: Database) -> None:
    user = own_database.new_user()
    add_webhook(own_database, user)
    announce(own_database, user, "credits.renewed")
    dead, next_one = uuid4(), uuid4()
    [first] = claim(own_database, lease=dead)
    own_database.run("update credits.channels set leased_until = now()")
    [second] = claim(own_database, lease=next_one)
    assert second["messages"][0]["id"] == first["messages"][0]["id"]
    assert settle(own_database, dead, first, "failed", retry_seconds=3600) is False
    assert own_database.value("select attempts from credits.deliveries") == 0
    assert settle(own_database, next_one, second, "delivered") is True


def test_only_the_channels_that_a_worker_can_serve_are_taken(own_database: Database) -> None:
    user = own_database.new_user()
    add_webhook(own_database, user)
    announce(own_database, user, "plan.changed")
    assert [c["kind"] for c in claim(own_database, channel_kinds="{webhook}")] == ["webhook"]
    [mail] = claim(own_database, channel_kinds="{email}")
    assert mail["receiver"]["email"] == f"{user}@example.com"
    assert "signature" not in mail["messages"][0]


def test_order_is_that_of_the_outbox_whatever_commits_first(own_database: Database) -> None:
    user = own_database.new_user()
    add_webhook(own_database, user)
    for index in range(20):
        own_database.call("consume_credits", user, ("message", "integration")[index % 2], 1 + index % 2 * 9)
    seen: list[str] = []
    while True:
        lease = uuid4()
        found = [c for c in claim(own_database, lease=lease, per_channel=2) if c["kind"] == "webhook"]
        if not found:
            break
        seen += [m["id"] for m in found[0]["messages"]]
        settle(own_database, lease, found[0], "delivered", "delivered")
    written = own_database.query("select id from credits.outbox where account_id = %s order by n", user)
    assert [UUID(message) for message in seen] == [message for (message,) in written]
