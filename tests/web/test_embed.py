"""<sonas-usage> in somebody else's page: one script tag, on another origin, under that page's own strict policy."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from playwright.async_api import expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from sonas_supabase.local import free_port
from tests.support.database import Database
from tests.web.conftest import Visit
from tests.web.support import Site, make_app, serving, token


@pytest.fixture(scope="module")
def shop_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def app_site(database: Database, shop_port: int) -> Iterator[Site]:
    with serving(make_app(database, embed_origins=[f"http://127.0.0.1:{shop_port}"]), database) as running:
        yield running


@pytest.fixture(scope="module")
def shop(database: Database, app_site: Site, shop_port: int) -> Iterator[Site]:
    """Somebody's front end, which knows the app's address and its user's token."""

    async def page(request: Request) -> HTMLResponse:
        return HTMLResponse(
            f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>A shop</title>
            <script type="module" src="{app_site.url}/sonas-usage.js"></script>
            <main><h1>Your account</h1>
            <sonas-usage token="{request.query_params.get("token", "")}"></sonas-usage></main></html>""",
            headers={
                "content-security-policy": f"default-src 'none'; script-src {app_site.url}; connect-src {app_site.url}"
            },
        )

    with serving(Starlette(routes=[Route("/", page)]), database, shop_port) as running:
        yield running


async def test_one_script_tag_shows_the_panel(
    shop: Site, visit: Visit, picture: Any, database: Database, user: UUID
) -> None:
    database.call("consume_credits", user, "message", 9, "Nine of them")
    async with visit(shop, expects="favicon") as page:
        await page.goto(f"/?token={token(user)}")
        panel = page.locator("sonas-usage")
        await expect(panel.locator(".balances")).to_contain_text("1 left")
        await expect(panel.locator(".warning.low")).to_contain_text("90 %")
        await expect(panel.get_by_role("button", name="Nine of them")).to_be_visible()
        await expect(panel.locator("canvas")).to_be_visible()
        await picture(page, "embedded")

        # Light or dark as the page is, whatever the system prefers: by what it says, or by what it paints.
        ground = "getComputedStyle(document.querySelector('sonas-usage')).getPropertyValue('color-scheme')"
        for said, is_dark in (
            ("documentElement.style.colorScheme = 'dark'", True),
            ("documentElement.style.colorScheme = ''", False),
            ("body.style.background = '#111'", True),
        ):
            await page.evaluate(f"document.{said}")
            await page.wait_for_function(f"({ground} === 'dark') === {str(is_dark).lower()}")

        database.call("grant_credits", user, "message", 50)
        await expect(panel.locator(".balances")).to_contain_text("51 left", timeout=3_000)


async def test_the_way_to_upgrade_leads_to_the_app(shop: Site, app_site: Site, visit: Visit, user: UUID) -> None:
    async with visit(shop, expects="favicon") as page:
        await page.goto(f"/?token={token(user)}")
        upgrade = page.locator("sonas-usage").get_by_role("link", name="Upgrade", exact=True)
        await expect(upgrade).to_have_attribute("href", f"{app_site.url}/pricing")


async def test_without_a_token_it_says_so_and_a_token_can_come_later(shop: Site, visit: Visit, user: UUID) -> None:
    async with visit(shop, expects="favicon") as page:
        await page.goto("/")
        panel = page.locator("sonas-usage")
        await expect(panel).to_contain_text("Sign in to see your usage.")
        await panel.evaluate("(element, token) => { element.token = token; }", token(user))
        await expect(panel.locator(".balances")).to_contain_text("10 left")
        # The page has the token before the script is there that takes it.
        is_given = asyncio.Event()

        async def hold(route: Any) -> None:
            await asyncio.wait_for(is_given.wait(), 10)
            await route.continue_()

        await page.route("**/sonas-usage.js", hold)
        await page.goto("/", wait_until="commit")
        await panel.evaluate("(element, token) => { element.token = token; }", token(user))
        is_given.set()
        await expect(panel.locator(".balances")).to_contain_text("10 left")


async def test_a_token_that_is_over_is_reported_to_the_page(shop: Site, visit: Visit, user: UUID) -> None:
    async with visit(shop, expects="40") as page:
        await page.goto("/")
        panel = page.locator("sonas-usage")
        heard = panel.evaluate(
            "element => new Promise((done) => element.addEventListener('sonas-unauthorized', () => done(true)))"
        )
        waiting = asyncio.ensure_future(heard)
        await panel.evaluate("(element, token) => element.setAttribute('token', token)", token(user, lifetime=-60))
        assert await asyncio.wait_for(waiting, 5)
        await expect(panel).to_contain_text("Your session has ended.")


async def test_a_site_that_is_not_named_sees_nothing(site: Site, shop: Site, visit: Visit, user: UUID) -> None:
    async with visit(shop, expects="") as page:
        await page.goto("/")
        panel = page.locator("sonas-usage")
        await panel.evaluate(
            "(element, [src, token]) => { element.setAttribute('src', src); element.token = token; }",
            [site.url, token(user)],
        )
        await expect(panel.locator(".note")).to_contain_text("Usage cannot be shown")
        await expect(panel.locator(".balances li")).to_have_count(0)
