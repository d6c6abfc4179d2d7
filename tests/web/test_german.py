"""The pages in German: no text, no label and no title is left in English, and a small dark window holds them."""

from __future__ import annotations

import re

from playwright.async_api import Page, expect

from tests.support.database import Database
from tests.web.conftest import Visit
from tests.web.pages import fits
from tests.web.support import Site, token
from tests.web.test_admin import OPERATOR
from tests.web.test_states import sign_in
from tests.web.test_team_page import busy_team
from tests.web.test_words import TOPICS, words_of

# What users, sellers and operators have named: it stays as they wrote it.
NAMED = "bdi, option, .plan h2, .plan > .muted, .plan h3, .email, .plan, .code, code, td, th[scope=row], .brand"
# Words that no German text has.
ENGLISH = re.compile(
    r"\b(the|your|you|and|of|with|are|not|yet|left|used|show|see|days?|from|until|credits|spent|plan|what|when)\b",
    re.I,
)


async def texts_of(page: Page) -> list[str]:
    """What can be read or heard: text, labels, titles and placeholders, within elements of our own too."""
    found: list[str] = await page.evaluate(
        """(named) => {
            const texts = [document.title];
            const visit = (root) => {
                for (const node of root.childNodes) {
                    if (node.nodeType === Node.TEXT_NODE) texts.push(node.data);
                    if (node.nodeType !== Node.ELEMENT_NODE || node.matches("script, style, noscript")) continue;
                    if (!node.checkVisibility()) continue;
                    for (const name of ["aria-label", "title", "placeholder", "alt", "aria-valuetext"]) {
                        texts.push(node.getAttribute(name) ?? "");
                    }
                    if (node.matches(named) && !node.matches("li.plan")) continue;
                    visit(node);
                    if (node.shadowRoot) visit(node.shadowRoot);
                }
            };
            visit(document.body);
            return [...new Set(texts.map((text) => text.replace(/\\s+/g, " ").trim()))].filter(Boolean);
        }""",
        NAMED,
    )
    return found


def english_texts() -> list[re.Pattern[str]]:
    """Those of the files of words whose German is another, as patterns."""
    patterns = []
    for topic in TOPICS:
        words = words_of(topic.read_text())
        for key, english in words["en"].items():
            for text in [english] if isinstance(english, str) else english.values():
                if text != words["de"][key] and len(re.sub(r"\{\w+\}|\W", "", text)) > 3:
                    patterns.append(re.compile(re.sub(r"\\\{\w+\\\}", ".+", re.escape(text))))
    return patterns


async def test_no_page_has_english_words_for_a_german_reader(site: Site, visit: Visit, database: Database) -> None:
    team = busy_team(database)
    database.call("consume_credits", team.owner, "message", 9, "9 auf einmal")
    database.call("consume_credits", team.owner, "message", 99, "99 auf einmal")
    english = english_texts()
    left: list[str] = []
    ready = {
        "/": ".projects, .empty, #projects h2",
        "/#usage": "#usage-full canvas",
        "/pricing": ".plan.mine",
        "/team": "#team h2",
        "/messages": "form",
        "/payment?order=nothing": "main p:visible",
        "/admin": "#figures canvas",
    }
    async with visit(site, size="narrow", expects="Failed to load", color_scheme="dark") as page:
        await sign_in(page, site, team.owner, "/pricing")
        await page.evaluate(
            "session => localStorage.setItem('sonas-session', JSON.stringify(session))",
            {"access_token": token(team.owner, **OPERATOR), "user_id": str(team.owner), "email": "o@example.com"},
        )
        for path, shown in ready.items():
            address, _, place = path.partition("#")
            await page.goto("about:blank")
            await page.goto(f"{address}{'&' if '?' in address else '?'}lang=de{'#' if place else ''}{place}")
            await expect(page.locator(shown).first).to_be_visible()
            await fits(page)
            for text in await texts_of(page):
                if ENGLISH.search(text) or any(pattern.fullmatch(text) for pattern in english):
                    left.append(f"{path}: {text}")
    assert not left, "\n".join(left)
