"""What is delivered: small, from here alone, and closed to scripts of others."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from playwright.async_api import Page, expect
from starlette.applications import Starlette
from starlette.routing import Mount

from sonas_supabase.web import _pages
from tests.support.database import Database
from tests.web.conftest import Visit
from tests.web.pages import come_in
from tests.web.support import Site, make_app, serving

VENDOR = Path(__file__).resolve().parents[2] / "scripts" / "vendor_web.py"
PAGES = ["index.html", "pricing.html", "team.html", "admin.html"]


@pytest.mark.parametrize("name", PAGES)
def test_no_script_or_style_stands_in_a_page(name: str) -> None:
    text = (_pages.STATIC / name).read_text()
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", text)
    assert re.findall(r"<script(?![^>]*\ssrc=)", text) == []


def test_nothing_comes_from_elsewhere() -> None:
    for file in _pages.STATIC.rglob("*"):
        if file.suffix in (".html", ".css", ".js") and file.parent.name != "vendor":
            found = re.findall(
                r"""(?:src|href|from|import|url)\s*[=(]?\s*["']?(?:https?:)?//[^\s"')]+""", file.read_text()
            )
            # The comment that shows how to embed the panel, and the name of SVG.
            assert [link for link in found if "your-app" not in link and "w3.org" not in link] == [], file.name


def test_the_library_comes_with_its_licence() -> None:
    assert "MIT" in (_pages.STATIC / "vendor" / "uplot.LICENSE").read_text()


async def test_the_dashboard_loads_less_than_200_kb(site: Site, visit: Visit, user: UUID) -> None:
    async with visit(site) as page:
        sizes: dict[str, int] = {}

        async def weigh(url: str) -> None:
            sizes[url] = len((await client.get(url)).content)

        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await come_in(page, site, user, "/#usage")
        await expect(page.locator("#usage-full canvas")).to_be_visible()
        async with httpx.AsyncClient() as client:
            for url in {url.split("#")[0] for url in asked if "/api/" not in url}:
                await weigh(url)

    assert all(url.startswith(site.url) for url in asked)
    assert any("usage-chart." in url for url in sizes)
    assert 50_000 < sum(sizes.values()) < 200_000, sizes


@pytest.mark.parametrize("path", ["/", "/pricing", "/api/plans", "/static/app.js", "/nowhere"])
async def test_every_answer_is_closed_to_scripts_and_frames_of_others(http: httpx.AsyncClient, path: str) -> None:
    headers = (await http.get(path)).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert headers["x-content-type-options"] == "nosniff"


async def test_it_can_be_mounted_below_a_path(database: Database, visit: Visit, user: UUID) -> None:
    app = make_app(database)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with app.router.lifespan_context(app):
            yield

    with serving(Starlette(routes=[Mount("/credits", app)], lifespan=lifespan), database) as site:
        async with visit(site) as page:
            await page.goto("/credits/")
            await page.get_by_role("button", name="Sign up as a new user").click()
            await expect(page.locator("#usage-side .balances")).to_contain_text("10 left")
            await page.get_by_role("link", name="Plans").click()
            await expect(page).to_have_url(f"{site.url}/credits/pricing")
            await expect(page.get_by_role("button", name="Upgrade to Starter")).to_be_visible()


async def test_nothing_private_is_kept_by_caches(http: httpx.AsyncClient) -> None:
    assert (await http.get("/api/plans")).headers["cache-control"] == "no-store"


async def runs_nothing(page: Page) -> None:
    assert await page.evaluate("window.hacked ?? null") is None
    assert await page.locator("img[src=x]").count() == 0


async def test_what_users_wrote_stays_text(site: Site, visit: Visit, database: Database, user: UUID) -> None:
    evil = "<img src=x onerror='window.hacked = 1'>"
    insert = (
        "insert into public.projects (owner_id, name, files) values (%s, %s, jsonb_build_object(%s::text, %s::text))"
    )
    database.run(insert, user, evil, evil, evil)
    database.call("consume_credits", user, "message", 1, evil)
    async with visit(site) as page:
        await come_in(page, site, user)
        await expect(page.get_by_role("link", name=evil)).to_be_visible()
        await runs_nothing(page)
        await page.get_by_role("link", name=evil).click()
        await expect(page.get_by_role("heading", name=evil)).to_be_visible()
        await expect(page.locator("pre")).to_have_text(evil)
        await page.get_by_role("tab", name="Usage").click()
        await expect(page.locator("#usage-full").get_by_role("button", name=evil)).to_be_visible()
        await runs_nothing(page)


async def test_a_hidden_tab_asks_for_nothing(site: Site, visit: Visit, user: UUID) -> None:
    async with visit(site) as page:
        await page.clock.install()
        await come_in(page, site, user)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        # What is open tells by itself: ten seconds of looking cost no request.
        await page.clock.run_for(10_000)
        assert asked == []
        async with page.expect_event("requestfailed", lambda request: "/api/usage/events" in request.url):
            await hide(page, True)
        await page.clock.run_for(600_000)
        assert asked == []
        async with page.expect_request("**/api/usage/events?*"):
            await hide(page, False)


async def hide(page: Page, hidden: bool) -> None:
    """As when another tab is looked at."""
    await page.evaluate(
        """(hidden) => {
            Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )


async def test_a_month_of_use_as_a_chart_and_as_a_table(
    site: Site, visit: Visit, picture: Any, database: Database, user: UUID
) -> None:
    spent = a_month_of_use(database, user)
    async with visit(site) as page:
        # The account lives in its own time, and so does its chart.
        await come_in(page, site, user, "/#usage")
        panel = page.locator("#usage-full")
        await expect(panel.locator(".total")).to_have_text(re.compile(rf"^{sum(spent)} used since .*1 refused$"))
        await panel.get_by_text("As a table").click()
        cells = await panel.locator(".days tbody td:nth-child(2)").all_text_contents()
        assert [int(cell) for cell in reversed(cells)][-len(spent) :] == spent
        await panel.locator(".canvas").hover()
        await expect(panel.locator(".tip")).to_contain_text("used")
        await picture(page, "desktop-month-of-use")
        await expect(panel.get_by_role("button", name="Show older")).to_be_visible()
        before = await panel.locator(".history .open").count()
        await panel.get_by_role("button", name="Show older").click()
        await expect(panel.locator(".history .open")).not_to_have_count(before)
        await panel.get_by_role("button", name="Integrations").click()
        await expect(panel.locator(".total")).to_contain_text("0 used")


def a_month_of_use(database: Database, user: UUID) -> list[int]:
    """What was spent on each day of a period, which may be as short as a February."""
    database.call("change_plan", user, "pro")
    now = database.call("mark_test_account", user)["now"]
    midday = datetime.fromisoformat(now).replace(hour=12) + timedelta(days=1)
    spent = []
    for day in range(27):
        database.call("set_test_clock", user, now=midday + timedelta(days=day))
        amount = 0 if day % 7 in (5, 6) else 3 + (day * 7) % 11
        if amount:
            database.call("consume_credits", user, "message", amount, f"Work of day {day + 1}")
        spent.append(amount)
    database.call("consume_credits", user, "message", 5_000, "Far too much")
    return spent


@pytest.mark.needs("npm")
def test_the_chart_library_is_what_the_registry_has() -> None:
    done = subprocess.run([sys.executable, VENDOR, "--check"], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
