"""Views that end in every way there is, for Flask and Django, sync and async.

`event` says how a request is to end, `cost` what its view says that it cost. A view that has to wait until its client
has left waits at a gate, which the test watches and opens.
"""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

from sonas_supabase.views import AsyncViewHold, ViewHold

PIECE = b"x" * 65536
Said = ViewHold | AsyncViewHold


class Gate:
    """Where a view says that it has come, and waits to be let on."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.open = threading.Event()

    def wait(self) -> None:
        """Wait there."""
        self.reached.set()
        assert self.open.wait(20)


gates: dict[str, Gate] = defaultdict(Gate)


def say(hold: Said, cost: int | None) -> None:
    """Set the cost, if there is one."""
    if cost is not None:
        hold.cost = cost


def pieces(event: str, hold: Said, cost: int | None) -> Iterator[bytes | None]:
    """A body that is produced while it goes out, and ends as asked; None for a wait at the gate."""
    if event == "stream, added, fails":
        hold.add(cost or 0)
    if event in ("stream, cost first", "stream, cost, fails"):
        say(hold, cost)
    yield b"first"
    if event.endswith("fails"):
        raise ZeroDivisionError
    if event == "stream, added":
        for _ in range(cost or 0):
            hold.add()
    if event == "stream, left in the middle":
        say(hold, cost)
        yield None
        for _ in range(1000):
            yield PIECE
    if event == "stream, left, then cost":
        try:
            yield None
            for _ in range(1000):
                yield PIECE
        finally:
            say(hold, cost)
    yield b"[DONE]"
    if event == "stream, cost in the last chunk":
        say(hold, cost)
        yield b"\n"


def stream(event: str, hold: Said, cost: int | None, gate: Gate) -> Iterator[bytes]:
    """The same for a thread."""
    for piece in pieces(event, hold, cost):
        if piece is None:
            gate.wait()
        else:
            yield piece


async def astream(event: str, hold: Said, cost: int | None, gate: Gate) -> AsyncIterator[bytes]:
    """The same for asyncio."""
    body = pieces(event, hold, cost)
    try:
        for piece in body:
            if piece is None:
                await asyncio.to_thread(gate.wait)
            else:
                yield piece
                await asyncio.sleep(0)
    finally:
        with suppress(RuntimeError):
            body.close()  # type: ignore[attr-defined]


def status_of(event: str, hold: Said, cost: int | None, gate: Gate) -> int:
    """Do as a view that has its whole answer when it returns."""
    if event == "left, then cost":
        gate.wait()
    if event == "captures":
        assert isinstance(hold, ViewHold)
        hold.capture(cost)
    say(hold, cost)
    if event == "cost, then left":
        gate.wait()
    if event in ("raises", "captures"):
        raise ZeroDivisionError
    return int(event) if event.isdecimal() else 200
