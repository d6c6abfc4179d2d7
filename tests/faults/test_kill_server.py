"""kill -9 of the whole server, again and again, under load: what was acknowledged is there, once."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.faults.checker import check
from tests.faults.conftest import Victim
from tests.faults.load import Load


def kill_server(victim: Victim) -> None:
    """Ends every process of the server at once, as a power cut would."""
    pid_file = victim.cluster.directory / "data" / "postmaster.pid"
    postmaster = int(pid_file.read_text().splitlines()[0])
    # Stopped, it starts no child that this would miss, and that would go on listening.
    os.kill(postmaster, signal.SIGSTOP)
    for pid in (*_children(postmaster), postmaster):
        with suppress(ProcessLookupError):
            gone = os.pidfd_open(pid)
            os.kill(pid, signal.SIGKILL)
            select.select([gone], [], [], 10)
            os.close(gone)


def _children(parent: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                    found.append(int(entry.name))
    return found


def test_what_was_acknowledged_survives_kill_9(
    new_victim: Callable[..., Any], record: Callable[..., None], seed: int, long_form: bool
) -> None:
    cycles = 500 if long_form else 50
    with new_victim() as victim:
        accounts = victim.accounts(12)
        with Load(victim.connect, accounts, seed=seed, clients=6) as load:
            for _ in range(cycles):
                load.wait_for(20)
                kill_server(victim)
                victim.cluster.start()
            load.wait_for(20)
        assert check(load.journal, victim.url) == []
        counts = load.journal.counts()
        record("kill -9 of the whole server", f"{cycles} times", load.journal)
        assert counts["sent again"] > 0


def test_the_checker_notices_a_server_that_forgets(new_victim: Callable[..., Any], seed: int) -> None:
    """Negative control: with synchronous_commit off, an acknowledgement promises nothing."""
    forgetful = {"synchronous_commit": "off", "wal_writer_delay": "10s", "wal_buffers": "64MB"}
    with new_victim(forgetful) as victim:
        accounts = victim.accounts(12)
        with Load(victim.connect, accounts, seed=seed, clients=6) as load:
            for _ in range(3):
                load.wait_for(200)
                kill_server(victim)
                victim.cluster.start()
            load.wait_for(20)
        assert any("was acknowledged, but" in problem for problem in check(load.journal, victim.url))
