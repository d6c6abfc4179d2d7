"""How a response of Django ends, sync or async, and the holds that are settled then, of either kind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

from asgiref.sync import async_to_sync, sync_to_async
from django.http.response import HttpResponseBase

from sonas_supabase.charging import Outcome
from sonas_supabase.views import AsyncViewHold, SettledBody, ViewHold, ViewSpends

# asyncio keeps only weak references to tasks.
_going_on: set[asyncio.Future[None]] = set()


def settled(response: HttpResponseBase, spends: ViewSpends) -> HttpResponseBase:
    """The response, with what was held for it settled: now, or when its body has ended."""
    outcome = spends.outcome(response.status_code)
    if not _ends_later(response, spends, outcome):
        settle(spends, outcome)
    return response


async def settled_async(response: HttpResponseBase, spends: ViewSpends) -> HttpResponseBase:
    """The same, from asyncio."""
    outcome = spends.outcome(response.status_code)
    if not _ends_later(response, spends, outcome):
        await settle_async(spends, outcome)
    return response


def _ends_later(response: Any, spends: ViewSpends, outcome: Outcome) -> bool:
    """Whether the body is produced while it goes out; it then settles when it has ended."""
    if not (response.streaming and spends.holds):
        return False
    if response.is_async:
        # Not streaming_content, which stands between and would not hand a close on.
        response.streaming_content = AsyncSettledBody(response._iterator, partial(settle_async, spends), outcome)
    else:
        response.streaming_content = SettledBody(response.streaming_content, partial(settle, spends), outcome)
    return True


def settle(spends: ViewSpends, outcome: Outcome) -> None:
    """Settle all holds, from a thread or a close function."""
    for hold in spends.holds:
        if isinstance(hold, ViewHold):
            hold.settle(outcome)
        else:
            _finish(partial(hold.settle, outcome))


async def settle_async(spends: ViewSpends, outcome: Outcome) -> None:
    """Settle all holds, from asyncio; a cancellation does not stop it."""
    for hold in spends.holds:
        if isinstance(hold, AsyncViewHold):
            await hold.settle(outcome)
        else:
            await asyncio.shield(_kept(sync_to_async(hold.settle, thread_sensitive=False)(outcome)))


class AsyncSettledBody:
    """An asynchronous body that settles when it has ended, has failed, or was closed before.

    Django closes it when the client has left. Where a server's failure to send keeps it from that, the event loop ends
    the iteration when the response is dropped.
    """

    def __init__(
        self, body: AsyncIterable[Any], settle: Callable[[Outcome], Awaitable[None]], outcome: Outcome
    ) -> None:
        self._body = body
        self._settle = settle
        self._outcome = outcome

    async def __aiter__(self) -> AsyncIterator[Any]:
        try:
            async for piece in self._body:
                yield piece
        except (GeneratorExit, asyncio.CancelledError):
            # The client has left.
            raise
        except BaseException:
            self._outcome = Outcome.BROKEN
            raise
        finally:
            await self._end()

    def close(self) -> None:
        """End it before its time."""
        _finish(self._end)

    async def _end(self) -> None:
        aclose: Any = getattr(self._body, "aclose", None)
        try:
            if aclose is not None:
                # It may say a last word on the cost.
                await aclose()
        except BaseException:
            self._outcome = Outcome.BROKEN
            raise
        finally:
            await self._settle(self._outcome)


def _finish(work: Callable[[], Awaitable[None]]) -> None:
    """Do the work from a function that cannot await it."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        async_to_sync(work)()
    else:
        _kept(work())


def _kept(work: Awaitable[None]) -> asyncio.Future[None]:
    future = asyncio.ensure_future(work)
    _going_on.add(future)
    future.add_done_callback(_going_on.discard)
    return future
