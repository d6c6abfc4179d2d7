"""A clock that jumps: month ends, the leap day, the hours of summer time, and backwards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.faults.checker import check
from tests.faults.load import Load
from tests.support.parts import require

JUMPS = (
    "2028-01-31 23:59:58",
    "2028-02-01 00:00:01",
    "2028-02-28 23:59:59",
    "2028-02-29 12:00:00",
    "2028-02-29 09:00:00",  # three hours back
    "2028-03-01 00:00:00",
    "2028-03-26 00:59:59",  # summer time begins in Europe
    "2028-03-31 10:00:00",
    "2028-02-28 10:00:00",  # a month back
    "2028-04-30 23:00:00",
    "2028-10-29 00:59:59",  # and ends
    "2028-10-29 01:30:00",
    "2029-03-01 00:00:00",
)


@pytest.mark.needs("libfaketime")
def test_a_jumping_clock_grants_and_loses_nothing(
    new_victim: Callable[..., Any], record: Callable[..., None], seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = require("libfaketime")
    with TemporaryDirectory(prefix="sonas-clock-") as folder:
        Path(folder).chmod(0o755)
        clock = Path(folder) / "now"
        clock.write_text("@2028-01-31 10:00:00")
        # Only what is started from here on sees the false time, not this process.
        monkeypatch.setenv("LD_PRELOAD", str(library))
        monkeypatch.setenv("FAKETIME_TIMESTAMP_FILE", str(clock))
        monkeypatch.setenv("FAKETIME_NO_CACHE", "1")
        monkeypatch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        with new_victim() as victim:
            accounts = victim.accounts(8)
            for account, zone in zip(accounts, ("Europe/Paris", "America/New_York", "UTC"), strict=False):
                victim.database.call("set_time_zone", account, zone)
            with Load(victim.connect, accounts, seed=seed, clients=4) as load:
                for moment in JUMPS:
                    load.wait_for(25)
                    clock.write_text(f"@{moment}")
                load.wait_for(25)
            year = victim.database.value("select extract(year from clock_timestamp())::int")
            assert year == 2029
            assert check(load.journal, victim.url) == []
            record("a clock that jumps", f"{len(JUMPS)} times, twice backwards", load.journal)
