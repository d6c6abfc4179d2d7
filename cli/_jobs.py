"""What pg_cron does in a hosted project, for a local stack that has none."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from sonas_supabase import AsyncCreditsClient, CreditsError

_logger = logging.getLogger("sonas_supabase")


@asynccontextmanager
async def running_jobs(database_url: str, *, every: float = 60) -> AsyncIterator[None]:
    """Books what has fallen due and rolls the metrics up, at once and then every so many seconds."""
    async with AsyncCreditsClient.from_url(database_url, pool_size=1, timeout=every, retries=0) as client:
        jobs = asyncio.create_task(_work(client, every))
        try:
            yield
        finally:
            jobs.cancel()
            with suppress(asyncio.CancelledError):
                await jobs


async def _work(client: AsyncCreditsClient, every: float) -> None:
    while True:
        try:
            while (await client.reset_monthly_credits()).more:
                pass
            await client.roll_up_metrics()
        except CreditsError as error:
            # Nothing depends on them: balances are right without, and figures exact.
            _logger.warning("The jobs of the local stack could not run, and are tried again: %s", error)
        await asyncio.sleep(every)
