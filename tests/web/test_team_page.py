"""The pages of a team and of news, as each person sees them: only what that person may do is there."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from playwright.async_api import Route, expect

from sonas_supabase.billing import BillingSettings
from tests.support.database import Database
from tests.support.teams import Team, new_team
from tests.web.conftest import Visit
from tests.web.pages import come_in
from tests.web.support import Site, bearer, calling, make_app, problem, serving
from tests.web.test_accessibility import look
from tests.web.test_states import is_readable, sign_in

# Which buttons there are for whom.
MAY: dict[str, dict[str, int]] = {
    "owner": {"Invite": 1, "Remove": 3, "Leave": 1, "Take back": 1, "Delete": 2, "Make a key": 1, "Revoke": 1},
    "admin": {"Invite": 1, "Remove": 2, "Leave": 1, "Take back": 1, "Delete": 2, "Make a key": 1, "Revoke": 1},
    "member": {"Invite": 0, "Remove": 0, "Leave": 1, "Take back": 0, "Delete": 0, "Make a key": 1, "Revoke": 1},
    "viewer": {"Invite": 0, "Remove": 0, "Leave": 1, "Take back": 0, "Delete": 0, "Make a key": 0, "Revoke": 0},
}


def busy_team(database: Database) -> Team:
    """With a budget of each kind, an API key, an invitation and some use."""
    team = new_team(database)
    team.call("set_credit_budget", team.owner, credit_type="message", limit=20, window="day", scope="member")
    team.call("set_credit_budget", team.owner, credit_type="message", limit=20, window="rolling", hours=5)
    team.call("create_api_key", team.member, name="nightly")
    team.call("invite_to_workspace", team.owner, email="somebody.with.a.long.address@subdomain.example.com")
    team.spend(team.member, 5)
    return team


async def test_each_role_sees_what_it_may_do(
    site: Site, visit: Visit, axe: str, picture: Any, database: Database
) -> None:
    team = busy_team(database)
    async with visit(site) as page:
        for role, buttons in MAY.items():
            await sign_in(page, site, getattr(team, role), "/pricing")
            await page.goto("/team")
            await expect(page.get_by_role("heading", name="API keys")).to_be_visible()
            for name, count in buttons.items():
                await expect(page.locator("#team").get_by_role("button", name=name, exact=True)).to_have_count(count)
            panel = page.locator("#usage")
            await expect(panel.locator(".balances")).to_contain_text("95 left")
            # What the member has spent is the member's, the owner's and the admin's to see.
            spent = panel.locator(".history").get_by_role("button", name="Credits used")
            await expect(spent).to_have_count(0 if role == "viewer" else 1)
            if role == "owner":
                await look(page, axe, "team")
                await picture(page, "team-owner")
        await page.set_viewport_size({"width": 320, "height": 640})
        await sign_in(page, site, team.owner, "/pricing")
        await page.goto("/team?lang=de")
        await expect(page.get_by_role("heading", name="Mitglieder")).to_be_visible()
        # A word stands in one piece: no line is narrower than its button.
        narrow = await page.evaluate(
            "[...document.querySelectorAll('#team button')].filter((one) => one.offsetHeight > 60).length"
        )
        assert narrow == 0
        await picture(page, "narrow-team")


async def test_who_may_buy_for_a_workspace_gets_there_and_a_member_is_told_who_can(
    site: Site, visit: Visit, database: Database
) -> None:
    team = new_team(database, credits=10)
    team.spend(team.member, 9)
    owner, admin = (
        database.value("select email from auth.users where id = %s", one) for one in (team.owner, team.admin)
    )
    async with visit(site, expects="403") as page:
        for role, path in (("member", "/#usage"), ("viewer", "/pricing"), ("admin", "/#usage"), ("admin", "/team")):
            await sign_in(page, site, getattr(team, role), "/pricing")
            await page.goto("about:blank")
            await page.goto(path)
            if path == "/team":
                await page.locator("#team").get_by_role("link", name="Plans and credits of this workspace").click()
            else:
                await page.get_by_label("Account").select_option("Team")
            if path == "/#usage":
                warning = page.locator("#usage-full .warning.low")
                await expect(warning).to_contain_text("90 % of your message credits")
                upgrade = page.locator("#usage-full").get_by_role("link", name="Upgrade", exact=True)
                if role == "member":
                    await expect(warning).to_contain_text(f"Owners and admins can get more: {owner} and {admin}.")
                    await expect(upgrade).to_have_count(0)
                    await expect(warning.get_by_role("link")).to_have_count(0)
                    continue
                await expect(warning.get_by_role("link", name="Upgrade your plan")).to_be_visible()
                await upgrade.click()
            await expect(page).to_have_url(f"{site.url}/pricing?workspace={team.workspace}")
            await expect(page.get_by_label("Account")).to_have_value(str(team.workspace))
            await expect(page.locator(".plan.mine")).to_contain_text("The workspace's plan")
            buttons = page.locator("#plans").get_by_role("button")
            if role == "viewer":
                await expect(page.locator("#how")).to_contain_text(f"{owner} and {admin}")
                await expect(buttons).to_have_count(0)
            elif path == "/team":
                await page.get_by_role("button", name="Upgrade to Builder").click()
                await expect(page.locator("#said")).to_contain_text("The workspace is on Builder now.")
            else:
                await page.get_by_role("button", name="Upgrade to Starter").click()
                await expect(page.locator("#said")).to_contain_text("The workspace is on Starter now.")
    assert team.call("get_credit_summary", team.admin)["plan"] == "builder"
    assert database.call("get_credit_summary", team.admin)["plan"] == "free"
    async with calling(make_app(database)) as http:
        body = {"plan": "pro", "workspace_id": str(team.workspace)}
        for actor, status, code in ((team.member, 403, "forbidden"), (team.outsider, 404, "account_not_found")):
            problem(await http.post("/api/demo/change-plan", json=body, headers=bearer(actor)), status, code)


async def test_credits_are_bought_for_the_account_that_is_chosen(visit: Visit, database: Database) -> None:
    """On the largest plan the next step is to buy credits, in the panel, beside a refusal and on the page of plans."""
    team = new_team(database)
    team.call("change_plan", team.owner, plan_id="elite")
    database.call("change_plan", team.owner, "elite")
    database.call("consume_credits", team.owner, "message", 1200)
    settings = BillingSettings(secret_key="sk_test_x", webhook_secrets=("whsec_x",))
    with serving(make_app(database, billing=settings), database) as site:
        async with visit(site, expects="Failed to load") as page:
            wanted: list[Any] = []

            async def hear(route: Route) -> None:
                wanted.append((route.request.url.rpartition("/")[2], route.request.post_data_json))
                await route.fulfill(status=500, body="{}")

            await page.route("**/api/billing/checkout", hear)
            await page.route("**/api/billing/portal", hear)
            await come_in(page, site, team.owner)
            await expect(page.locator("#usage-side .warning").get_by_role("link", name="Buy credits")).to_be_visible()
            await page.get_by_label("What do you want to build?").fill("A thought")
            await page.get_by_role("button", name="Generate").click()
            await page.get_by_role("alert").get_by_role("link", name="Buy credits").click()
            await expect(page).to_have_url(f"{site.url}/pricing#packs")
            await page.get_by_label("Account").select_option("Team")
            await expect(page.locator(".plan.mine")).to_contain_text("The workspace's plan")
            for name in ("Buy 100 messages", "Manage subscription and payments"):
                await page.get_by_role("button", name=name).click()
                await expect(page.get_by_role("alert")).to_be_visible()
            account = {"workspace_id": str(team.workspace)}
            assert wanted == [("checkout", {"pack_id": "message_100", **account}), ("portal", account)]


async def test_a_link_of_an_invitation_leads_into_the_team(site: Site, visit: Visit, database: Database) -> None:
    team = new_team(database)
    guest = database.new_user(email="guest.of.the.page@example.com")
    async with visit(site) as page:
        await come_in(page, site, team.owner, "/team")
        await page.get_by_label("E-mail").fill("guest.of.the.page@example.com")
        await page.get_by_role("button", name="Invite").click()
        link = await page.locator(".secret").inner_text()
        await sign_in(page, site, guest, "/pricing")
        await page.goto(link)
        await page.get_by_role("button", name="Join the workspace").click()
        await expect(page.locator("#team")).to_contain_text("guest.of.the.page@example.com (you)")
        await expect(page.get_by_role("button", name="Join the workspace")).to_have_count(0)
    assert team.roles()[guest] == "member"


async def test_news_are_read_set_and_private(
    site: Site, visit: Visit, axe: str, picture: Any, database: Database, user: UUID
) -> None:
    database.call("consume_credits", user, "message", 8)
    async with visit(site, size="narrow") as page:
        await come_in(page, site, user)
        await expect(page.locator(".bell .count")).to_have_text(re.compile(r"^\s*1 unread$"))
        await page.get_by_role("button", name="News 1 unread").click()
        panel = page.locator(".bell-panel")
        await expect(panel).to_contain_text("80 % are used, 2 left")
        await look(page, axe, "news")
        await picture(page, "narrow-news")
        await panel.get_by_role("link", name="When and how you are told").click()
        await expect(page.get_by_role("heading", name="Messages")).to_be_visible()
        await look(page, axe, "settings of news")
        await picture(page, "narrow-settings")
        form = page.locator("form", has=page.get_by_role("heading", name="Messages"))
        await form.get_by_label("Tell me at (percent used)").fill("90")
        await form.get_by_role("button", name="Save").click()
        await expect(page.get_by_text("Saved.")).to_be_visible()
        # What one person was told is gone when the next one comes.
        await page.goto("/")
        await page.locator(".bell").click()
        await expect(panel).to_contain_text("80 % are used")
        await page.keyboard.press("Escape")
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_role("heading", name="Sign in to Sonas")).to_be_visible()
        assert await panel.text_content() == ""
        await page.goto("/messages/unsubscribe?token=nonsense")
        await is_readable(page, "unsubscribe")
        await look(page, axe, "unsubscribe")
        await picture(page, "narrow-unsubscribe")
    alerts = database.call("get_credit_alerts", user)["alerts"]
    assert next(one for one in alerts if one["credit_type"] == "message")["percents"] == [90]


async def test_the_dashboard_shows_the_account_that_is_chosen(site: Site, visit: Visit, database: Database) -> None:
    team = busy_team(database)
    async with visit(site) as page:
        await come_in(page, site, team.admin, "/#usage")
        panel = page.locator("#usage-full")
        await expect(panel.locator(".balances")).to_contain_text("10 left")
        await page.get_by_label("Account").select_option("Team")
        await expect(panel.locator(".balances")).to_contain_text("95 left")
        await panel.locator(".history").get_by_role("button", name="Credits used").click()
        await expect(panel.locator(".explained:visible")).to_contain_text("100 → 95")
        await page.get_by_label("Account").select_option("My own account")
        await expect(panel.locator(".balances")).to_contain_text("10 left")
        await expect(panel.locator(".history")).not_to_contain_text("Credits used")
    async with calling(make_app(database)) as http:
        at = {"workspace": str(team.workspace)}
        for path in ("", "/operations", "/drains", "/history.csv", f"/operations/{team.workspace}"):
            answer = await http.get(f"/api/usage{path}", params=at, headers=bearer(team.outsider))
            problem(answer, 404, "account_not_found")
        mine = (await http.get("/api/usage/operations", params=at, headers=bearer(team.viewer))).json()
        assert mine["operations"] == []
        series = (await http.get("/api/usage", params=at, headers=bearer(team.viewer))).json()["series"]
        assert sum(series["credits"]["message"]) == 0
