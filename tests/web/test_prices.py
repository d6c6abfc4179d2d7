"""What calls cost, for everybody to read; and for the one who called a receipt that adds up by hand."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any
from uuid import UUID

import httpx
import pytest
from playwright.async_api import Page, expect

from tests.support.database import Database
from tests.web.conftest import Visit
from tests.web.pages import come_in, fits
from tests.web.support import Site, bearer
from tests.web.test_accessibility import judge

NANO = 10**9


@pytest.fixture(scope="module")
def book(database: Database) -> Database:
    """A small price book: a model, a pattern with bounds and steps, one that has ended, one that is to come."""
    later = datetime.now(UTC) + timedelta(days=1)
    for operation, dimension, nano, more in (
        ("acme/large", "input", 250 * NANO, {"per": 1_000_000}),
        ("acme/large", "output", 2_000 * NANO, {"per": 1_000_000}),
        ("alchemy:*", "call", NANO // 8, {"minimum_nano": NANO // 4, "maximum_nano": 3 * NANO}),
        ("acme/tomorrow", "input", NANO, {"valid_from": later}),
    ):
        database.call("set_price", operation, dimension, nano, **more)
    return database


async def test_the_rate_card_is_for_everybody_and_says_what_counts_now(http: httpx.AsyncClient, book: Database) -> None:
    card = (await http.get("/api/prices")).json()
    assert {one["operation"] for one in card["operations"]} == {"acme/large", "alchemy:*"}
    assert (card["credit_type"], card["total"], card["after"]) == ("integration", 2, None)
    [large] = (await http.get("/api/prices", params={"name": "LARGE"})).json()["operations"]
    assert [(one["dimension"], one["nano_per_unit"], one["per"]) for one in large["prices"]] == [
        ("input", "250000000000", 1_000_000),
        ("output", "2000000000000", 1_000_000),
    ]
    first = (await http.get("/api/prices", params={"limit": 1})).json()
    assert (len(first["operations"]), first["after"], first["total"]) == (1, "acme/large", 2)
    rest = (await http.get("/api/prices", params={"limit": 1, "after": first["after"]})).json()
    assert ([one["operation"] for one in rest["operations"]], rest["after"]) == (["alchemy:*"], None)
    # What providers charge is nobody's to read.
    assert "cost_per_unit" not in (await http.get("/api/prices")).text
    assert (await http.get("/api/prices", params={"book": "nobodys"})).json()["operations"] == []
    for wrong in ({"name": "\x00"}, {"limit": 0}, {"book": "'; drop"}):
        assert (await http.get("/api/prices", params=wrong)).status_code == 422


def spend(database: Database, user: UUID, metadata: dict[str, Any] | None = None) -> None:
    database.call("consume_operation", user, "acme/large", {"input": 600, "output": 130}, metadata=metadata or {})


async def test_what_credits_went_into_is_by_model_and_by_project_and_ones_own(
    http: httpx.AsyncClient, book: Database, user: UUID
) -> None:
    for _ in range(3):
        spend(book, user, {"project": "Harbour"})
    book.call("consume_credits", user, "message", 2, "Chat: Lighthouse")
    found = (await http.get("/api/usage/drains", headers=bearer(user))).json()
    assert [(one["name"], one["credits"], one["cost"], one["operations"]) for one in found["models"]] == [
        ("acme/large", 2, "1.23", 3)
    ]
    assert {(one["name"], one["credits"]) for one in found["projects"]} == {("Harbour", 2), ("Lighthouse", 2)}
    other = (await http.get("/api/usage/drains", headers=bearer(book.new_user()))).json()
    assert (other["models"], other["projects"]) == ([], [])
    assert (await http.get("/api/usage/drains")).status_code == 401


def figures(text: str) -> list[Fraction]:
    return [Fraction(found.replace(",", "")) for found in re.findall(r"\d[\d,]*(?:\.\d+)?", text)]


async def test_a_receipt_adds_up_by_hand(
    site: Site, visit: Visit, axe: str, picture: Any, book: Database, user: UUID
) -> None:
    for _ in range(3):
        spend(book, user)
    async with visit(site, size="phone") as page:
        await come_in(page, site, user, "/#usage")
        panel = page.locator("#usage-full")
        # The second of the three was paid for by what was left of the first: no credit moved, and it is there.
        lines = panel.get_by_role("button", name="Acme/large")
        await expect(lines).to_have_count(3)
        left = Fraction(0)
        for nth in (2, 1, 0):
            await lines.nth(nth).click()
            opened = panel.locator(".explained:visible").filter(has=page.locator(".receipt"))
            await expect(opened).to_have_count(1)
            left = await adds_up(page, left)
            if nth:
                await lines.nth(nth).click()
                await expect(opened).to_have_count(0)
        assert left == Fraction("0.77")
        await expect(panel.locator(".drains")).to_contain_text("cost 1.23 exactly")
        await page.evaluate(axe)
        await judge(page, "receipt")
        await picture(page, "phone-receipt")
        await page.goto("/pricing?lang=de")
        card = page.locator("sonas-prices")
        await expect(card).to_contain_text("250 je 1.000.000")
        await expect(card).to_contain_text("0,125 (mindestens 0,25")
        await fits(page)
        await page.evaluate(axe)
        await judge(page, "rate card")
        await picture(page, "phone-rate-card")


async def adds_up(page: Page, before: Fraction) -> Fraction:
    """Adds the receipt up as a person would; what is left over afterwards."""
    receipt = page.locator("#usage-full .explained:visible .receipt")
    total = Fraction(0)
    for row in await receipt.locator("li:not(.sum)").all():
        quantity, price, per, cost = figures(await row.inner_text())
        assert quantity * price / per == cost
        total += cost
    assert [total] == figures(await receipt.locator(".sum").inner_text())
    said = await page.locator("#usage-full .explained:visible p").first.inner_text()
    kept, whole, cost, after = figures(said)
    assert (kept, cost) == (before, total)
    assert kept + whole - cost == after
    assert 0 <= after < 1
    return after
