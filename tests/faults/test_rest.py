"""PostgREST killed under load, and with a pool that is too small: what is sent again takes effect once."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sonas_supabase.local import Keys, PostgREST
from tests.faults.checker import check
from tests.faults.conftest import Victim
from tests.faults.lines import RestLine
from tests.faults.load import Load
from tests.support.parts import require

pytestmark = pytest.mark.needs("postgrest")


def start(victim: Victim, folder: Path, keys: Keys, **settings: str) -> PostgREST:
    postgrest = PostgREST(
        require("postgrest"),
        database_url=victim.cluster.url(user="authenticator"),
        jwt_secret=keys.jwt_secret,
        log=folder / "postgrest.log",
        settings=settings,
    )
    postgrest.start()
    return postgrest


def test_postgrest_killed_under_load_loses_and_doubles_nothing(
    new_victim: Callable[..., Any], record: Callable[..., None], seed: int, long_form: bool, tmp_path: Path
) -> None:
    keys = Keys.make()
    times = 200 if long_form else 15
    with new_victim() as victim:
        accounts = victim.accounts(12)
        postgrest = start(victim, tmp_path, keys)
        try:
            with Load(None, accounts, seed=seed, clients=6, line=partial(RestLine, postgrest.url, keys)) as load:
                for _ in range(times):
                    load.wait_for(20)
                    assert postgrest.pid
                    os.kill(postgrest.pid, signal.SIGKILL)
                    postgrest.stop()
                    postgrest.start()
                load.wait_for(20)
        finally:
            postgrest.stop()
        assert check(load.journal, victim.url) == []
        record("PostgREST killed", f"{times} times", load.journal)
        assert load.journal.counts()["sent again"] > 0


def test_an_exhausted_pool_loses_and_doubles_nothing(
    new_victim: Callable[..., Any], record: Callable[..., None], seed: int, tmp_path: Path
) -> None:
    keys = Keys.make()
    with new_victim() as victim:
        accounts = victim.accounts(4)
        postgrest = start(victim, tmp_path, keys, PGRST_DB_POOL="2", PGRST_DB_POOL_ACQUISITION_TIMEOUT="1")
        try:
            line = partial(RestLine, postgrest.url, keys, timeout=1.5)
            with Load(None, accounts, seed=seed, clients=8, line=line) as load:
                for _ in range(3):
                    load.wait_for(30)
                    # Both connections wait for this one, until the others have given up.
                    with victim.connect() as blocker, blocker.transaction():
                        blocker.execute("lock table credits.balances in exclusive mode")
                        before = load.journal.counts()["sent again"]
                        load.wait_until(lambda: load.journal.counts()["sent again"] > before + 4)  # noqa: B023
                load.wait_for(30)
        finally:
            postgrest.stop()
        assert check(load.journal, victim.url) == []
        record("PostgREST with an exhausted pool", "3 times", load.journal)
