"""The founder's page: figures for operators; for everybody else there is nothing."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import httpx
import pytest
from playwright.async_api import Page, expect

from tests.support.database import Database
from tests.web.conftest import Visit
from tests.web.support import Site, make_app, problem, serving, token
from tests.web.test_accessibility import look

OPERATOR = {"app_metadata": {"role": "credits_admin"}}


def headers(user: UUID, **claims: Any) -> dict[str, str]:
    return {"authorization": f"Bearer {token(user, **claims)}"}


async def test_an_operator_sees_what_was_spent(http: httpx.AsyncClient, database: Database, user: UUID) -> None:
    database.call("consume_credits", user, "message", 4)
    answer = await http.get("/api/admin/metrics", headers=headers(user, **OPERATOR), params={"days": 7})
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    found = answer.json()
    rows = {(row["plan"], row["credit_type"]): row for row in found["consumption_in_all"]["rows"]}
    assert rows["free", "message"]["spent"] >= 4
    assert len(found["conversion"]["rows"]) == 7
    assert "by_key" not in found
    top = {row["value"] for row in found["top_accounts"]["rows"]}
    assert str(user) in top
    addresses = "select count(*) from auth.users where id = any (%s) and email is not null"
    assert len(found["names"]) == database.value(addresses, [UUID(one) for one in top if one])


async def test_the_days_are_whole_ones_where_the_operator_is(http: httpx.AsyncClient, user: UUID) -> None:
    for name in ("Asia/Kathmandu", "Europe/Berlin", "America/New_York"):
        answer = await http.get(
            "/api/admin/metrics", headers=headers(user, **OPERATOR), params={"days": 31, "time_zone": name}
        )
        found = answer.json()["conversion"]
        since = datetime.fromisoformat(found["since"]).astimezone(ZoneInfo(name))
        assert (since.hour, since.minute, since.second) == (0, 0, 0)
        assert len(found["rows"]) == 31


async def test_any_key_of_metadata_can_be_asked_for(http: httpx.AsyncClient, database: Database, user: UUID) -> None:
    database.call("consume_credits", user, "message", 2, metadata={"colour": "red"})
    answer = await http.get("/api/admin/metrics", headers=headers(user, **OPERATOR), params={"key": "colour"})
    assert [(row["value"], row["spent"]) for row in answer.json()["by_key"]["rows"]] == [("red", 2)]
    for wrong in ("", "x" * 201, "\0"):
        answer = await http.get("/api/admin/metrics", headers=headers(user, **OPERATOR), params={"key": wrong})
        assert answer.status_code == 422


@pytest.mark.parametrize(
    "claims",
    [
        {},
        # Users write their own user_metadata; only the project writes app_metadata.
        {"user_metadata": {"role": "credits_admin"}},
        {"app_metadata": {"role": "admin"}},
        {"app_metadata": "credits_admin"},
        {"app_metadata": None},
        {"credits_admin": True},
    ],
)
async def test_for_users_there_is_nothing(http: httpx.AsyncClient, user: UUID, claims: dict[str, Any]) -> None:
    answer = await http.get("/api/admin/metrics", headers=headers(user, **claims))
    nowhere = await http.get("/api/admin/nothing", headers=headers(user, **claims))
    assert answer.status_code == nowhere.status_code == 404
    assert answer.json() == nowhere.json()


async def test_nobody_is_asked_who_they_are(http: httpx.AsyncClient) -> None:
    problem(await http.get("/api/admin/metrics"), 401, "not_authenticated")
    assert "/admin" not in (await http.get("/api/openapi.json")).text


async def test_what_cannot_be_asked_for(http: httpx.AsyncClient, user: UUID) -> None:
    for params in ({"days": "0"}, {"days": "1000"}, {"bucket": "second"}, {"time_zone": "1"}):
        answer = await http.get("/api/admin/metrics", headers=headers(user, **OPERATOR), params=params)
        assert answer.status_code == 422
    answer = await http.get("/api/admin/metrics", headers=headers(user, **OPERATOR), params={"time_zone": "No/Where"})
    problem(answer, 422, "invalid_argument")


@pytest.mark.parametrize("size", ["desktop", "phone"])
async def test_the_page_draws_charts_for_a_pasted_token(visit: Visit, site: Site, user: UUID, size: str) -> None:
    site.database.call("consume_credits", user, "message", 3)
    async with visit(site, size=size, expects="404") as page:
        await page.goto("/admin")
        await expect(page.get_by_role("status")).to_have_text("This page is for those who run the app.")
        await page.get_by_label("An operator's token").fill(token(user))
        await page.get_by_role("button", name="Show").click()
        await expect(page.get_by_role("status")).to_have_text("There is nothing here for this token.")
        assert await page.locator("#figures section").count() == 0
        await page.get_by_label("An operator's token").fill(token(user, **OPERATOR))
        await page.get_by_role("button", name="Show").click()
        await expect(page.locator("#figures canvas").first).to_be_visible()
        await expect(page.get_by_role("heading", name="From free to paid")).to_be_visible()
        await expect(page.get_by_role("rowheader", name=str(user))).to_be_visible()
        await page.get_by_label("Days").select_option("7")
        await expect(page.get_by_role("status")).to_contain_text("accounts.")
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@asynccontextmanager
async def opened(visit: Visit, site: Site, user: UUID, address: str = "/admin", **options: Any) -> AsyncIterator[Page]:
    """The page as an operator sees it."""
    async with visit(site, **options) as page:
        session = json.dumps({"access_token": token(user, **OPERATOR), "user_id": str(user), "email": "o@example.com"})
        await page.context.add_init_script(f"localStorage.setItem('sonas-session', {json.dumps(session)})")
        await page.goto(address)
        await expect(page.locator("#figures canvas").first).to_be_visible()
        yield page


@pytest.fixture
def spender(database: Database) -> UUID:
    """Who ran dry, was refused, upgraded, and wrote what looks like a formula."""
    user = database.new_user(email=f"spender.{uuid4().hex[:8]}@example.com")
    database.call("consume_credits", user, "message", 10, metadata={"team": "=1+1"})
    database.call("consume_credits", user, "message", 1)
    database.call("change_plan", user, "starter")
    database.call("consume_credits", user, "integration", 7, metadata={"team": "a,b"})
    return user


async def test_what_is_shown_is_in_the_address(visit: Visit, site: Site, spender: UUID) -> None:
    async with opened(visit, site, spender, "/admin?days=30&bucket=week&key=team&days=nonsense") as page:
        await expect(page.get_by_label("Days")).to_have_value("30")
        await expect(page.get_by_role("combobox", name="per")).to_have_value("week")
        await expect(page.get_by_role("heading", name="By team")).to_be_visible()
        await page.get_by_label("Days").select_option("7")
        await page.get_by_role("combobox", name="per").select_option("day")
        await expect(page).to_have_url(f"{site.url}/admin?days=7&key=team")
        await page.reload()
        await expect(page.get_by_label("Days")).to_have_value("7")
        await expect(page.get_by_role("status")).to_contain_text("Europe/Berlin")
    async with opened(visit, site, spender, "/admin?days=12345&bucket=second") as page:
        await expect(page.get_by_label("Days")).to_have_value("90")
        assert "token" not in page.url


async def test_a_card_can_be_taken_along_as_csv(visit: Visit, site: Site, spender: UUID) -> None:
    async with opened(visit, site, spender, "/admin?days=7&key=team") as page:
        for title, name in (("Messages: spent by plan", "messages-spent-by-plan.csv"), ("By team", "by-team.csv")):
            async with page.expect_download() as download:
                await page.get_by_role("button", name=f"{title} as CSV").click()
            file = await download.value
            assert file.suggested_filename == name
            rows = list(csv.DictReader(io.StringIO((await file.path()).read_text(encoding="utf-8-sig"))))
            if name == "by-team.csv":
                assert {row["value"] for row in rows} >= {"'=1+1", "a,b"}
            else:
                [free] = [row for row in rows if row["plan"] == "free"]
                assert int(free["spent"]) >= 10
                today = datetime.now(ZoneInfo("Europe/Berlin")).date()
                assert date.fromisoformat(free["bucket"]) in (today, today - timedelta(days=1))


async def test_charts_say_what_they_measure(visit: Visit, site: Site, spender: UUID) -> None:
    async with opened(visit, site, spender, "/admin?bucket=week") as page:
        for name in (
            "Messages: spent by plan. Credits spent per week.",
            "From free to paid. Upgrades per week.",
            "Exhaustion. Periods that ran dry, by day of the period.",
            "By hour. Credits spent.",
        ):
            await expect(page.get_by_role("img", name=name)).to_be_visible()
        section = page.locator("section", has=page.get_by_role("heading", name="By hour"))
        await section.locator(".u-over").hover()
        await expect(section.locator(".unit")).to_contain_text(":00: ")


async def test_a_failure_says_so_and_can_be_tried_again(visit: Visit, site: Site, spender: UUID) -> None:
    async with opened(visit, site, spender, expects="Failed to load") as page:
        await page.route("**/api/admin/metrics*", lambda route: route.abort())
        await page.get_by_label("Days").select_option("7")
        await expect(page.get_by_role("status")).to_contain_text("The server cannot be reached.")
        await expect(page.locator("#figures")).to_have_attribute("aria-busy", "false")
        await page.unroute("**/api/admin/metrics*")
        await page.get_by_role("button", name="Try again").click()
        await expect(page.get_by_role("status")).to_contain_text("accounts.")
        await expect(page.get_by_role("button", name="Try again")).to_be_hidden()


async def test_where_nothing_happened_it_says_so(visit: Visit, own_database: Database) -> None:
    with serving(make_app(own_database), own_database) as site:
        async with visit(site) as page:
            await page.goto("/admin")
            await page.get_by_label("An operator's token").fill(token(uuid4(), **OPERATOR))
            await page.get_by_role("button", name="Show").click()
            await expect(page.get_by_text("Nothing in this window.").first).to_be_visible()
            await expect(page.get_by_role("status")).to_contain_text(" 0 accounts.")


@pytest.mark.parametrize(("size", "scheme"), [("desktop", "light"), ("desktop", "dark"), ("phone", "light")])
async def test_axe_finds_nothing(
    visit: Visit, site: Site, axe: str, picture: Any, spender: UUID, size: str, scheme: str
) -> None:
    async with opened(visit, site, spender, "/admin?key=team", size=size, color_scheme=scheme) as page:
        await expect(page.get_by_role("heading", name="By team")).to_be_visible()
        await expect(page.locator("main")).to_contain_text(
            re.compile(r"half of them within [\d.]+ (minute|hour|day)s?\.")
        )
        await look(page, axe, "metrics")
        await picture(page, f"{size}-{scheme}-metrics")
        if scheme == "dark":
            await page.emulate_media(media="print")
            await expect(page.get_by_role("button", name="By team as CSV")).to_be_hidden()
            await expect(page.get_by_label("Days")).to_be_hidden()
            await expect(page.locator("#figures canvas").first).to_be_visible()
            await picture(page, "print-metrics")
