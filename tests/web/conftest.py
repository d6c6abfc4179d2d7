"""Fixtures: the app on a seeded database, and a browser to look at it with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright, expect

from sonas_supabase import local
from tests.support.database import Database
from tests.support.parts import require
from tests.web.support import Site, calling, make_app, serving

OUTPUT = Path(__file__).resolve().parents[2] / "test-output" / "web"
# Without these, Chromium looks up hosts of its maker at every start.
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SIZES: dict[str, Any] = {
    "desktop": {"width": 1280, "height": 900},
    "phone": {"width": 360, "height": 740},
    "narrow": {"width": 320, "height": 640},
}


@pytest.fixture(scope="module")
def database(database: Database) -> Database:
    """With the projects table and the demo users."""
    local.seed(database.url)
    return database


@pytest_asyncio.fixture(scope="module")
async def http(database: Database) -> AsyncIterator[httpx.AsyncClient]:
    async with calling(make_app(database)) as client:
        yield client


@pytest.fixture(scope="module")
def site(database: Database) -> Iterator[Site]:
    with serving(make_app(database), database) as running:
        yield running


@pytest_asyncio.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    binary = str(require("chromium"))
    # A busy machine may take its time; where speed is what matters, a test says so.
    expect.set_options(timeout=15_000)
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=binary, args=QUIET)
        yield started
        await started.close()


@pytest.fixture(scope="session")
def axe() -> str:
    return require("axe").read_text()


Visit = Callable[..., AbstractAsyncContextManager[Page]]


@pytest.fixture
def visit(browser: Browser) -> Visit:
    """Opens pages as a viewer in Berlin; fails when a page reports an error that the test did not ask for."""

    @asynccontextmanager
    async def open_page(
        site: Site, *, size: str = "desktop", expects: str = "402", **options: Any
    ) -> AsyncIterator[Page]:
        context: BrowserContext = await browser.new_context(
            base_url=site.url, viewport=SIZES[size], locale="en-GB", timezone_id="Europe/Berlin", **options
        )
        page = await context.new_page()
        page.set_default_timeout(15_000)
        errors: list[str] = []

        def hear(message: ConsoleMessage) -> None:
            if message.type == "error" and expects not in message.text:
                errors.append(message.text)

        page.on("console", hear)
        page.on("pageerror", lambda error: errors.append(str(error)))
        try:
            yield page
            assert not errors, errors
        finally:
            await context.close()

    return open_page


@pytest.fixture
def picture(request: pytest.FixtureRequest) -> Callable[[Page, str], Any]:
    """Keeps a screenshot of the whole page in test-output/web/."""

    async def take(page: Page, name: str) -> None:
        OUTPUT.mkdir(parents=True, exist_ok=True)
        await page.evaluate("scrollTo(0, 0)")
        await page.screenshot(path=OUTPUT / f"{name}.png", full_page=True, animations="disabled")

    return take
