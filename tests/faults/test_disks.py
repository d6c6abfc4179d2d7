"""Disks that fill up under load: nothing that was refused is there, and work goes on when there is room again."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.faults.checker import check
from tests.faults.conftest import Victim
from tests.faults.load import Load

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a disk that is too small")


@contextmanager
def small_disk(place: Path, megabytes: int) -> Iterator[Path]:
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=777", "tmpfs", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def fill(disk: Path) -> Path:
    """Takes all that is left."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(65536))
        except OSError:
            return filler


def use_up_the_segment(victim: Victim) -> None:
    """Writes more log than the segment in use has room for: that was allotted before the disk was full."""
    with victim.connect() as connection:
        connection.execute("create table if not exists public.ballast (filling text)")
        for _ in range(60):
            connection.execute(
                "insert into public.ballast select repeat(md5(n::text), 30) from generate_series(1, 1000) n"
            )


def test_a_full_data_disk_refuses_and_then_goes_on(
    new_victim: Callable[..., Any], record: Callable[..., None], seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with new_victim() as victim:
        accounts = victim.accounts(12)
        victim.cluster.stop()
        data = victim.cluster.directory / "data"
        with small_disk(victim.cluster.directory / "disk", 96) as disk:
            # The tables move to the small disk; the write-ahead log stays where it was.
            owner = data.stat()
            subprocess.run(["mv", data / "base", disk / "base"], check=True)
            (data / "base").symlink_to(disk / "base")
            os.chown(disk, owner.st_uid, owner.st_gid)
            victim.cluster.start()
            with Load(victim.connect, accounts, seed=seed, clients=6) as load:
                for _ in range(3):
                    load.wait_for(50)
                    filler = fill(disk)
                    before = load.journal.counts()["sent again"]
                    load.wait_until(lambda: load.journal.counts()["sent again"] > before + 20)  # noqa: B023
                    filler.unlink()
                load.wait_for(50)
            assert check(load.journal, victim.url) == []
            record("data disk full", "3 times", load.journal)
            victim.cluster.stop()


def test_a_full_log_disk_stops_the_server_and_loses_nothing(
    new_victim: Callable[..., Any], record: Callable[..., None], seed: int
) -> None:
    # Small segments that are used again, so that the log needs room soon after the disk is full.
    settings = {"min_wal_size": "32MB", "max_wal_size": "48MB", "wal_recycle": "off", "checkpoint_timeout": "1h"}
    with new_victim(settings) as victim:
        accounts = victim.accounts(12)
        victim.cluster.stop()
        log = victim.cluster.directory / "data" / "pg_wal"
        with small_disk(victim.cluster.directory / "disk", 128) as disk:
            owner = log.stat()
            os.chown(disk, owner.st_uid, owner.st_gid)
            subprocess.run(["mv", log, disk / "pg_wal"], check=True)
            log.symlink_to(disk / "pg_wal")
            victim.cluster.start()
            with Load(victim.connect, accounts, seed=seed, clients=6) as load:
                for _ in range(2):
                    load.wait_for(50)
                    filler = fill(disk)
                    with pytest.raises(psycopg.OperationalError):
                        use_up_the_segment(victim)
                    filler.unlink()
                    victim.cluster.stop(mode="immediate")
                    victim.cluster.start()
                load.wait_for(50)
            assert check(load.journal, victim.url) == []
            record("disk of the write-ahead log full", "2 times", load.journal)
            victim.cluster.stop()
