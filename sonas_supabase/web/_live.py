"""What has changed, told as it happens: one look at the database for all who watch, not one for each.

A page keeps one answer open (server-sent events) while somebody looks at it. Once a second one statement asks whether
anything has happened to the accounts that are watched; only then is a report put together. What changes by time alone,
a renewal or an expiry, is seen by the look that each page gets every ten seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import UUID

from sonas_supabase import CreditsError

LOOK_EVERY = 1.0
ANYHOW_EVERY = 10.0

States = Callable[[Collection[UUID]], Awaitable[dict[UUID, str]]]


@dataclass(eq=False, slots=True)
class _Watcher:
    state: str | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    is_lost: bool = False


class Live:
    """Wakes those who watch an account when something has happened to it."""

    def __init__(self, states: States, *, look_every: float = LOOK_EVERY) -> None:
        self._states = states
        self._every = look_every
        self._watchers: dict[UUID, set[_Watcher]] = {}
        self._looking: asyncio.Task[None] | None = None

    async def changes(self, account_id: UUID, *, anyhow_every: float = ANYHOW_EVERY) -> AsyncIterator[None]:
        """One item at once, then one whenever there may be something new. Ends when the database is away."""
        watcher = _Watcher()
        self._watchers.setdefault(account_id, set()).add(watcher)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            while not watcher.is_lost:
                watcher.changed.clear()
                yield
                with suppress(TimeoutError):
                    await asyncio.wait_for(watcher.changed.wait(), anyhow_every)
        finally:
            self._watchers[account_id].discard(watcher)
            if not self._watchers[account_id]:
                del self._watchers[account_id]

    async def close(self) -> None:
        """Ends all of it."""
        for watchers in self._watchers.values():
            for watcher in watchers:
                watcher.is_lost = True
                watcher.changed.set()
        if self._looking is not None:
            self._looking.cancel()
            with suppress(asyncio.CancelledError):
                await self._looking

    async def _look(self) -> None:
        while self._watchers:
            await asyncio.sleep(self._every)
            try:
                states = await self._states(list(self._watchers))
            except CreditsError:
                states = {}
            for account_id, watchers in list(self._watchers.items()):
                for watcher in watchers:
                    state = states.get(account_id)
                    watcher.is_lost = watcher.is_lost or state is None
                    if state != watcher.state:
                        watcher.state = state
                        watcher.changed.set()
