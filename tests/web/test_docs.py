"""The example of docs/web.md, as it stands there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from sonas_supabase.fastapi import SupabaseAuth
from sonas_supabase.web import create_app
from tests.support.database import Database
from tests.web.support import KEYS, calling

PAGE = Path(__file__).resolve().parents[2] / "docs" / "web.md"


@pytest.fixture
def page(database: Database, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the page's code defines."""
    monkeypatch.setenv("DATABASE_URL", database.url)
    monkeypatch.setenv("SUPABASE_URL", "https://abc.supabase.example")
    monkeypatch.setenv("SUPABASE_PUBLISHABLE_KEY", "sb_publishable_x")
    [block] = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    defined: dict[str, Any] = {}
    exec(block, defined)
    return defined


async def test_the_example_puts_an_app_together(page: dict[str, Any]) -> None:
    async with calling(page["app"]) as http:
        setup = (await http.get("/api/setup")).json()
    assert (setup["sign_in"], setup["upgrade"], setup["builtin_chat"]) == ("supabase", "checkout", False)
    assert setup["supabase_url"] == "https://abc.supabase.example"


async def test_its_work_works(page: dict[str, Any], database: Database, user: UUID) -> None:
    work = {name: page[name] for name in ("generate", "chat", "checkout")}
    app = create_app(database.url, auth=SupabaseAuth(jwt_secret=KEYS.jwt_secret), **work)
    headers = {"authorization": f"Bearer {KEYS.token(role='authenticated', user_id=str(user))}"}
    async with calling(app) as http:
        made = (await http.post("/api/generate-daytona", json={"prompt": "A harbour"}, headers=headers)).json()
        assert made["files"] == {"README.md": "# A harbour\n"}
        asked = {"project_id": made["id"], "message": "Ships?"}
        said = await http.post("/api/chat-continue", json=asked, headers=headers)
        assert '{"text": "harbour: "}' in said.text
        paid = await http.post("/api/checkout", json={"plan": "pro"}, headers=headers)
        assert paid.json()["url"] == f"https://pay.example.com/pro?client_reference_id={user}"
    assert database.balance(user)["used"] == 2


def test_every_route_of_the_app_is_on_the_page(page: dict[str, Any]) -> None:
    text = PAGE.read_text()
    for path in page["app"].openapi()["paths"]:
        name = path.replace("{project_id}", "{id}").replace("/{operation_id}", "")
        assert f"{name}`" in text, path
