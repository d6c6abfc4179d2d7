"""What a visitor does, in the words of the visitor."""

from __future__ import annotations

from uuid import UUID

from playwright.async_api import Locator, Page, expect

from tests.support.database import Database
from tests.web.support import Site, token


async def sign_up(page: Page) -> None:
    """As a new user, from the first page."""
    await page.goto("/")
    await page.get_by_role("button", name="Sign up as a new user").click()
    await expect(page.get_by_role("heading", name="No projects yet")).to_be_visible()


async def come_in(page: Page, site: Site, user: UUID, path: str = "/") -> None:
    """As a user of the test's own, with a token that the page finds in its session."""
    session = {"access_token": token(user), "user_id": str(user), "email": "somebody@example.com"}
    await page.context.add_init_script(
        f"localStorage.getItem('sonas-session') ?? localStorage.setItem('sonas-session', JSON.stringify({session}))"
    )
    await page.goto(path)
    if path == "/":
        await expect(page.locator("#usage-side .balances li").first).to_be_visible()


def balance(page: Page, name: str, panel: str = "#usage-side") -> Locator:
    """One line of the usage panel."""
    return page.locator(f"{panel} .balances li").filter(has=page.locator(".name", has_text=name))


async def generate(page: Page, prompt: str) -> None:
    await page.get_by_label("What do you want to build?").fill(prompt)
    await page.get_by_role("button", name="Generate").click()


async def generate_well(page: Page, prompt: str) -> None:
    await generate(page, prompt)
    await expect(page.get_by_label("What do you want to build?")).to_have_value("")


async def say(page: Page, message: str) -> None:
    await page.get_by_label("Your message").fill(message)
    await page.get_by_label("Your message").press("Enter")


async def say_well(page: Page, message: str) -> None:
    await say(page, message)
    await expect(page.get_by_label("Your message")).to_have_value("", timeout=15_000)


def user_of(database: Database, email: str) -> UUID:
    return UUID(str(database.value("select id from auth.users where email = %s", email)))


async def fits(page: Page) -> None:
    """Nothing sticks out to the side, once what follows the window (a chart) has followed it."""
    wide, shown = await page.evaluate(
        """() => new Promise((told) => {
          const started = performance.now();
          const look = () => {
            const { scrollWidth, clientWidth } = document.documentElement;
            if (scrollWidth > clientWidth && performance.now() - started < 5000) requestAnimationFrame(look);
            else told([scrollWidth, clientWidth]);
          };
          requestAnimationFrame(look);
        })"""
    )
    assert wide <= shown, f"{wide} px wide in a window of {shown} px"
