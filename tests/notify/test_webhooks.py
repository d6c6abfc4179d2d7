"""Webhooks: signed, in order, retried, and never into one's own network."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest
from standardwebhooks import Webhook

from sonas_supabase.notify._addresses import RefusedAddress, is_public, resolve
from tests.messages.support import add_webhook, announce
from tests.notify.conftest import Pass
from tests.notify.receivers import HttpReceiver
from tests.support.database import Database


def states(database: Database, user: UUID) -> list[tuple[str, int]]:
    return database.query(
        "select state, attempts from credits.deliveries where account_id = %s and channel like 'webhook%%' order by n",
        user,
    )


async def test_a_spend_reaches_the_receiver_signed(own_database: Database, receiver: HttpReceiver, work: Pass) -> None:
    user = own_database.new_user()
    made = add_webhook(own_database, user, receiver.url())
    own_database.call("consume_credits", user, "message", 8)
    report = await work()
    [got] = receiver.got["/hook"]
    body = Webhook(made["secret"]).verify(got.body, got.headers)
    assert (body["type"], body["data"]["level"], body["data"]["remaining"]) == ("credits.level", 80, 2)
    assert (report.delivered, report.failed) == (1, 0)
    assert (await work()).delivered == 0


async def test_what_fails_is_tried_again_in_order_until_it_is_given_up(
    own_database: Database, receiver: HttpReceiver, work: Pass
) -> None:
    user = own_database.new_user()
    add_webhook(own_database, user, receiver.url())
    first, second = (str(announce(own_database, user, "credits.renewed")) for _ in range(2))
    receiver.behave["/hook"] = lambda _: 500
    assert ((await work()).failed, len(receiver.got["/hook"])) == (1, 1)
    assert [(await work()).failed, (await work()).dead] == [1, 1]
    assert {got.id for got in receiver.got["/hook"]} >= {first}
    assert states(own_database, user)[0] == ("dead", 3)
    receiver.behave.clear()
    await work()
    assert receiver.ids() == [second]
    own_database.call("retry_credit_dead_letters", user)
    await work()
    assert receiver.ids() == [second, first]


@pytest.mark.parametrize(("status", "state"), [(302, "waiting"), (307, "waiting"), (404, "waiting"), (410, "dead")])
async def test_redirects_are_not_followed_and_410_ends_it(
    own_database: Database, receiver: HttpReceiver, work: Pass, status: int, state: str
) -> None:
    user = own_database.new_user()
    add_webhook(own_database, user, receiver.url())
    announce(own_database, user, "credits.renewed")
    receiver.behave["/hook"] = lambda _: status
    await work()
    assert states(own_database, user) == [(state, 1)]
    assert (receiver.redirected, list(receiver.got)) == (0, ["/hook"])
    disabled = own_database.value("select disabled_at is not null from public.credit_webhooks")
    assert disabled is (status == 410)


async def test_a_receiver_that_stalls_holds_up_only_itself(
    own_database: Database, receiver: HttpReceiver, work: Pass
) -> None:
    user, other = own_database.new_user(), own_database.new_user()
    over = threading.Event()
    receiver.behave["/slow"] = lambda _: 200 if over.wait(30) else 503
    for account, path in ((user, "/slow"), (user, "/fast"), (other, "/fast")):
        add_webhook(own_database, account, receiver.url(path))
    for account in (user, other):
        for _ in range(3):
            announce(own_database, account, "credits.renewed")
    report = await work(webhook_timeout=1)
    over.set()
    # The slow one took all of its second, so the others did not wait for it.
    assert (report.delivered, report.failed) == (6, 1)
    assert max(got.at for got in receiver.got["/fast"]) < receiver.got["/slow"][0].at + 1


async def test_an_answer_that_trickles_in_ends_with_the_time(
    own_database: Database, receiver: HttpReceiver, work: Pass
) -> None:
    user = own_database.new_user()
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        add_webhook(own_database, user, f"http://127.0.0.1:{server.getsockname()[1]}/")
        announce(own_database, user, "credits.renewed")

        def trickle() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\n")
                while not over.wait(0.05):
                    with suppress(OSError):
                        connection.sendall(b"x-more: and more\r\n")

        thread = threading.Thread(target=trickle)
        thread.start()
        report = await work(webhook_timeout=0.5)
        over.set()
        thread.join(10)
    assert (report.delivered, report.failed) == (0, 1)
    assert "no answer within" in own_database.value("select max(error) from credits.deliveries")


async def test_much_of_an_answer_is_not_read(own_database: Database, receiver: HttpReceiver, work: Pass) -> None:
    user = own_database.new_user()
    add_webhook(own_database, user, receiver.url())
    announce(own_database, user, "credits.renewed")
    receiver.answer_bytes = b"x" * 50_000_000
    started = time.monotonic()
    assert (await work()).delivered == 1
    assert time.monotonic() - started < 4


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
        *("224.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "240.0.0.1"),
        *("::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "ff02::1", "2001:db8::1"),
        *(
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::7f00:1",
            "2002:7f00:1::",
        ),
    ],
)
def test_addresses_inside_a_network_are_not_public(address: str) -> None:
    assert is_public(address) is False


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "::ffff:1.1.1.1"])
def test_addresses_of_the_open_internet_are_public(address: str) -> None:
    assert is_public(address) is True


async def test_nothing_is_sent_into_the_network_unless_it_is_allowed(
    own_database: Database, receiver: HttpReceiver, work: Pass
) -> None:
    user = own_database.new_user()
    for host in ("127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]"):
        add_webhook(own_database, user, receiver.url(host=host))
    announce(own_database, user, "credits.renewed")
    assert (await work(allow_private=False)).failed == 6
    assert not receiver.got
    assert states(own_database, user) == [("waiting", 1)] * 6
    errors = own_database.query("select distinct error like '%%not on the open internet' from credits.deliveries "
                                "where channel like 'webhook%%'")  # fmt: skip
    assert errors == [(True,)]


async def test_a_name_that_is_bound_anew_after_the_check_is_not_asked_again(
    own_database: Database, receiver: HttpReceiver, work: Pass, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first answer of the name server is checked and connected to; what it says later does not matter."""
    asked: list[Any] = []
    real = asyncio.get_running_loop().getaddrinfo

    async def rebinding(host: str, port: int, **named: Any) -> Any:
        if host != "rebind.example":
            return await real(host, port, **named)
        asked.append(host)
        address = "93.184.216.34" if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", rebinding)
    assert await resolve("rebind.example", 80, allow_private=False) == ["93.184.216.34"]
    with pytest.raises(RefusedAddress):
        await resolve("rebind.example", 80, allow_private=False)

    # A whole delivery asks once, and connects to what it was told, under the name.
    asked.clear()
    asked.append("the first answer is given")
    user = own_database.new_user()
    add_webhook(own_database, user, receiver.url(host="rebind.example"))
    announce(own_database, user, "credits.renewed")
    assert (await work()).delivered == 1
    assert len(asked) == 2
    assert receiver.got["/hook"][0].headers["host"].startswith("rebind.example:")


async def test_what_was_rolled_back_is_never_sent(own_database: Database, receiver: HttpReceiver, work: Pass) -> None:
    user = own_database.new_user()
    add_webhook(own_database, user, receiver.url())
    with own_database.connect(autocommit=False) as connection:
        own_database.call("consume_credits", user, "message", 10, connection=connection)
        assert (await work()).delivered == 0
        connection.rollback()
    await work()
    assert not receiver.got
