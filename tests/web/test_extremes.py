"""What is large, long or turned around fits at 320 px and comes by pages. ``SONAS_ROWS=50000`` spends as often."""

from __future__ import annotations

import os

from playwright.async_api import expect

from tests.support.database import Database
from tests.web.conftest import Visit
from tests.web.pages import come_in, fits
from tests.web.support import Site

ROWS = int(os.environ.get("SONAS_ROWS", "300"))
PROJECTS = 500
# A name that would turn the rest of its line around.
TURNED = "harmless\u202efdp.exe"


async def test_much_fits_a_small_window_and_comes_by_pages(site: Site, visit: Visit, database: Database) -> None:
    user = database.new_user()
    database.call("change_plan", user, "elite")
    database.call("grant_credits", user, "message", 9_007_199_254_700_000, "top_up")
    database.run(
        "insert into public.projects (owner_id, name) select %s, %s || n from generate_series(1, %s) n",
        user,
        TURNED,
        PROJECTS,
    )
    database.run(
        "select count(public.consume_credits(%s, 'message', 1, %s || n)) from generate_series(1, %s) n",
        user,
        TURNED,
        ROWS,
    )
    async with visit(site, size="narrow") as page:
        await come_in(page, site, user)
        await expect(page.locator(".projects li")).to_have_count(24)
        await fits(page)
        assert "\u202e" not in await page.locator("#projects").inner_text()
        await page.get_by_role("button", name="Show more").click()
        await expect(page.locator(".projects li")).to_have_count(48)
        await page.get_by_role("tab", name="Usage").click()
        history = page.locator("#usage-full .history")
        await expect(history.locator("tbody [data-key]").first).to_be_visible()
        await expect(page.locator("#usage-full .balances")).to_contain_text("9,007,199,254,70")
        await history.get_by_role("button", name="Show older").click()
        await expect(history.get_by_role("button", name="Show newer")).to_be_visible()
        assert await history.locator("tbody [data-key]").count() <= 60
        assert "\u202e" not in await history.inner_text()
        await fits(page)
