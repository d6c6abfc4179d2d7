"""HTTP clients that give up in time. This file has a hand-written twin in ``_sync``."""

from __future__ import annotations

import httpx


def new_http() -> httpx.AsyncClient:
    """A client without a timeout of its own: each call has one, and cancels what takes longer."""
    timeout, limits = httpx.Timeout(None, connect=10), httpx.Limits(max_keepalive_connections=20)
    return httpx.AsyncClient(timeout=timeout, limits=limits, follow_redirects=True)


def watch(session: httpx.AsyncClient) -> None:
    """A task can be cancelled whatever it waits for, so there is nothing to watch."""
