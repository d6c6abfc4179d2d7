"""What one person typed or was shown is gone when the next one comes; a session is the same in every tab."""

from __future__ import annotations

import asyncio
from uuid import UUID

from playwright.async_api import BrowserContext, Page, Route, expect

from tests.support.database import Database
from tests.web.conftest import Visit
from tests.web.pages import come_in, generate_well, say, say_well, sign_up
from tests.web.support import Site

SECRET = "zebra"


async def everything(page: Page) -> str:
    """All that the page and the browser keep: text, fields, hidden parts, shadow roots and both stores."""
    kept: str = await page.evaluate(
        """() => {
            const texts = [JSON.stringify(sessionStorage), JSON.stringify(localStorage), location.href, document.title];
            const visit = (root) => {
                texts.push(root.textContent);
                for (const element of root.querySelectorAll("*")) {
                    texts.push(element.value ?? "", ...[...element.attributes].map((attribute) => attribute.value));
                    if (element.shadowRoot) visit(element.shadowRoot);
                }
            };
            visit(document);
            return texts.join("\\n");
        }"""
    )
    return kept


async def leave_traces(page: Page, site: Site, user: UUID) -> None:
    """A project, a conversation, two drafts, a history and an opened line of it."""
    await come_in(page, site, user)
    await generate_well(page, f"A {SECRET} page")
    await page.get_by_label("What do you want to build?").fill(f"A {SECRET} thought")
    await page.get_by_role("link", name="Zebra page").first.click()
    await say_well(page, f"Where is the {SECRET}?")
    await page.get_by_label("Your message").fill(f"Another {SECRET}")
    await page.get_by_role("tab", name="Usage").click()
    await page.locator("#usage-full .history .open").first.click()
    await expect(page.locator("#usage-full .explained:visible")).to_be_visible()
    assert SECRET in (await everything(page)).lower()


async def test_signing_out_leaves_nothing_of_what_was_typed_or_shown(
    site: Site, visit: Visit, user: UUID, database: Database
) -> None:
    async with visit(site) as page:
        await leave_traces(page, site, user)
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_role("heading", name="Sign in to Sonas")).to_be_visible()
        left = (await everything(page)).lower()
        assert SECRET not in left
        assert str(user) not in left
        assert "left" not in await page.locator("#signed-in").inner_html()


async def test_the_next_person_finds_empty_fields(site: Site, visit: Visit, user: UUID) -> None:
    async with visit(site) as page:
        await leave_traces(page, site, user)
        await page.get_by_role("button", name="Sign out").click()
        await page.get_by_role("button", name="Sign up as a new user").click()
        await page.get_by_role("tab", name="My Projects").click()
        await expect(page.get_by_role("heading", name="No projects yet")).to_be_visible()
        await expect(page.get_by_label("What do you want to build?")).to_have_value("")
        assert SECRET not in (await everything(page)).lower()


async def test_a_session_that_ended_keeps_a_draft_for_its_writer_and_from_the_next(
    site: Site, visit: Visit, user: UUID
) -> None:
    async with visit(site, expects="40") as page:
        await come_in(page, site, user)
        await page.get_by_label("What do you want to build?").fill(f"A {SECRET} thought")
        session = await page.evaluate("localStorage.getItem('sonas-session')")
        await end_session(page)
        await expect(page.get_by_text("Your session has ended.")).to_be_visible()
        assert SECRET not in await page.locator("body").inner_text()
        # The writer comes back by another tab; then somebody else comes.
        other = await page.context.new_page()
        await other.goto("/pricing")
        await other.evaluate("(session) => localStorage.setItem('sonas-session', session)", session)
        await expect(page.get_by_label("What do you want to build?")).to_have_value(f"A {SECRET} thought")
        await end_session(page)
        await expect(page.get_by_text("Your session has ended.")).to_be_visible()
        await page.get_by_role("button", name="Sign up as a new user").click()
        await expect(page.get_by_role("button", name="Sign out")).to_be_visible()
        await expect(page.get_by_label("What do you want to build?")).to_have_value("")
        assert SECRET not in (await everything(page)).lower()


async def end_session(page: Page) -> None:
    await page.route(
        "**/api/generate-daytona",
        lambda route: route.fulfill(status=401, json={"detail": "no", "code": "not_authenticated"}),
    )
    await page.get_by_role("button", name="Generate").click()
    await page.unroute("**/api/generate-daytona")


async def test_a_new_tab_is_signed_in(site: Site, visit: Visit) -> None:
    async with visit(site) as page:
        await sign_up(page)
        other = await new_tab(page.context)
        await expect(other.get_by_role("heading", name="No projects yet")).to_be_visible()


async def test_signing_out_ends_every_tab_and_empties_it(site: Site, visit: Visit) -> None:
    async with visit(site) as page:
        await sign_up(page)
        other = await new_tab(page.context)
        await other.get_by_label("What do you want to build?").fill(f"A {SECRET} thought")
        await page.get_by_role("button", name="Sign out").click()
        await expect(other.get_by_role("heading", name="Sign in to Sonas")).to_be_visible()
        assert SECRET not in (await everything(other)).lower()
        # And the way back of the browser shows a sign-in as well.
        await other.goto("/pricing")
        await other.go_back()
        await expect(other.get_by_role("heading", name="Sign in to Sonas")).to_be_visible()


async def test_an_answer_on_its_way_to_one_person_is_not_shown_to_the_next(
    site: Site, visit: Visit, user: UUID
) -> None:
    async with visit(site) as page:
        await come_in(page, site, user)
        await generate_well(page, "First page")
        await page.get_by_role("link", name="First page").first.click()
        held: list[Route] = []
        asked = asyncio.Event()

        async def hold(route: Route) -> None:
            held.append(route)
            asked.set()

        await page.route("**/api/chat-continue", hold)
        await say(page, f"Where is the {SECRET}?")
        await asked.wait()
        await page.get_by_role("button", name="Sign out").click()
        await page.get_by_role("button", name="Sign up as a new user").click()
        await expect(page.get_by_role("heading", name="No projects yet")).to_be_visible()
        async with page.expect_response("**/api/chat-continue"):
            await held[0].continue_()
        await generate_well(page, "A page of mine")
        assert SECRET not in (await everything(page)).lower()


async def new_tab(context: BrowserContext) -> Page:
    page = await context.new_page()
    await page.goto("/")
    return page
