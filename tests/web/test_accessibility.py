"""Usable by everybody: axe finds nothing, the keyboard reaches everything, print and 360 px lose nothing."""

from __future__ import annotations

import os
from typing import Any, Literal
from uuid import UUID

import pytest
from playwright.async_api import Page, expect

from tests.support.database import Database
from tests.web.conftest import SIZES, Visit
from tests.web.pages import come_in, fits, generate, generate_well, say_well
from tests.web.support import Site

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
# ``SONAS_AXE=all`` looks at each width in each scheme.
ALL = [(width, scheme) for width in (320, 360, 768, 1280) for scheme in SCHEMES]
LOOKS = ALL if os.environ.get("SONAS_AXE") == "all" else [(320, SCHEMES[1]), (1280, SCHEMES[0])]


async def look(page: Page, axe: str, where: str) -> None:
    """Axe finds nothing and nothing sticks out, in windows small and large, light and dark."""
    before = page.viewport_size
    assert before is not None
    is_dark = await page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    await page.evaluate(axe)
    for width, scheme in LOOKS:
        await page.set_viewport_size({"width": width, "height": 900})
        await page.emulate_media(color_scheme=scheme)
        await fits(page)
        await judge(page, f"{where} at {width} px, {scheme}")
    await page.emulate_media(color_scheme="dark" if is_dark else "light")
    await page.set_viewport_size(before)


async def judge(page: Page, where: str) -> None:
    found = await page.evaluate("tags => axe.run({ runOnly: tags })", TAGS)
    assert found["passes"], "axe has looked at nothing"
    broken = [
        f"{where}: {fault['id']}: {node['html'][:160]}: {node['failureSummary']}"
        for fault in found["violations"]
        for node in fault["nodes"]
    ]
    assert not broken, "\n".join(broken)


@pytest.fixture
def busy(database: Database) -> UUID:
    """A user with a warning, a promotion, and a refusal."""
    user = database.new_user()
    database.call("grant_credits", user, "message", 5, description="A welcome present")
    for amount in (5, 4, 3, 99):
        database.call("consume_credits", user, "message", amount, f"{amount} at once")
    return user


async def test_axe_finds_nothing(site: Site, visit: Visit, axe: str, picture: Any, busy: UUID) -> None:
    async def pictures(name: str) -> None:
        for size, scheme in (("desktop", SCHEMES[0]), ("desktop", SCHEMES[1]), ("phone", SCHEMES[0])):
            await page.set_viewport_size(SIZES[size])
            await page.emulate_media(color_scheme=scheme)
            await picture(page, f"{size}-{scheme}-{name}")

    async with visit(site) as page:
        await page.goto("/")
        await expect(page.get_by_role("button", name="Sign up as a new user")).to_be_visible()
        await look(page, axe, "sign-in")

        await come_in(page, site, busy)
        await expect(page.get_by_role("heading", name="No projects yet")).to_be_visible()
        await expect(page.locator("#usage-side .warning.low")).to_be_visible()
        await look(page, axe, "no projects")

        for name in ("One", "Two", "Three"):
            await generate_well(page, name)
        await generate(page, "Four")
        await expect(page.get_by_role("alert")).to_be_visible()
        await look(page, axe, "refused")
        await pictures("projects")

        await page.get_by_role("button", name="Delete One").click()
        await expect(page.get_by_role("dialog")).to_be_visible()
        await look(page, axe, "delete?")
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog")).to_have_count(0)

        await page.get_by_role("link", name="Two", exact=True).click()
        await expect(page.get_by_role("heading", name="Chat")).to_be_visible()
        await look(page, axe, "project")

        await page.get_by_role("tab", name="Usage").click()
        panel = page.locator("#usage-full")
        await panel.get_by_role("button", name="3 at once").click()
        await panel.get_by_text("As a table").click()
        await expect(panel.locator(".explained:visible")).to_contain_text("→")
        await look(page, axe, "usage")
        await pictures("usage")

        await page.goto("/pricing")
        await expect(page.get_by_role("button", name="Upgrade to Starter")).to_be_visible()
        await look(page, axe, "plans")
        await pictures("plans")


