"""Pages that met an outage say so once, keep what was typed, and go on by themselves when the server is back."""

from __future__ import annotations

from uuid import UUID

import pytest
from playwright.async_api import Page, expect

from tests.web.conftest import Visit
from tests.web.pages import come_in, generate_well, sign_up
from tests.web.support import Site
from tests.web.test_pages import hide

AWAY = "The server cannot be reached."


async def take_away(page: Page, status: int | None = None) -> None:
    """No connection, or what a proxy in front of it answers."""
    if status:
        await page.route("**/api/**", lambda route: route.fulfill(status=status, body="<h1>Bad gateway</h1>"))
    else:
        await page.route("**/api/**", lambda route: route.abort())


async def bring_back(page: Page) -> None:
    await page.unroute("**/api/**")


@pytest.mark.parametrize("status", [None, 502, 503])
async def test_a_sign_in_that_met_an_outage_comes_by_itself(site: Site, visit: Visit, status: int | None) -> None:
    async with visit(site, expects="Failed to load resource") as page:
        await take_away(page, status)
        await page.goto("/")
        await expect(page.get_by_text(AWAY)).to_have_count(1)
        await bring_back(page)
        await expect(page.get_by_role("button", name="Sign up as a new user")).to_be_visible(timeout=10_000)
        await expect(page.get_by_text(AWAY)).to_be_hidden()


async def test_a_dashboard_that_met_an_outage_fills_itself(site: Site, visit: Visit, user: UUID) -> None:
    async with visit(site, expects="Failed to load resource") as page:
        await come_in(page, site, user)
        await generate_well(page, "A page")
        await take_away(page)
        await page.reload()
        await expect(page.get_by_text(AWAY)).to_have_count(1)
        await bring_back(page)
        await page.get_by_role("button", name="Try again now").click()
        await expect(page.locator(".projects li")).to_have_count(1)
        await expect(page.locator("#usage-side .balances li").first).to_be_visible()
        await expect(page.get_by_text(AWAY)).to_be_hidden()


async def test_a_project_that_met_an_outage_opens_itself(site: Site, visit: Visit, user: UUID) -> None:
    async with visit(site, expects="Failed to load resource") as page:
        await come_in(page, site, user)
        await generate_well(page, "A page")
        await take_away(page)
        await page.get_by_role("link", name="Page", exact=True).first.click()
        await expect(page.get_by_text(AWAY)).to_be_visible()
        await bring_back(page)
        await expect(page.locator("pre")).to_be_visible(timeout=10_000)


async def test_the_plans_come_by_themselves(site: Site, visit: Visit) -> None:
    async with visit(site, expects="Failed to load resource") as page:
        await take_away(page)
        await page.goto("/pricing")
        await expect(page.get_by_text(AWAY)).to_have_count(1)
        await bring_back(page)
        await expect(page.locator("#plans li").first).to_be_visible(timeout=10_000)


async def test_what_was_typed_survives_and_can_be_sent_again(site: Site, visit: Visit, user: UUID) -> None:
    async with visit(site, expects="Failed to load resource") as page:
        await come_in(page, site, user)
        await page.get_by_label("What do you want to build?").fill("A long thought")
        await take_away(page)
        await page.get_by_role("button", name="Generate").click()
        said = page.locator(".composer").get_by_role("alert")
        await expect(said).to_contain_text(AWAY)
        await bring_back(page)
        await expect(page.locator(".outage")).to_be_hidden(timeout=10_000)
        await said.get_by_role("button", name="Try again").click()
        await expect(page.locator(".projects li")).to_have_count(1)


async def test_something_wrong_on_the_server_can_be_tried_again_in_place(site: Site, visit: Visit) -> None:
    async with visit(site, expects="Failed to load resource") as page:
        await page.route("**/api/projects", lambda route: route.fulfill(status=500, body="oops"))
        await page.goto("/")
        await page.get_by_role("button", name="Sign up as a new user").click()
        await expect(page.locator("#projects").get_by_role("alert")).to_contain_text("Something went wrong")
        await page.unroute("**/api/projects")
        await page.locator("#projects").get_by_role("button", name="Try again").click()
        await expect(page.get_by_role("heading", name="No projects yet")).to_be_visible()


async def test_figures_that_may_be_old_are_said_once(site: Site, visit: Visit) -> None:
    async with visit(site, expects="Failed to load resource") as page:
        await sign_up(page)
        await expect(page.locator("#usage-side .balances li").first).to_be_visible()
        await take_away(page)
        # The answer that stays open has ended, as with a server that stops; the page was away for a moment.
        await hide(page, True)
        await hide(page, False)
        await expect(page.locator(".outage")).to_be_visible(timeout=10_000)
        await expect(page.locator(".notice:visible, .note:visible")).to_have_count(1)
        await bring_back(page)
        await expect(page.locator(".outage")).to_be_hidden(timeout=20_000)
