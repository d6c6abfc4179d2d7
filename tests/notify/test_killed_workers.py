"""Workers that are killed lose nothing, and what they send twice has one id.

`SONAS_WORKER_KILLS=200 pytest tests/notify/test_killed_workers.py` kills more of them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.messages.support import add_webhook
from tests.notify.receivers import Got, HttpReceiver
from tests.support.database import Database

PHASES = ("routed", "leased", "before the answer", "after the answer", "settled")
KILLS = int(os.environ.get("SONAS_WORKER_KILLS", len(PHASES)))
ACCOUNTS = 3

TELLING = """
create function public.tell_phase() returns trigger language plpgsql as
  $$ begin perform pg_notify('phase', tg_argv[0]); return null; end $$;
create trigger tell_routed after update of routed_at on credits.outbox
  for each row execute function public.tell_phase('routed');
create trigger tell_leased after update on credits.channels
  for each row when (new.lease_id is not null) execute function public.tell_phase('leased');
create trigger tell_settled after update on credits.deliveries
  for each row when (new.state <> 'waiting') execute function public.tell_phase('settled');
"""


def start(database: Database, *more: str) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "DATABASE_URL": database.url,
        "WEBHOOK_ALLOW_PRIVATE": "1",
        "WORKER_LEASE": "1",
        "WORKER_BACKOFF": ",".join(["0"] * 1000),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "cli", "worker", "--json", *more],
        env=environment,
        stdout=subprocess.PIPE if more else subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def announce_some(database: Database, users: list[object], *, is_rolled_back: bool) -> None:
    for user in users:
        with database.connect(autocommit=False) as connection:
            database.call("grant_credits", user, "message", 10, "top_up", connection=connection)
            database.call("consume_credits", user, "message", 10, connection=connection)
            if is_rolled_back:
                connection.rollback()
            else:
                connection.commit()
        database.value("select credits.announce(%s, 'credits.renewed')", user)


@contextmanager
def reached(database: Database, receiver: HttpReceiver, phase: str) -> Iterator[threading.Event]:
    """Waits on leaving until some worker is in a phase: what it commits is heard of at once."""
    event = threading.Event()

    def behave(_: Got) -> int:
        if phase == "before the answer" and not event.is_set():
            event.set()
            gone.wait(30)
        return 200

    gone = threading.Event()
    receiver.behave = {f"/{index}": behave for index in range(ACCOUNTS)}
    receiver.after = event.set if phase == "after the answer" else lambda: None
    with database.connect() as connection:
        connection.execute("listen phase")
        yield gone
        if "answer" in phase:
            assert event.wait(30), phase
        else:
            assert any(told.payload == phase for told in connection.notifies(timeout=30)), phase


def test_killed_in_every_phase_they_lose_nothing_and_keep_the_order(
    own_database: Database, receiver: HttpReceiver
) -> None:
    users = [own_database.new_user() for _ in range(ACCOUNTS)]
    for nth, user in enumerate(users):
        add_webhook(own_database, user, receiver.url(f"/{nth}"))
    own_database.run(TELLING)

    for nth in range(KILLS):
        with reached(own_database, receiver, PHASES[nth % len(PHASES)]) as gone:
            announce_some(own_database, list(users), is_rolled_back=nth % 4 == 3)
            running = start(own_database)
        running.kill()
        running.wait(timeout=60)
        gone.set()

    receiver.behave = {}
    own_database.run("update credits.channels set lease_id = null, leased_until = null, due_at = now() "
                     "where due_at is not null")  # fmt: skip
    last = start(own_database, "--once")
    out, _ = last.communicate(timeout=60)
    assert last.returncode == 0, out
    for nth, user in enumerate(users):
        written = own_database.query("select id::text from credits.outbox where account_id = %s order by n", user)
        assert receiver.ids(f"/{nth}") == [message for (message,) in written]
    assert own_database.value("select count(*) from credits.deliveries where state = 'dead'") == 0
    assert (
        own_database.value(
            "select count(*) from credits.deliveries where state = 'waiting' and channel like 'webhook%'"
        )
        == 0
    )
