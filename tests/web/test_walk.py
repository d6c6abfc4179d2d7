"""The history on the page is the ledger's, for random accounts. ``SONAS_ACCOUNTS=1000`` walks through as many."""

from __future__ import annotations

import os
import time

from tests.support.database import Database
from tests.web.conftest import Visit
from tests.web.support import Site
from tests.web.walk import compare, random_account

ACCOUNTS = int(os.environ.get("SONAS_ACCOUNTS", "1"))


async def test_the_page_has_exactly_the_rows_of_the_ledger(site: Site, visit: Visit, database: Database) -> None:
    seed = int(os.environ.get("SONAS_SEED", str(time.time_ns() % 10**6 if ACCOUNTS > 1 else 5000)))
    rows = 0
    for nth in range(ACCOUNTS):
        user = random_account(database, seed + nth)
        async with visit(site) as page:
            try:
                rows += await compare(page, site, database, user)
            except AssertionError as error:
                error.add_note(f"SONAS_SEED={seed + nth}")
                raise
    assert rows > 10 * ACCOUNTS
