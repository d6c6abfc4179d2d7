"""The history as somebody reads it in a browser, page by page, and the same out of the ledger."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
from playwright.async_api import Page, expect

from tests.support.database import Database
from tests.support.timed import Timed
from tests.web.pages import come_in
from tests.web.support import Site, bearer

Line = tuple[str, str, str]
NAMES = {"message": "Messages", "integration": "Integrations", "project": "Projects"}


def random_account(database: Database, seed: int) -> UUID:
    """An account that much has happened to, a lot of it at the same instants."""
    chance = random.Random(seed)
    user = Timed(database, plan=chance.choice([None, "starter", "pro"]))
    holds: list[str] = []
    spent: list[str] = []

    def happen() -> None:
        credit_type = chance.choice(["message", "message", "integration"])
        what = chance.randrange(9)
        if what <= 2:
            answer = user.call("consume_credits", credit_type, chance.randint(1, 6), f"Work {chance.randint(1, 99)}")
            spent.extend([answer["operation_id"]] if answer["success"] else [])
        elif what == 3:
            user.call("consume_credits", credit_type, 10**7, "Far too much")
        elif what == 4:
            user.call("grant_credits", credit_type, chance.randint(1, 9), chance.choice(["promotion", "top_up"]))
        elif what == 5:
            answer = user.call("reserve_credits", credit_type, chance.randint(1, 4))
            holds.extend([answer["reservation_id"]] if answer["success"] else [])
        elif what == 6 and holds:
            user.call(chance.choice(["capture_credits", "release_credits"]), holds.pop())
        elif what == 7 and spent:
            user.call("refund_credits", spent.pop())
        elif what == 8:
            user.call("change_plan", chance.choice(["free", "starter", "builder", "pro"]))

    for _ in range(chance.randint(10, 90)):
        happen()
        if chance.random() < 0.15:
            user.wait(days=chance.choice([0, 1, 40]), seconds=1)
            holds.clear()
    return user.id


def ledger_of(database: Database, user: UUID) -> dict[Line, int]:
    """What the ledger has: each operation's amount by kind and credit type."""
    rows = database.query(
        "select operation_id::text, kind, credit_type, sum(amount)::bigint from credit_transactions "
        "where account_id = %s group by 1, 2, 3",
        user,
    )
    return {(operation, kind, credit_type): amount for operation, kind, credit_type, amount in rows}


@dataclass(frozen=True)
class Row:
    """A row of the page: of which group, and each credit type's change as it is written."""

    group: str
    changes: tuple[tuple[str, str], ...]


async def rows_of(page: Page) -> list[Row]:
    """All rows, page by page, as far as there are older ones."""
    panel = page.locator("#usage-full .history")
    rows: list[Row] = []
    while True:
        seen = await panel.evaluate(
            """(section) => [...section.querySelectorAll("tbody tr:not(.explained)")].map((row) => [
                row.querySelector("[data-key]").dataset.key,
                [...row.querySelectorAll(".type .part")].map((part, nth) => [part.textContent,
                    (row.querySelectorAll(".cost .part")[nth] ?? row.querySelector(".cost")).textContent])])"""
        )
        rows += [Row(group, tuple((name, change) for name, change in changes)) for group, changes in seen]
        older = panel.get_by_role("button", name="Show older")
        if not await older.is_visible():
            return rows
        first = panel.locator("tbody [data-key]").first
        before = str(await first.get_attribute("data-key"))
        await older.click()
        await expect(first).not_to_have_attribute("data-key", before)


async def lines_of(site: Site, user: UUID) -> list[dict[str, Any]]:
    """All lines that the app answers; each says to which row it belongs."""
    lines: list[dict[str, Any]] = []
    cursor: str | None = None
    async with httpx.AsyncClient(base_url=site.url, headers=bearer(user), timeout=30) as client:
        while True:
            query: dict[str, Any] = {"limit": 100, **({"cursor": cursor} if cursor else {})}
            page = (await client.get("/api/usage/operations", params=query)).json()
            lines += page["operations"]
            cursor = page["next_cursor"]
            if cursor is None:
                return lines


def written(amount: int) -> str:
    return f"+{amount:,}" if amount > 0 else f"\u2212{-amount:,}" if amount else "0"


async def compare(page: Page, site: Site, database: Database, user: UUID) -> int:
    """Fails where the page has another history than the ledger; how many rows it has."""
    await come_in(page, site, user, "/#usage")
    await expect(page.locator("#usage-full .history tbody [data-key]").first).to_be_visible()
    shown = await rows_of(page)
    lines = await lines_of(site, user)
    moved = [line for line in lines if not line["refused"]]
    told = {(line["operation_id"], line["kind"], line["credit_type"]): line["amount"] for line in moved}
    assert len(told) == len(moved), "a line comes twice"
    assert told == ledger_of(database, user)
    refused = database.value("select count(*) from usage where account_id = %s and status = 'denied'", user)
    assert len(lines) - len(moved) == refused
    rows: dict[str, dict[str, int | None]] = {}
    for line in lines:
        changes = rows.setdefault(line["group"], {})
        name = NAMES[line["credit_type"]]
        changes[name] = None if line["refused"] else (changes.get(name) or 0) + line["amount"]
    groups, told_groups = [row.group for row in shown], list(rows)
    at = next((nth for nth, pair in enumerate(zip(groups, told_groups, strict=False)) if len({*pair}) > 1), len(groups))
    assert groups == told_groups, f"rows are missing, doubled, or in another order, from row {at} on"
    for row in shown:
        assert dict(row.changes) == {
            name: "refused" if amount is None else written(amount) for name, amount in rows[row.group].items()
        }
    return len(shown)
