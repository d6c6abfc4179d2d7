"""Signing in by Supabase Auth, against a stand-in that speaks its protocol: the service itself is hosted only.

The stand-in is on another origin, as the service is, so that the pages' policy and the preflight requests count.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from playwright.async_api import Page, expect
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from sonas_supabase.fastapi import SupabaseAuth
from sonas_supabase.web import SupabaseProject, create_app
from tests.support.database import Database
from tests.web.conftest import Visit
from tests.web.support import KEYS, Site, serving, token

KEY = "sb_publishable_of_the_test"
EMAIL = "person@company.example"
PASSWORD = "correct horse battery"


class StandIn:
    """Supabase Auth's /token and /signup. ``lifetime`` is that of the tokens that it gives, in seconds."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.user_id: UUID = database.new_user(email=EMAIL)
        self.lifetime = 3600
        self.refreshed = 0
        routes = [
            Route("/auth/v1/token", self.token, methods=["POST"]),
            Route("/auth/v1/signup", self.sign_up, methods=["POST"]),
        ]
        cors = Middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"])
        self.app = Starlette(routes=routes, middleware=[cors])

    async def token(self, request: Request) -> JSONResponse:
        said: dict[str, Any] = await request.json()
        if request.headers.get("apikey") != KEY:
            return JSONResponse({"message": "Invalid API key"}, 401)
        if request.query_params["grant_type"] == "refresh_token":
            self.refreshed += 1
            return self._session(EMAIL) if said["refresh_token"] == "again" else self._no()
        return self._session(EMAIL) if (said["email"], said["password"]) == (EMAIL, PASSWORD) else self._no()

    async def sign_up(self, request: Request) -> JSONResponse:
        said = await request.json()
        if said["email"].startswith("confirm"):
            return JSONResponse({"id": str(uuid4()), "email": said["email"]})
        self.user_id = self._database.new_user(email=said["email"])
        return self._session(said["email"])

    def _no(self) -> JSONResponse:
        said = {"code": 400, "error_code": "invalid_credentials", "msg": "The address or the password is not right."}
        return JSONResponse(said, 400)

    def _session(self, email: str) -> JSONResponse:
        return JSONResponse(
            {
                "access_token": token(self.user_id, email=email),
                "token_type": "bearer",
                "expires_in": self.lifetime,
                "refresh_token": "again",
                "user": {"id": str(self.user_id), "email": email},
            }
        )


@pytest.fixture(scope="module")
def auth(database: Database) -> StandIn:
    return StandIn(database)


@pytest.fixture(scope="module")
def hosted(database: Database, auth: StandIn) -> Iterator[Site]:
    with serving(auth.app, database) as service:
        project = SupabaseProject(url=service.url, publishable_key=KEY)
        app = create_app(database.url, auth=SupabaseAuth(jwt_secret=KEYS.jwt_secret), supabase=project)
        with serving(app, database) as running:
            yield running


async def fill(page: Page, email: str, password: str) -> None:
    await page.get_by_label("Email").fill(email)
    await page.get_by_label("Password").fill(password)


async def test_with_an_address_and_a_password(hosted: Site, visit: Visit, picture: Any, auth: StandIn) -> None:
    async with visit(hosted, expects="400 (Bad") as page:
        await page.goto("/")
        await fill(page, EMAIL, "wrong password")
        await picture(page, "supabase-sign-in")
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("alert")).to_have_text("The address or the password is not right.")

        await fill(page, EMAIL, PASSWORD)
        await page.keyboard.press("Enter")
        await expect(page.get_by_text(EMAIL)).to_be_visible()
        await expect(page.locator("#usage-side .balances")).to_contain_text("10 left")

        await page.reload()
        await expect(page.get_by_text(EMAIL)).to_be_visible()
        assert await page.evaluate("[Object.keys(localStorage), document.cookie]") == [["sonas-session"], ""]

        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_role("button", name="Sign in")).to_be_visible()
        assert await page.evaluate("localStorage.getItem('sonas-session')") is None


async def test_a_new_account(hosted: Site, visit: Visit) -> None:
    async with visit(hosted) as page:
        await page.goto("/")
        await fill(page, "confirm@company.example", PASSWORD)
        await page.get_by_role("button", name="Create an account").click()
        await expect(page.get_by_text("confirm the address")).to_be_visible()

        await fill(page, "new@company.example", PASSWORD)
        await page.get_by_role("button", name="Create an account").click()
        await expect(page.locator("#usage-side").get_by_role("heading", name="Free plan")).to_be_visible()


async def test_a_token_is_replaced_before_it_runs_out(hosted: Site, visit: Visit, auth: StandIn) -> None:
    auth.lifetime = 30
    before = auth.refreshed
    try:
        async with visit(hosted) as page:
            await page.goto("/")
            await fill(page, EMAIL, PASSWORD)
            await page.keyboard.press("Enter")
            await page.get_by_label("What do you want to build?").fill("A harbour")
            panel = page.locator("#usage-side .balances")
            await expect(panel).to_contain_text("left")
            await page.get_by_role("button", name="Generate").click()
            await expect(page.locator(".projects li")).to_have_count(1)
    finally:
        auth.lifetime = 3600
    assert auth.refreshed > before


async def test_plans_can_be_looked_at_where_nothing_is_sold(hosted: Site, visit: Visit) -> None:
    async with visit(hosted) as page:
        await page.goto("/pricing")
        await expect(page.locator(".plan")).to_have_count(5)
        await expect(page.get_by_text("Plans cannot be bought in this app yet.")).to_be_visible()
        await expect(page.get_by_role("link", name="Sign in to choose").first).to_be_visible()
