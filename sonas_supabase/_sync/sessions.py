"""HTTP clients that give up in time. This file has a hand-written twin in ``_async``.

A thread cannot be cancelled, so each request takes what is left of its call's time as its timeouts, and each part of an
answer is looked at for whether it still comes in time: httpx itself bounds single reads, not the whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic

import httpx

from sonas_supabase._deadline import DEADLINE, in_time


def new_http() -> httpx.Client:
    """A client that asks for the deadline of the call."""
    http = httpx.Client(timeout=30, limits=httpx.Limits(max_keepalive_connections=20), follow_redirects=True)
    watch(http)
    return http


def watch(session: httpx.Client) -> None:
    """Let a client ask for the deadline of the call, if there is one."""
    session.event_hooks["request"].append(_set_timeout)
    session.event_hooks["response"].append(_watch_answer)


def _set_timeout(request: httpx.Request) -> None:
    deadline = DEADLINE.get()
    if deadline is not None:
        seconds = max(deadline - monotonic(), 0.001)
        request.extensions["timeout"] = httpx.Timeout(seconds, connect=min(seconds, 10)).as_dict()


def _watch_answer(response: httpx.Response) -> None:
    deadline = DEADLINE.get()
    if deadline is not None and isinstance(response.stream, httpx.SyncByteStream):
        response.stream = _Watched(response.stream, deadline)


class _Watched(httpx.SyncByteStream):
    def __init__(self, stream: httpx.SyncByteStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def __iter__(self) -> Iterator[bytes]:
        return in_time(iter(self._stream), self._deadline)

    def close(self) -> None:
        self._stream.close()
