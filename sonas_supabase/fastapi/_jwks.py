"""A project's public signing keys: fetched when needed, kept, and fetched again when they rotate."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

import httpx
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from sonas_supabase import CreditsUnavailable
from sonas_supabase.fastapi import _background

_log = logging.getLogger("sonas_supabase")

ASYMMETRIC = frozenset({"RS256", "ES256", "EdDSA"})
_PAUSE_AFTER_FAILURE = 1.0
_PAUSE_FOR_NEWER = 1.0
_TIMEOUT = 5.0


class KeySet:
    """The keys behind one JWKS address. All times in seconds."""

    def __init__(
        self,
        url: str,
        *,
        ttl: float,
        min_interval: float,
        stale_for: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._ttl = ttl
        self._min_interval = min_interval
        self._stale_for = stale_for
        self._clock = clock
        self._keys: dict[str, PyJWK] = {}
        self._fetched_at: float | None = None
        self._has_failed = False
        self._rests_until = float("-inf")
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, key_id: str, issued_at: float | None = None) -> PyJWK | None:
        """The key of that id, or None. Raises CreditsUnavailable when there is no telling.

        ``issued_at`` is when the token says that it was issued (seconds since 1970): a key that is newer than what was
        fetched last may be a new one, and is asked for at once.
        """
        if not self._is_enough(key_id, issued_at):
            await self._refresh(waits=key_id not in self._keys)
        key = self._keys.get(key_id)
        # A key that is not there while fetching fails may be a new one: that is our fault, not the token's.
        if self._age() > self._ttl + self._stale_for or (key is None and self._has_failed):
            raise CreditsUnavailable("The keys that tokens are signed with could not be fetched.")
        return key

    def _is_enough(self, key_id: str, issued_at: float | None) -> bool:
        now = self._clock()
        if now < self._rests_until:
            return True
        if key_id in self._keys:
            return self._age() < self._ttl
        # Anybody can make up key ids and times; they must not make us fetch without end.
        is_newer = issued_at is not None and issued_at > time.time() - self._age()
        return self._age() < (min(_PAUSE_FOR_NEWER, self._min_interval) if is_newer else self._min_interval)

    def _age(self) -> float:
        return float("inf") if self._fetched_at is None else self._clock() - self._fetched_at

    async def _refresh(self, *, waits: bool) -> None:
        """Fetch once for all that want it. While one waits for it, others need not who have a key that they know."""
        fetching = self._fetching
        if fetching is None or fetching.done() or fetching.get_loop() is not asyncio.get_running_loop():
            fetching = self._fetching = _background.start(self._fetch())
        elif not waits:
            return
        await asyncio.shield(fetching)

    async def _fetch(self) -> None:
        began = self._clock()
        try:
            async with asyncio.timeout(_TIMEOUT), httpx.AsyncClient(timeout=_TIMEOUT) as client:
                response = await client.get(self._url)
                response.raise_for_status()
                published = response.json()["keys"]
            self._keys = {key.key_id: key for key in map(_usable, published) if key and key.key_id}
        except (httpx.HTTPError, TimeoutError, ValueError, KeyError, TypeError, AttributeError) as error:
            self._has_failed = True
            now = self._clock()
            # One that is silent is not waited for by request after request.
            self._rests_until = now + max(_PAUSE_AFTER_FAILURE, 2 * (now - began))
            _log.warning("%s could not be fetched: %r", self._url, error)
        else:
            self._fetched_at = self._clock()
            self._has_failed = False


def _usable(published: dict[str, Any]) -> PyJWK | None:
    """A public signature key of an algorithm that is allowed. A secret has no business in a public list."""
    if published.get("use", "sig") != "sig":
        return None
    try:
        key = PyJWK(published)
    except PyJWTError:
        return None
    return key if key.algorithm_name in ASYMMETRIC else None
