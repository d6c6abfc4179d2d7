"""Dead receivers do not keep the living ones waiting.

`SONAS_MESSAGES=10000 SONAS_RECEIVERS=100 pytest tests/notify/test_many_receivers.py -rP` sends more of them, and shows
how long the living took with and without the dead ones.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable

from tests.messages.support import add_webhook
from tests.notify.conftest import Pass
from tests.notify.receivers import Got, HttpReceiver
from tests.support.database import Database

MESSAGES = int(os.environ.get("SONAS_MESSAGES", "200"))
RECEIVERS = int(os.environ.get("SONAS_RECEIVERS", "20"))
DEAD = max(1, RECEIVERS // 10)
EACH = MESSAGES // RECEIVERS


def fill(database: Database, receiver: HttpReceiver, prefix: str) -> None:
    for nth in range(RECEIVERS):
        user = database.new_user()
        add_webhook(database, user, receiver.url(f"/{prefix}{nth}"))
        database.run("select credits.announce(%s, 'credits.renewed') from generate_series(1, %s)", user, EACH)


def counting(done: threading.Event, expected: int) -> Callable[[Got], int]:
    """A receiver that takes everything, and says when that is all."""
    got, lock = set[str](), threading.Lock()

    def take(message: Got) -> int:
        with lock:
            got.add(f"{message.path} {message.id}")
            if len(got) == expected:
                done.set()
        return 200

    return take


def waiting(done: threading.Event) -> Callable[[Got], int]:
    return lambda _: 200 if done.wait(60) else 503


async def test_the_others_are_not_later_than_without_the_dead_ones(
    own_database: Database, receiver: HttpReceiver, work: Pass
) -> None:
    took = {}
    for prefix, dead in (("alive", 0), ("mixed", DEAD)):
        fill(own_database, receiver, prefix)
        done = threading.Event()
        living = [f"/{prefix}{nth}" for nth in range(dead, RECEIVERS)]
        take = counting(done, len(living) * EACH)
        receiver.behave = dict.fromkeys(living, take)
        for nth in range(dead):
            # One half answers nothing until all others have theirs, the other half answers what does not help.
            receiver.behave[f"/{prefix}{nth}"] = waiting(done) if nth % 2 == 0 else lambda _: 503
        started = time.monotonic()
        await work(webhook_timeout=30)
        assert all(len(receiver.ids(path)) == EACH for path in living)
        took[prefix] = max(receiver.got[path][-1].at for path in living) - started
    with_dead = f"{took['mixed']:.1f} s beside {DEAD} dead ones"
    sys.stdout.write(f"{MESSAGES} messages to {RECEIVERS}: {took['alive']:.1f} s, {with_dead}\n")
    assert took["mixed"] < took["alive"] * 2 + 2
