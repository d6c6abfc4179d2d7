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

_log = logging.getLogger("sonas_supabase")

ASYMMETRIC = frozenset({"RS256", "ES256", "EdDSA"})
_PAUSE_AFTER_FAILURE = 1.0
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
        self._failed_at: float | None = None
        self._lock = asyncio.Lock()

    async def find(self, key_id: str) -> PyJWK | None:
        """The key of that id, or None. Raises CreditsUnavailable when there is no telling."""
        if not self._is_enough(key_id):
            async with self._lock:
                # Whoever waited for the lock finds what the first one fetched.
                if not self._is_enough(key_id):
                    await self._fetch()
        key = self._keys.get(key_id)
        # A key that is not there while fetching fails may be a new one: that is our fault, not the token's.
        if self._age() > self._ttl + self._stale_for or (key is None and self._failed_at is not None):
            raise CreditsUnavailable("The keys that tokens are signed with could not be fetched.")
        return key

    def _is_enough(self, key_id: str) -> bool:
        now = self._clock()
        if self._failed_at is not None and now - self._failed_at < _PAUSE_AFTER_FAILURE:
            return True
        if key_id in self._keys:
            return self._age() < self._ttl
        # Anybody can make up key ids; they must not make us fetch without end.
        return self._age() < self._min_interval

    def _age(self) -> float:
        return float("inf") if self._fetched_at is None else self._clock() - self._fetched_at

    async def _fetch(self) -> None:
        try:
            async with httpx.AsyncClient(timeout=_TIMEOUT) as client:
                response = await client.get(self._url)
                response.raise_for_status()
                published = response.json()["keys"]
            self._keys = {key.key_id: key for key in map(_usable, published) if key and key.key_id}
        except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError) as error:
            self._failed_at = self._clock()
            _log.warning("%s could not be fetched: %r", self._url, error)
        else:
            self._fetched_at = self._clock()
            self._failed_at = None


def _usable(published: dict[str, Any]) -> PyJWK | None:
    """A public signature key of an algorithm that is allowed. A secret has no business in a public list."""
    if published.get("use", "sig") != "sig":
        return None
    try:
        key = PyJWK(published)
    except PyJWTError:
        return None
    return key if key.algorithm_name in ASYMMETRIC else None
