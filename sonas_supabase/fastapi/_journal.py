"""Spends that were allowed while the database could not be reached, kept on disk until they are booked."""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

from sonas_supabase import AsyncCreditsClient, CreditsError, CreditsUnavailable
from sonas_supabase.fastapi._booking import Booking, book

_log = logging.getLogger("sonas_supabase")


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What a replay did: spends it ``booked``, and why the others still wait (an error's slug, and how many)."""

    booked: int
    waiting: dict[str, int]


class Journal:
    """An append-only file of JSON lines, safe to share between the worker processes of one machine.

    Put it on a disk that survives a restart. A line is on the disk before the request ends.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)

    async def append(self, booking: Booking, cost: int) -> None:
        """Keep a spend."""
        entry = {
            "id": str(uuid4()),
            "at": datetime.now(UTC).isoformat(),
            "cost": cost,
            "booking": booking.to_json(),
        }
        await asyncio.to_thread(self._write, entry)

    async def pending(self) -> int:
        """How many spends wait to be booked."""
        return len(await asyncio.to_thread(self._pending))

    async def replay(self, client: AsyncCreditsClient) -> Replay:
        """Book what waits, each spend once, however often and from wherever this is called.

        A spend that its account cannot pay, or whose account is gone, stays and is tried again next time. Stops at once
        when the database cannot be reached.
        """
        booked = 0
        waiting: dict[str, int] = {}
        entries = await asyncio.to_thread(self._pending)
        for done, entry in enumerate(entries):
            try:
                await book(client, Booking.from_json(entry["booking"]), entry["cost"])
            except CreditsUnavailable:
                waiting[CreditsUnavailable.code] = len(entries) - done
                break
            except CreditsError as error:
                _log.warning("%s still waits in %s: %s", entry["id"], self._path, error)
                waiting[error.code] = waiting.get(error.code, 0) + 1
            else:
                await asyncio.to_thread(self._write, {"booked": entry["id"]})
                booked += 1
        await asyncio.to_thread(self._empty_if_done)
        return Replay(booked=booked, waiting=waiting)

    def _write(self, entry: dict[str, Any]) -> None:
        with self._locked() as file:
            end = file.seek(0, os.SEEK_END)
            if end:
                file.seek(end - 1)
                # A writer that was killed half-way left half a line.
                if file.read(1) != b"\n":
                    file.write(b"\n")
            file.write(json.dumps(entry).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def _pending(self) -> list[dict[str, Any]]:
        if not self._path.exists():
            return []
        with self._locked() as file:
            return _unbooked(file)

    def _empty_if_done(self) -> None:
        if self._path.exists():
            with self._locked() as file:
                if not _unbooked(file):
                    file.truncate(0)

    @contextmanager
    def _locked(self) -> Iterator[IO[bytes]]:
        # Whoever may read this file learns who spends what; whoever may write it, charges them.
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file


def _unbooked(file: IO[bytes]) -> list[dict[str, Any]]:
    file.seek(0)
    entries: dict[str, dict[str, Any]] = {}
    for line in file:
        try:
            entry = json.loads(line)
        except ValueError:
            _log.warning("a line that was not written to its end is left out: %r", line[:80])
            continue
        if "booked" in entry:
            entries.pop(entry["booked"], None)
        else:
            entries[entry["id"]] = entry
    return list(entries.values())
