"""The examples of docs/fastapi.md, as they stand there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from websockets.sync.client import connect

from sonas_supabase import CreditsUnavailable, IdempotencyConflict, InsufficientCredits
from sonas_supabase.fastapi import AnswerNotStored, NoAccount, NotAuthenticated, RequestInProgress
from tests.fastapi.support import KEYS, bearer, calling, serving, settled
from tests.support.database import Database

PAGE = Path(__file__).resolve().parents[2] / "docs" / "fastapi.md"


@pytest.fixture
def page(database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """What the page's code defines."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", database.url)
    monkeypatch.setenv("SUPABASE_URL", "")
    monkeypatch.setenv("SUPABASE_JWT_SECRET", KEYS.jwt_secret)
    defined: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        exec(block, defined)
    return defined


async def test_the_examples_work(
    page: dict[str, Any], database: Database, user: UUID, capsys: pytest.CaptureFixture[str]
) -> None:
    async with page["client"]:
        async with calling(page["app"]) as http:
            assert (await http.post("/chat?prompt=hi", headers=bearer(user))).json() == "HI"
            assert database.balance(user)["used"] == 2
            streamed = await http.post("/stream?prompt=one+two+three", headers=bearer(user))
            assert streamed.text == "one\ntwo\nthree\n"
            assert database.balance(user)["used"] == 5
            assert streamed.headers["ratelimit-policy"] == '"message";q=10;qu="credits"'
            assert (await http.get("/me", headers=bearer(user))).json() == str(user)
            assert (await http.post("/urgent", headers=bearer(user))).json() == "done"
        await page["book_what_waits"]()
        assert capsys.readouterr().out == "0 booked; waiting: {}\n"

        starlette = Starlette(routes=[Route("/", page["endpoint"])])
        page["credits"].install(starlette)
        async with calling(starlette) as http:
            assert (await http.get("/", headers=bearer(user))).text == "1 held"
        async with calling(page["wrapped"]) as http:
            assert (await http.post("/v1/anything", headers=bearer(user))).status_code == 404
    balance = database.balance(user)
    assert (balance["used"], balance["reserved"]) == (7, 0)


async def test_a_job_is_charged_by_who_works_on_it(page: dict[str, Any], database: Database, user: UUID) -> None:
    async with page["client"]:
        async with calling(page["app"]) as http:
            token = (await http.post("/jobs", headers=bearer(user))).json()
        assert database.balance(user)["reserved"] == 5
        await page["work"](token)
    balance = database.balance(user)
    assert (balance["used"], balance["reserved"]) == (2, 0)


async def test_a_metered_session_pays_by_message(page: dict[str, Any], database: Database, user: UUID) -> None:
    with serving(page["app"]) as server:
        url = f"ws://127.0.0.1:{server.port}/talk"
        with connect(url, additional_headers=bearer(user), open_timeout=20) as websocket:
            for text in ("one", "two"):
                websocket.send(text)
                assert websocket.recv(20) == text.upper()
            assert database.balance(user)["reserved"] == 10
        assert (await settled(database, user))["used"] == 2


async def test_every_code_is_on_the_page(http: httpx.AsyncClient) -> None:
    text = PAGE.read_text()
    problem = (await http.get("/me")).json()
    assert f"`{problem['code']}`" in text
    for error in (
        NotAuthenticated,
        InsufficientCredits,
        NoAccount,
        IdempotencyConflict,
        RequestInProgress,
        AnswerNotStored,
        CreditsUnavailable,
    ):
        assert re.search(rf"\| {error.status} \|.*`{error.code}`", text), error
