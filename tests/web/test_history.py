"""The history in the panel: its filters, its file, and what becomes of it when a request fails."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from pathlib import Path

from playwright.async_api import Locator, Request, Route, expect

from tests.support.database import Database
from tests.support.timed import Timed
from tests.web.conftest import Visit
from tests.web.pages import come_in
from tests.web.support import Site


def names(lines: Locator) -> Locator:
    return lines.locator("tbody .open")


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text("utf-8").splitlines()))


async def test_the_history_is_filtered_saved_and_asked_for_again(site: Site, visit: Visit, database: Database) -> None:
    user = Timed(database, start=datetime(2027, 3, 1, 12, tzinfo=UTC), plan="starter")
    for day in range(1, 36):
        user.wait(days=1)
        if day in (1, 5, 26, 27, 34):
            user.call("consume_credits", "integration" if day == 5 else "message", 1, f"day {day}")
    async with visit(site, expects="Failed to load") as page:
        await come_in(page, site, user.id, "/#usage")
        history = page.locator("#usage-full .history")
        kind, time = page.get_by_label("Type of the history"), page.get_by_label("Time of the history")
        await kind.select_option("Integrations")
        await expect(names(history).filter(has_text="Day")).to_have_text(["Day 5"])
        await kind.select_option("Messages")
        await expect(names(history).filter(has_text="Day")).to_have_text(["Day 34", "Day 27", "Day 26", "Day 1"])
        await time.select_option("This period")
        await expect(names(history).filter(has_text="Day")).to_have_text(["Day 34"])
        await time.select_option("Last 30 days")
        await expect(names(history).filter(has_text="Day")).to_have_text(["Day 34", "Day 27", "Day 26"])
        # Days are the viewer's: on 28 March the clocks of Berlin go forward.
        await time.select_option("From … to …")
        await page.get_by_label("From", exact=True).fill("2027-03-28")
        await page.get_by_label("To", exact=True).fill("2027-03-28")
        await expect(names(history)).to_have_text(["Day 27"])
        await page.get_by_label("To", exact=True).fill("2027-03-01")
        await expect(history.get_by_text("Nothing in this time.")).to_be_visible()
        await page.get_by_label("To", exact=True).fill("2027-03-29")
        async with page.expect_download() as saved:
            await page.get_by_role("button", name="Save as CSV").click()
        rows = rows_of(await (await saved.value).path())
        assert [(row["what"], row["credits"], row["balance_after"]) for row in rows] == [("Day 27", "-1", "97")]

        async def fail(route: Route) -> None:
            await route.abort()

        await page.route("**/api/usage/operations?*", fail)
        await kind.select_option("Projects")
        await expect(history.locator(".failed")).to_contain_text("That did not work.")
        await page.unroute("**/api/usage/operations?*")
        await history.get_by_role("button", name="Try again").click()
        await expect(history.locator(".failed")).to_be_hidden()
        await expect(history.get_by_text("Nothing in this time.")).to_be_visible()


async def test_where_an_open_answer_is_held_back_the_figures_are_asked_for(
    site: Site, visit: Visit, database: Database
) -> None:
    user = database.new_user()
    async with visit(site, expects="") as page:
        await page.clock.install()
        asked: list[str] = []

        async def hold(route: Route) -> None:
            asked.append("held")

        def hear(request: Request) -> None:
            if "/api/usage?" in request.url:
                asked.append("asked")

        page.on("request", hear)
        await page.route("**/api/usage/events?*", hold)
        async with page.expect_request("**/api/usage/events?*"):
            await come_in(page, site, user, "/#projects")
        await expect(page.locator("#usage-side .note")).to_have_text("Loading your usage …")
        await page.clock.run_for(11_000)
        await expect(page.locator("#usage-side .balances")).to_contain_text("10 left")
        await expect(page.locator(".outage")).to_be_hidden()
        database.call("consume_credits", user, "message", 4)
        await page.clock.run_for(4_000)
        await expect(page.locator("#usage-side .balances")).to_contain_text("6 left")
        assert asked[0] == "held"
        assert asked.count("held") == 1
