"""From a denial to the pricing page, through the checkout and back, in a browser."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from sonas_supabase import local
from tests.billing.support import Selling, selling
from tests.support.database import Database
from tests.web import conftest as web

browser = web.browser


@pytest.fixture(scope="module")
def stall(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Selling]:
    """The reference app with its demo users, selling through a simulated Stripe."""
    local.seed(database.url)
    with selling(database, tmp_path_factory.mktemp("stall")) as running:
        yield running


@pytest_asyncio.fixture
async def page(stall: Selling, browser: Browser) -> AsyncIterator[Page]:
    """A visitor who has just signed up."""
    context = await browser.new_context(base_url=stall.url, locale="en-GB", viewport=web.SIZES["desktop"])
    opened = await context.new_page()
    opened.set_default_timeout(15_000)
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    await opened.goto("/")
    await opened.get_by_role("button", name="Sign up as a new user").click()
    await expect(opened.get_by_text("No projects yet")).to_be_visible()
    yield opened
    await context.close()
    assert not errors


async def picture(page: Page, name: str) -> None:
    web.OUTPUT.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=Path(web.OUTPUT) / f"billing-{name}.png", full_page=True, animations="disabled")


async def test_from_a_denial_to_a_paid_plan_and_back(page: Page, stall: Selling) -> None:
    email = await page.evaluate("JSON.parse(localStorage.getItem('sonas-session')).email")
    user = stall.database.value("select id from auth.users where email = %s", email)
    stall.database.call("consume_credits", user, "message", 10)
    await page.get_by_label("What do you want to build?").fill("A page")
    await page.get_by_role("button", name="Generate").click()
    await page.get_by_role("alert").get_by_role("link", name="See plans").click()

    await expect(page.get_by_role("button", name="Upgrade to Starter")).to_be_visible()
    await expect(page.get_by_role("heading", name="100 messages")).to_be_visible()
    month = await page.locator(".price strong").nth(1).text_content()
    await page.get_by_label("Yearly").check()
    await expect(page.locator(".price").nth(1)).to_contain_text("/ year")
    assert await page.locator(".price strong").nth(1).text_content() != month
    await page.get_by_label("Monthly").check()
    await picture(page, "1-pricing")

    await page.get_by_role("button", name="Upgrade to Starter").click()
    await expect(page.get_by_role("note")).to_contain_text("No card is charged")
    await picture(page, "2-checkout")
    await page.get_by_role("button", name="declined").click()
    await expect(page.get_by_role("alert")).to_contain_text("declined")
    await page.get_by_role("button", name=re.compile("card that works")).click()
    await expect(page.get_by_role("status")).to_contain_text("your plan is active")
    await picture(page, "3-paid")
    await page.get_by_role("link", name="Back to My Projects").click()
    await expect(page.get_by_role("heading", name="Starter plan").first).to_be_visible()
    await expect(page.locator(".chip")).to_have_text("100 messages left")

    await page.goto("/pricing")
    await page.get_by_role("button", name="Manage subscription").click()
    await page.get_by_role("button", name="Cancel at the period's end").click()
    await expect(page.get_by_text(re.compile("ends on"))).to_be_visible()
    await page.get_by_role("button", name="Do not cancel").click()
    await picture(page, "4-portal")
    await page.get_by_role("link", name="Back to the shop").click()
    await expect(page.locator(".chip")).to_have_text("100 messages left")


async def test_a_pack_by_debit_waits_for_its_money(page: Page, stall: Selling) -> None:
    await page.goto("/pricing")
    await page.get_by_role("button", name="Buy 100 messages").click()
    await expect(page.get_by_role("note")).to_be_visible()
    checkout = page.url
    await page.get_by_role("button", name="debit").click()
    await expect(page.get_by_role("status")).to_contain_text("Your bank is still working")
    till = await page.context.new_page()
    await till.goto(checkout)
    await till.get_by_role("button", name="The money arrives").click()
    await expect(page.get_by_role("status")).to_contain_text("100 message credits were added", timeout=15_000)
    await page.goto("/")
    await expect(page.locator(".chip")).to_have_text("110 messages left")


async def test_who_subscribes_already_is_led_to_the_portal(page: Page, stall: Selling) -> None:
    await page.goto("/pricing")
    await page.get_by_role("button", name="Upgrade to Starter").click()
    await page.get_by_role("button", name=re.compile("card that works")).click()
    await expect(page.get_by_role("status")).to_contain_text("your plan is active")
    await page.goto("/pricing")
    await page.get_by_role("button", name="Upgrade to Pro").click()
    await expect(page.get_by_role("heading", name="Your subscription and payments")).to_be_visible()
    await page.get_by_role("button", name=re.compile("Change to Pro.*month")).click()
    await page.get_by_role("link", name="Back to the shop").click()
    await expect(page.get_by_role("heading", name="Pro plan").first).to_be_visible()


async def test_an_order_of_another_is_not_shown(page: Page, stall: Selling, database: Database) -> None:
    _, order = stall.checkout(database.new_user(), pack_id="message_100")
    await page.goto(f"/payment?order={order}")
    await expect(page.get_by_text("There is no such payment of yours")).to_be_visible()


async def test_the_way_back_alone_pays_nothing(page: Page, stall: Selling) -> None:
    await page.goto("/pricing")
    await page.get_by_role("button", name="Buy 100 messages").click()
    await expect(page.get_by_role("note")).to_be_visible()
    order = stall.database.value("select id from credits.billing_orders order by created_at desc limit 1")
    await page.goto(f"{stall.url}/payment?order={order}")
    await expect(page.get_by_text("Waiting for your payment to arrive")).to_be_visible()
    assert stall.database.value("select state from credits.billing_orders where id = %s", order) == "open"
