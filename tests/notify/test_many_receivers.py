"""Dead receivers do not keep the living ones waiting.

`SONAS_MESSAGES=10000 SONAS_RECEIVERS=100 pytest tests/notify/test_many_receivers.py` sends more of them.
"""

from __future__ import annotations

import os
import time

from tests.messages.support import add_webhook
from tests.notify.conftest import Pass
from tests.notify.receivers import Got, HttpReceiver
from tests.support.database import Database

MESSAGES = int(os.environ.get("SONAS_MESSAGES", "200"))
RECEIVERS = int(os.environ.get("SONAS_RECEIVERS", "20"))


def fill(database: Database, receiver: HttpReceiver, prefix: str) -> int:
    users = [database.new_user() for _ in range(RECEIVERS)]
    for nth, user in enumerate(users):
        add_webhook(database, user, receiver.url(f"/{prefix}{nth}"))
    for user in users:
        database.run(
            "select credits.announce(%s, 'credits.renewed') from generate_series(1, %s)", user, MESSAGES // RECEIVERS
        )
    return max(1, RECEIVERS // 10)


async def test_the_others_are_not_later_than_without_the_dead_ones(
    own_database: Database, receiver: HttpReceiver, work: Pass
) -> None:
    def stall(_: Got) -> int:
        time.sleep(2)
        return 200

    took = {}
    for prefix, has_dead in (("alive", False), ("mixed", True)):
        dead = fill(own_database, receiver, prefix)
        if has_dead:
            receiver.behave |= {f"/{prefix}{nth}": stall if nth % 2 else lambda _: 503 for nth in range(dead)}
        started = time.monotonic()
        await work(webhook_timeout=1.5)
        living = [f"/{prefix}{nth}" for nth in range(dead, RECEIVERS)]
        assert all(len(receiver.ids(path)) == MESSAGES // RECEIVERS for path in living)
        took[prefix] = max(receiver.got[path][-1].at for path in living) - started
    assert took["mixed"] < took["alive"] * 1.5 + 1
