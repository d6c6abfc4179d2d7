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


# What reaches beyond the panel is cut off there, without making the window wider.
CUT = """() => {
  const panel = document.querySelector("#usage-full");
  const edge = panel.getBoundingClientRect().right;
  return [...panel.shadowRoot.querySelectorAll("*")]
    .filter((one) => one.checkVisibility() && !one.closest(".scroll, thead, .hidden, .u-wrap"))
    .map((one) => [one.className, one.textContent.slice(0, 40), Math.round(one.getBoundingClientRect().right - edge)])
    .filter(([, , over]) => over > 0);
}"""
# Nor is one thing written over another.
OVER = """() => {
  const rows = document.querySelector("#usage-full").shadowRoot.querySelectorAll(".history tr:not([hidden])");
  return [...rows].flatMap((row) => {
    const parts = [...row.querySelectorAll(".when time, .after .part")].filter((one) => one.checkVisibility());
    const [when, ...after] = parts.map((one) => one.getBoundingClientRect());
    const isBeside = (one) => one.top < when.bottom - 1 && when.top < one.bottom - 1;
    return after.filter((one) => one.width && isBeside(one) && one.left < when.right - 1);
  }).length;
}"""


async def test_long_german_words_and_figures_are_not_cut(site: Site, visit: Visit, database: Database) -> None:
    user = database.new_user()
    given = {"description": "Ein großzügiges Geschenk der Geschäftsführung an alle treuen Kundinnen"}
    database.call("grant_credits", user, "message", 9 * 10**15 - 100, **given)
    database.call("consume_credits", user, "message", 8 * 10**15, "Ein großer Auftrag")
    database.call("grant_credits", user, "integration", 30)
    database.call("consume_credits", user, "integration", 10**6, "zu viel")
    async with visit(site) as page:
        await come_in(page, site, user, "/?lang=de#usage")
        await expect(page.locator("#usage-full canvas")).to_be_visible()
        await expect(page.locator("#usage-full .history .open")).to_have_count(5)
        for width in (320, 360, 768, 1024):
            await page.set_viewport_size({"width": width, "height": 900})
            await fits(page)
            assert await page.evaluate(CUT) == [], width
            assert await page.evaluate(OVER) == 0, width
