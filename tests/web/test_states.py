"""Each state of a plan says what it means and has one next step: in the panel, and on /pricing in German on a phone."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from playwright.async_api import Page, expect

from sonas_supabase.billing import BillingSettings
from tests.support.database import Database
from tests.support.timed import Timed
from tests.web.conftest import Visit
from tests.web.pages import come_in, fits
from tests.web.support import Site, make_app, serving, token


def _status(plan: str, status: str, **more: Any) -> Callable[[Timed], None]:
    def bring(user: Timed) -> None:
        user.call("change_plan", plan)
        user.call("set_subscription_status", status, **more)

    return bring


def _unpaid(user: Timed) -> None:
    _status("starter", "past_due")(user)
    user.wait(days=4)


def _trial(user: Timed) -> None:
    user.call("change_plan", "builder")
    user.call("set_subscription_status", "trialing", ends_at=user.now + timedelta(days=365))


def _pending(user: Timed) -> None:
    user.call("change_plan", "pro")
    user.call("change_plan", "free", "period_end")


def _frozen(user: Timed) -> None:
    user.call("change_plan", "starter")
    user.call("freeze_account")


def _top(user: Timed) -> None:
    user.call("change_plan", "elite")
    user.call("consume_credits", "message", 984)


# State, how an account gets there, what the panel says with its next step, and what /pricing offers for it.
STATES: dict[str, tuple[Callable[[Timed], None], str, str | None]] = {
    "past due": (_status("starter", "past_due"), r"did not go through.* See to the payment", "Zahlung regeln"),
    "unpaid": (_unpaid, r"See to the payment", "Zahlung regeln"),
    "paused": (_status("starter", "paused"), r"is paused.* Go on with a plan", "Mit einem Tarif weitermachen"),
    "canceled": (_status("starter", "canceled"), r"is canceled and does not renew.* Choose a plan", None),
    "trial": (_trial, r"Your trial ends in .* Choose a plan", None),
    "pending": (_pending, r"changes to Free on .* Keep Pro", "Pro behalten"),
    "frozen": (_frozen, r"is frozen: nothing can be spent.* Ask those who run this app", None),
    "top": (_top, r"82 % of your message credits.* See what used them", None),
}
UNREADABLE = re.compile(r"\b\w+_\w+\b|[0-9a-f]{8}-[0-9a-f]{4}|undefined|null|NaN|\{|\[object")


ENGLISH = re.compile(r"\b(your|the|until|days|payment|upgrade|plan)\b", re.IGNORECASE)


async def warnings_of(page: Page) -> list[str]:
    return [re.sub(r"\s+", " ", text) for text in await page.locator("#usage-side .warning").all_inner_texts()]


async def is_readable(page: Page, where: str) -> None:
    said = await page.evaluate("document.querySelector('#usage-side')?.shadowRoot.textContent ?? ''")
    text = f"{await page.locator('main').inner_text()} {said}"
    assert not UNREADABLE.search(text), f"{where}: {UNREADABLE.search(text)}"


@pytest.fixture(scope="module")
def selling(database: Database) -> Any:
    settings = BillingSettings(secret_key="sk_test_x", webhook_secrets=("whsec_x",))
    with serving(make_app(database, billing=settings), database) as running:
        yield running


async def test_each_state_says_its_next_step(site: Site, selling: Site, visit: Visit, database: Database) -> None:
    async with visit(site) as page, visit(selling, size="phone") as shop:
        for name, (bring, said, offered) in STATES.items():
            user = Timed(database)
            bring(user)
            await sign_in(page, site, user.id)
            texts = await warnings_of(page)
            assert any(re.search(said, text) for text in texts), f"{name}: {texts}"
            # One state, one sentence: nothing else on the panel asks for another step.
            upgrades = page.locator("#usage-side .upgrade")
            await expect(upgrades).to_have_count(1 if name in ("trial", "pending") else 0)
            assert len(texts) == 1, f"{name}: {texts}"
            await is_readable(page, name)

            await sign_in(shop, selling, user.id, "/pricing?lang=de")
            await expect(shop.locator(".plan.mine")).to_contain_text("Dein Tarif")
            await expect(shop.locator("#states .warning")).to_have_count(0 if name == "top" else 1)
            assert not ENGLISH.search(await shop.locator("#states").inner_text()), name
            if offered:
                await expect(shop.locator("#states").get_by_role("button", name=offered)).to_be_visible()
            await is_readable(shop, f"{name} on /pricing")
            await fits(shop)


async def test_a_workspace_without_credits_has_used_up_nothing(site: Site, visit: Visit, database: Database) -> None:
    owner = database.new_user()
    before = database.value("select workspace_credits from credits.settings")
    database.run("update credits.settings set workspace_credits = 'none'")
    try:
        bare = database.call("create_workspace", owner, name="Bare")["workspace_id"]
        async with visit(site) as page:
            for language, said, none in (
                ("en", "A workspace has no free credits of its own. Choose a plan", "None so far"),
                ("de", "Ein Arbeitsbereich hat kein eigenes freies Guthaben. Tarif wählen", "Noch keine"),
            ):
                await sign_in(page, site, owner, f"/?lang={language}")
                await page.evaluate("location.hash = '#usage'")
                await page.get_by_label(re.compile("Account|Konto")).select_option("Bare")
                panel = page.locator("#usage-full")
                await expect(panel.locator(".warning")).to_have_count(1)
                await expect(panel.locator(".warning")).to_contain_text(said)
                for kind in ("message", "integration"):
                    row = panel.locator(f".balance[data-type={kind}]")
                    await expect(row.locator(".fine-print")).to_have_text(none)
                    await expect(row).to_have_class("balance fine")
                # Nothing comes by waiting, so nothing says when.
                await expect(panel.locator(".period")).not_to_contain_text("enews")
                await expect(panel.locator(".period")).not_to_contain_text("erlängert")
                await is_readable(page, language)
            # What it is given is spent like any other, and no allowance comes after it.
            database.call("grant_credits", owner, "message", 5, workspace_id=bare)
            database.call("consume_credits", owner, "message", 5, workspace_id=bare)
            await page.reload()
            await page.get_by_label(re.compile("Account|Konto")).select_option("Bare")
            warning = panel.locator(".warning.exhausted")
            await expect(warning).to_contain_text("sind aufgebraucht. In einen größeren Tarif wechseln")
            row = panel.locator(".balance[data-type=message]")
            await expect(row.locator(".fine-print")).to_have_text("5 von 5 verbraucht100 %")
    finally:
        database.run("update credits.settings set workspace_credits = %s", before)


async def sign_in(page: Page, site: Site, user: UUID, path: str = "/") -> None:
    """As another user, in the same tab."""
    session = {"access_token": token(user), "user_id": str(user), "email": "somebody@example.com"}
    if not page.url.startswith(site.url):
        await page.goto("/pricing")
    await page.evaluate("(session) => localStorage.setItem('sonas-session', JSON.stringify(session))", session)
    await page.goto(path)
    if not path.startswith("/pricing"):
        await expect(page.locator("#usage-side .balances li").first).to_be_visible()


async def test_a_pending_change_is_taken_back_on_the_page_of_plans(
    site: Site, visit: Visit, database: Database
) -> None:
    user = Timed(database)
    _pending(user)
    async with visit(site) as page:
        await come_in(page, site, user.id, "/pricing")
        free = page.locator(".plan", has=page.get_by_role("heading", name="Free", exact=True))
        await expect(free).to_contain_text("Yours from ")
        await expect(page.locator(".plan.mine")).to_contain_text("Your plan until ")
        await page.get_by_role("button", name="Keep Pro").click()
        await expect(page.locator("#states .warning")).to_have_count(0)
        await expect(page.locator(".plan.mine")).to_contain_text("Your plan")
        await expect(free.get_by_role("button", name="Switch to Free")).to_be_visible()
        await fits(page)
    assert database.call("get_credit_summary", user.id)["pending_plan"] is None
