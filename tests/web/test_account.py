"""Ways in and ways up: demo users, a checkout of the embedding app, or neither."""

from __future__ import annotations

from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI

from sonas_supabase.fastapi import SupabaseAuth
from sonas_supabase.web import SupabaseProject, create_app
from tests.support.database import Database
from tests.web.support import KEYS, bearer, calling, make_app, problem


async def test_signing_up_gives_the_free_plan(http: httpx.AsyncClient, database: Database) -> None:
    made = await http.post("/api/demo/sign-up", json={})

    assert made.status_code == 201
    user = UUID(made.json()["user_id"])
    assert database.balance(user)["remaining"] == 10
    headers = {"authorization": f"Bearer {made.json()['access_token']}"}
    assert (await http.get("/api/usage", headers=headers)).json()["plan"]["id"] == "free"
    assert made.json()["email"] in [one["email"] for one in (await http.get("/api/demo/users")).json()]


async def test_an_address_signs_up_once(http: httpx.AsyncClient) -> None:
    wanted = {"email": "once@example.com"}
    assert (await http.post("/api/demo/sign-up", json=wanted)).status_code == 201
    problem(await http.post("/api/demo/sign-up", json=wanted), 409, "email_taken")


async def test_a_demo_user_signs_in_and_nobody_else(http: httpx.AsyncClient, database: Database) -> None:
    [demo] = [one for one in (await http.get("/api/demo/users")).json() if one["email"] == "pro@example.com"]
    session = (await http.post("/api/demo/sign-in", json={"user_id": demo["id"]})).json()
    headers = {"authorization": f"Bearer {session['access_token']}"}
    assert (await http.get("/api/usage", headers=headers)).json()["plan"]["id"] == "pro"

    real = database.new_user(email="somebody@company.example")
    for user in (real, uuid4()):
        problem(await http.post("/api/demo/sign-in", json={"user_id": str(user)}), 404, "not_here")


@pytest.mark.parametrize("host", ["evil.example", "10.0.0.7", "localhost.evil.example"])
async def test_demo_users_are_for_this_machine(database: Database, host: str) -> None:
    async with calling(make_app(database), base_url=f"http://{host}") as client:
        problem(await client.post("/api/demo/sign-up", json={}), 404, "not_here")
        problem(await client.get("/api/demo/users"), 404, "not_here")


async def test_a_demo_changes_plans_unpaid(http: httpx.AsyncClient, database: Database, user: UUID) -> None:
    changed = await http.post("/api/demo/change-plan", json={"plan": "starter"}, headers=bearer(user))
    assert changed.json()["plan"] == "starter"
    assert database.balance(user)["remaining"] == 100
    problem(
        await http.post("/api/demo/change-plan", json={"plan": "golden"}, headers=bearer(user)), 422, "invalid_argument"
    )


def hosted(database: Database, **options: object) -> FastAPI:
    """As with a Supabase project: no demo."""
    return create_app(database.url, auth=SupabaseAuth(jwt_secret=KEYS.jwt_secret), **options)  # type: ignore[arg-type]


async def test_without_a_demo_there_are_no_demo_routes(database: Database, user: UUID) -> None:
    async with calling(hosted(database)) as client:
        for path in ("sign-up", "sign-in", "change-plan"):
            answer = await client.post(f"/api/demo/{path}", json={"plan": "pro"}, headers=bearer(user))
            assert answer.status_code == 404
        assert (await client.post("/api/checkout", json={"plan": "pro"}, headers=bearer(user))).status_code == 404
        setup = (await client.get("/api/setup")).json()
    assert (setup["sign_in"], setup["upgrade"]) == ("none", "none")
    assert database.balance(user)["remaining"] == 10


async def test_the_embedding_app_says_where_to_pay(database: Database, user: UUID) -> None:
    async def checkout(user_id: UUID, plan: str) -> str:
        return f"https://pay.example/{user_id}/{plan}"

    project = SupabaseProject(url="https://abc.supabase.example", publishable_key="sb_publishable_x")
    async with calling(hosted(database, checkout=checkout, supabase=project)) as client:
        setup = await client.get("/api/setup")
        paid = await client.post("/api/checkout", json={"plan": "pro"}, headers=bearer(user))
        problem(
            await client.post("/api/checkout", json={"plan": "none"}, headers=bearer(user)), 422, "invalid_argument"
        )
        problem(await client.post("/api/checkout", json={"plan": "pro"}), 401, "not_authenticated")

    assert paid.json() == {"url": f"https://pay.example/{user}/pro"}
    assert database.balance(user)["remaining"] == 10, "a plan changes when it has been paid for"
    assert setup.json()["upgrade"] == "checkout"
    assert setup.json()["supabase_publishable_key"] == "sb_publishable_x"
    assert "connect-src 'self' https://abc.supabase.example;" in setup.headers["content-security-policy"]
