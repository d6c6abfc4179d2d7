"""The founder's page: figures for operators; for everybody else there is nothing."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx
import pytest
from playwright.async_api import expect

from tests.support.database import Database
from tests.web.conftest import Visit
from tests.web.support import Site, problem, token

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
    assert len(found["conversion"]["rows"]) in (7, 8)
    assert str(user) in {row["value"] for row in found["top_accounts"]["rows"]}


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
    assert "admin" not in (await http.get("/api/openapi.json")).text


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
        await expect(page.locator("#figures td", has_text=str(user))).to_be_visible()
        await page.get_by_label("Days").select_option("7")
        await expect(page.get_by_role("status")).to_contain_text("accounts.")
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