async def test_everything_can_be_done_without_a_mouse(site: Site, visit: Visit, user: UUID) -> None:
    async with visit(site) as page:
        await come_in(page, site, user)
        press = page.keyboard.press

        await press("Tab")
        await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        await press("Enter")
        await press("Tab")
        await expect(page.get_by_role("tab", name="My Projects")).to_be_focused()
        await press("Tab")
        await expect(page.get_by_label("What do you want to build?")).to_be_focused()
        await page.keyboard.type("A harbour")
        await press("Control+Enter")
        await expect(page.locator(".projects li")).to_have_count(1)

        await page.get_by_role("link", name="Harbour").last.focus()
        await press("Enter")
        await expect(page.get_by_role("heading", name="Harbour")).to_be_focused()
        await page.get_by_label("Your message").focus()
        await say_well(page, "Hello")
        await expect(page.get_by_label("Your message")).to_be_focused()

        await page.get_by_role("tab", name="My Projects").focus()
        await press("ArrowRight")
        await expect(page.get_by_role("tab", name="Usage")).to_be_focused()
        row = page.locator("#usage-full").get_by_role("button", name="Chat: Harbour")
        await row.focus()
        await press("Enter")
        await expect(row).to_have_attribute("aria-expanded", "true")
        await expect(row).to_be_focused()
        await press("Enter")
        await expect(row).to_have_attribute("aria-expanded", "false")


async def test_the_keyboard_stays_where_it_is_when_figures_change(
    site: Site, visit: Visit, database: Database, user: UUID
) -> None:
    database.call("consume_credits", user, "message", 1, "The first")
    async with visit(site) as page:
        await come_in(page, site, user, "/#usage")
        panel = page.locator("#usage-full")
        row = panel.get_by_role("button", name="The first")
        await row.click()

        database.call("consume_credits", user, "message", 1, "The second")

        await expect(panel.get_by_role("button", name="The second")).to_be_visible(timeout=3_000)
        await expect(row).to_be_focused()
        await expect(row).to_have_attribute("aria-expanded", "true")


async def test_the_keyboard_stays_on_a_project_when_another_appears(
    site: Site, visit: Visit, database: Database, user: UUID
) -> None:
    async with visit(site) as page:
        await come_in(page, site, user)
        await generate_well(page, "Harbour")
        await page.get_by_role("button", name="Delete Harbour").focus()

        database.run("insert into public.projects (owner_id, name) values (%s, 'Made elsewhere')", user)

        await expect(page.get_by_role("link", name="Made elsewhere")).to_be_visible()
        await expect(page.get_by_role("button", name="Delete Harbour")).to_be_focused()


async def test_a_screen_reader_hears_of_a_warning(site: Site, visit: Visit, database: Database, user: UUID) -> None:
    async with visit(site) as page:
        await come_in(page, site, user)
        status = page.locator("#usage-side").get_by_role("status")
        await expect(status).to_have_text("")

        database.call("consume_credits", user, "message", 8)

        await expect(status).to_have_text("80 % of your message credits are used; 2 left.", timeout=3_000)
        await expect(page.locator("#usage-side").get_by_role("meter", name="Messages used")).to_have_attribute(
            "aria-valuetext", "80 %, 8 of 10 used"
        )


async def test_print_has_the_figures_and_not_the_buttons(site: Site, visit: Visit, picture: Any, busy: UUID) -> None:
    async with visit(site, color_scheme="dark") as page:
        await come_in(page, site, busy, "/#usage")
        panel = page.locator("#usage-full")
        await expect(panel.locator("canvas")).to_be_visible()
        await page.emulate_media(media="print")

        await expect(page.locator(".top")).to_be_hidden()
        await expect(panel.get_by_role("link", name="Upgrade", exact=True)).to_be_hidden()
        await expect(panel.locator("canvas")).to_be_visible()
        await expect(panel.locator(".history")).to_contain_text("3 at once")
        ink = await panel.evaluate(
            "element => getComputedStyle(element).color + getComputedStyle(element).backgroundColor"
        )
        assert ink == "rgb(0, 0, 0)rgb(255, 255, 255)"
        await picture(page, "print-usage")
