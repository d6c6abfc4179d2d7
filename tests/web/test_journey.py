"""The guide's checklist, as a visitor meets it: from the sign-up to the upgrade, on a desktop and on a phone."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.web.conftest import Visit
from tests.web.pages import balance, fits, generate, generate_well, say, say_well, sign_up, user_of
from tests.web.support import Site


@pytest.mark.parametrize("size", ["desktop", "phone"])
async def test_from_sign_up_to_upgrade(site: Site, visit: Visit, picture: Any, size: str) -> None:
    async with visit(site, size=size) as page:
        await page.goto("/")
        await expect(page.get_by_role("button", name="free@example.com")).to_be_visible()
        await picture(page, f"{size}-1-sign-in")
        await sign_up(page)
        await picture(page, f"{size}-2-nothing-yet")
        await new_users_get_the_free_plan(page)
        await three_projects_and_no_fourth(page)
        await picture(page, f"{size}-3-project-limit")
        await fits(page)

        await a_spend_made_elsewhere_shows_at_once(page, site)
        await chat_until_credits_are_out(page, picture, size)
        await fits(page)
        await generation_is_blocked_as_well(page)
        await picture(page, f"{size}-6-out-of-credits")

        await usage_says_what_happened(page)
        await picture(page, f"{size}-7-usage")
        await fits(page)

        await upgrade(page, picture, size)
        await fits(page)
        await a_deleted_project_frees_its_place(page)
        await picture(page, f"{size}-9-upgraded")


async def new_users_get_the_free_plan(page: Page) -> None:
    panel = page.locator("#usage-side")
    await expect(panel.get_by_role("heading", name="Free plan")).to_be_visible()
    await expect(panel.locator(".period")).to_contain_text("Renews in")
    for name, left in {"Messages": "10 left", "Integrations": "100 left", "Projects": "3 left"}.items():
        await expect(balance(page, name)).to_contain_text(left)
    await expect(balance(page, "Projects")).to_contain_text("0 of 3 in use")
    await expect(panel.locator(".warning")).to_have_count(0)


async def three_projects_and_no_fourth(page: Page) -> None:
    for prompt in ("A landing page for a token launch", "A wallet tracker with charts", "A staking dashboard"):
        await generate_well(page, prompt)
    await expect(page.locator(".projects li")).to_have_count(3)
    await expect(balance(page, "Projects")).to_contain_text("3 of 3 in use")
    await expect(page.locator("#usage-side .warning.exhausted")).to_contain_text("All your projects are used.")

    await generate(page, "One too many, which took a while to write")
    refusal = page.locator(".composer").get_by_role("alert")
    await expect(refusal).to_contain_text("no place for another project")
    await expect(refusal.get_by_role("link", name="See plans")).to_have_attribute("href", re.compile("/pricing$"))
    await expect(page.get_by_label("What do you want to build?")).to_have_value(
        "One too many, which took a while to write"
    )
    await expect(balance(page, "Messages")).to_contain_text("7 left")


async def a_spend_made_elsewhere_shows_at_once(page: Page, site: Site) -> None:
    email = (await page.evaluate("JSON.parse(localStorage.getItem('sonas-session')).email")) or ""
    site.database.call("consume_credits", user_of(site.database, email), "message", 4, "A script of yours")
    await expect(balance(page, "Messages")).to_contain_text("3 left", timeout=2_500)


async def chat_until_credits_are_out(page: Page, picture: Any, size: str) -> None:
    await page.get_by_role("link", name="Wallet tracker with charts").first.click()
    await say_well(page, "Where are the charts?")
    await expect(page.get_by_role("log")).to_contain_text("I am the built-in assistant")
    await expect(page.get_by_role("log")).to_contain_text("README.md, line 1")
    warning = page.locator("#usage-side .warning.low")
    await expect(warning).to_contain_text("80 % of your message credits are used; 2 left.", timeout=3_000)
    await expect(warning.get_by_role("link", name="Upgrade your plan")).to_be_visible()
    await picture(page, f"{size}-4-warning-at-80-percent")

    await say_well(page, "And the wallet?")
    await say_well(page, "Thanks")
    await expect(page.locator("#usage-side .warning.exhausted").first).to_contain_text(
        "All your message credits are used."
    )
    await say(page, "One more question that I have thought about")
    refusal = page.locator(".chat").get_by_role("alert")
    await expect(refusal).to_contain_text("out of message credits")
    await expect(refusal).to_contain_text("They renew in")
    await expect(refusal.get_by_role("link", name="See plans")).to_be_visible()
    await expect(page.get_by_label("Your message")).to_have_value("One more question that I have thought about")
    await picture(page, f"{size}-5-chat-refused")


async def generation_is_blocked_as_well(page: Page) -> None:
    await page.get_by_role("link", name="All projects").click()
    await generate(page, "A draft that waits for its credits")
    await expect(page.locator(".composer").get_by_role("alert")).to_contain_text("out of message credits")
    await expect(page.locator(".chip")).to_have_text("0 messages left")


async def usage_says_what_happened(page: Page) -> None:
    await page.get_by_role("tab", name="Usage").click()
    panel = page.locator("#usage-full")
    await expect(panel.get_by_role("img")).to_have_attribute("aria-label", re.compile(": 10 in all, most on"))
    await expect(panel.locator("canvas")).to_be_visible()
    await expect(panel.locator(".history")).to_contain_text("A script of yours")
    await expect(panel.locator("tr.refused")).to_have_count(3)
    await panel.get_by_role("button", name="A script of yours").click()
    await expect(panel.locator(".explained").filter(has_text="plan allowance")).to_contain_text("7 → 3")
    await panel.get_by_role("button", name="Projects").click()
    await expect(panel.locator(".total")).to_contain_text("1 refused")
    await panel.get_by_role("button", name="Messages").click()


async def upgrade(page: Page, picture: Any, size: str) -> None:
    await page.locator("#usage-full").get_by_role("link", name="Upgrade", exact=True).click()
    await expect(page.get_by_role("heading", name="Plans")).to_be_visible()
    await expect(page.locator(".plan.mine")).to_contain_text("Free")
    await picture(page, f"{size}-8-plans")
    await page.get_by_role("button", name="Upgrade to Starter").click()
    await expect(page.get_by_role("status")).to_contain_text("You are on Starter now.")
    await page.get_by_role("link", name="Back to My Projects").click()

    await expect(page.locator("#usage-side").get_by_role("heading", name="Starter plan")).to_be_visible()
    await expect(balance(page, "Messages")).to_contain_text("100 left")
    await expect(balance(page, "Projects")).to_contain_text("Unlimited")
    await expect(page.locator("#usage-side .warning")).to_have_count(0)
    # What was typed before has waited for the upgrade.
    await expect(page.get_by_label("What do you want to build?")).to_have_value("A draft that waits for its credits")
    await page.get_by_role("button", name="Generate").click()
    await expect(page.locator(".projects li")).to_have_count(4)


async def a_deleted_project_frees_its_place(page: Page) -> None:
    await page.get_by_role("button", name="Delete Staking dashboard").click()
    dialog = page.get_by_role("dialog", name="Delete “Staking dashboard”?")
    await dialog.get_by_role("button", name="Keep it").click()
    await expect(page.locator(".projects li")).to_have_count(4)
    await page.get_by_role("button", name="Delete Staking dashboard").click()
    await dialog.get_by_role("button", name="Delete").click()
    await expect(page.locator(".projects li")).to_have_count(3)
    await expect(balance(page, "Projects")).to_contain_text("3 in use")
