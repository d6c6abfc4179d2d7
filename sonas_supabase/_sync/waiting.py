"""What asyncio and threads do differently. This file has a hand-written twin in ``_async``."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Generic, TypeVar

from sonas_supabase._deadline import DEADLINE

T = TypeVar("T")
State = TypeVar("State")

pause = time.sleep


def see_through(work: Callable[[], T], undo: Callable[[T], object] | None = None) -> T:
    """Do the work. A thread cannot be cancelled, so there is nothing to undo."""
    return work()


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Tell what is in the block when its seconds are over; see :mod:`sonas_supabase._deadline`."""
    token = DEADLINE.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        DEADLINE.reset(token)


@contextmanager
def cutting(seconds: float, connection: Any) -> Iterator[None]:
    """End what is in the block with TimeoutError when the seconds are over, by cutting a connection of SQLAlchemy's."""
    raw = connection.connection.driver_connection
    number = raw.fileno() if hasattr(raw, "fileno") else raw._usock.fileno()
    line = socket.fromfd(number, socket.AF_INET, socket.SOCK_STREAM)
    lock = threading.Lock()
    ended: list[str] = []

    def cut() -> None:
        with lock:
            if not ended:
                ended.append("cut")
                with suppress(OSError):
                    line.shutdown(socket.SHUT_RDWR)

    stop = every(seconds, cut)
    try:
        yield
    except Exception as error:
        with lock:
            if ended:
                raise TimeoutError from error
        raise
    finally:
        with lock:
            ended.append("done")
        stop()
        line.close()


def every(seconds: float, work: Callable[[], object]) -> Callable[[], object]:
    """Do the work every so many seconds, until what this answers is called. One thread watches for all of a process."""
    return _clocks.here().add(seconds, work)


class _Clock:
    """The thread that watches when what is due. It ends when there is nothing left to watch."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._beats: dict[object, tuple[float, float, Callable[[], object]]] = {}
        self._is_watched = False

    def add(self, seconds: float, work: Callable[[], object]) -> Callable[[], object]:
        beat = object()
        with self._changed:
            self._beats[beat] = (time.monotonic() + seconds, seconds, work)
            if not self._is_watched:
                self._is_watched = True
                threading.Thread(target=self._watch, name="sonas-holds", daemon=True).start()
            self._changed.notify()
        return lambda: self._remove(beat)

    def _remove(self, beat: object) -> None:
        with self._changed:
            self._beats.pop(beat, None)

    def _watch(self) -> None:
        while True:
            with self._changed:
                now = time.monotonic()
                due = [beat for beat, (at, _, _) in self._beats.items() if at <= now]
                for beat in due:
                    _, seconds, work = self._beats[beat]
                    self._beats[beat] = (now + seconds, seconds, work)
                    # A call that is slow holds up no other hold.
                    threading.Thread(target=work, daemon=True).start()
                if not self._beats:
                    self._is_watched = False
                    return
                self._changed.wait(max(min(at for at, _, _ in self._beats.values()) - now, 0))


class Slots:
    """So many callers at once; the others wait."""

    def __init__(self, number: int) -> None:
        self._free = threading.Semaphore(number)

    def take(self, seconds: float) -> bool:
        """Wait for a place; False when there was none in time."""
        return self._free.acquire(timeout=max(seconds, 0))

    def give(self) -> None:
        """Leave the place."""
        self._free.release()


class Homes(Generic[State]):
    """What belongs to one process: a fork may not use its connections, and opens its own."""

    def __init__(self, make: Callable[[], State], end: Callable[[State], object]) -> None:
        self._make = make
        self._end = end
        # What a fork inherits stays here untouched: to close it would close the connections of the parent.
        self._homes: dict[int, State] = {}

    def here(self) -> State:
        """The state of this process, made at its first use."""
        process = os.getpid()
        if process not in self._homes:
            # No lock, which a fork could inherit locked; of two states that are made at once, one is kept, the other
            # has no connection yet.
            self._homes.setdefault(process, self._make())
        return self._homes[process]

    def end_here(self) -> None:
        """End the state of this process."""
        state = self._homes.pop(os.getpid(), None)
        if state is not None:
            self._end(state)


# There is no asyncpg for threads.
OVER_ASYNCPG: Callable[[Any], Any] | None = None


def is_mine(connection: Any) -> bool:
    """Whether a connection of SQLAlchemy is one for threads."""
    return not (hasattr(connection, "sync_session") or hasattr(connection, "sync_connection"))


_clocks: Homes[_Clock] = Homes(_Clock, lambda clock: None)
