"""Workers that are killed lose nothing, and what they send twice has one id.

`SONAS_WORKER_KILLS=200 pytest tests/notify/test_killed_workers.py` kills more of them.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time

from tests.messages.support import add_webhook
from tests.notify.receivers import Got, HttpReceiver
from tests.support.database import Database

KILLS = int(os.environ.get("SONAS_WORKER_KILLS", "4"))
ACCOUNTS = 3


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


def test_killed_in_every_phase_they_lose_nothing_and_keep_the_order(
    own_database: Database, receiver: HttpReceiver
) -> None:
    users = [own_database.new_user() for _ in range(ACCOUNTS)]
    for nth, user in enumerate(users):
        add_webhook(own_database, user, receiver.url(f"/{nth}"))
    chance = random.Random(7)
    running: list[subprocess.Popen[bytes]] = []
    phases = ("before the answer", "after the answer", "at any time")
    killed = threading.Event()

    for nth in range(KILLS):
        phase = phases[nth % len(phases)]
        for user in users:
            with own_database.connect(autocommit=False) as connection:
                own_database.call("grant_credits", user, "message", 10, "top_up", connection=connection)
                own_database.call("consume_credits", user, "message", 10, connection=connection)
                if nth % 4 == 3:
                    connection.rollback()
                else:
                    connection.commit()
            own_database.value("select credits.announce(%s, 'credits.renewed')", user)
        killed.clear()

        def behave(_: Got, phase: str = phase) -> int:
            if running and phase != "at any time" and not killed.is_set():
                killed.set()
                if phase == "before the answer":
                    running[-1].kill()
                else:
                    threading.Timer(0.005, running[-1].kill).start()
            return 200

        receiver.behave = {f"/{index}": behave for index in range(ACCOUNTS)}
        running.append(start(own_database))
        if phase == "at any time":
            time.sleep(chance.uniform(0.3, 1.5))
            running[-1].kill()
        running[-1].wait(timeout=60)

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
