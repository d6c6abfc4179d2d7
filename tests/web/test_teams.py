"""The routes of teams act as the signed-in user, and an API key opens none of them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from tests.support.database import Database
from tests.support.teams import Team, new_team
from tests.web.support import bearer, calling, make_app, problem


@pytest_asyncio.fixture
async def http(database: Database) -> AsyncIterator[httpx.AsyncClient]:
    async with calling(make_app(database)) as client:
        yield client


@pytest.fixture
def team(database: Database) -> Team:
    return new_team(database)


@pytest.mark.asyncio
async def test_a_team_is_made_filled_and_limited(database: Database, http: httpx.AsyncClient) -> None:
    ann, bob = database.new_user(), database.new_user(email="bob.of.routes@example.com")
    me, him = bearer(ann), bearer(bob)
    made = await http.post("/api/workspaces", json={"name": "Team"}, headers=me)
    assert made.status_code == 201
    at = f"/api/workspaces/{made.json()['workspace_id']}"
    invited = await http.post(f"{at}/invitations", json={"email": "bob.of.routes@example.com"}, headers=me)
    assert invited.status_code == 201
    joined = await http.post("/api/workspaces/accept", json={"token": invited.json()["token"]}, headers=him)
    assert joined.json()["role"] == "member"
    wanted = {"credit_type": "message", "limit": 5, "window": "day", "scope": "member"}
    assert (await http.put(f"{at}/budgets", json=wanted, headers=me)).json()["limit"] == 5
    problem(await http.put(f"{at}/budgets", json=wanted, headers=him), 403, "forbidden")
    assert (await http.get(f"{at}/usage", headers=him)).json()["budgets"][0]["limit"] == 5
    changed = await http.put(f"{at}/members/{bob}", json={"role": "owner"}, headers=me)
    assert {m["role"] for m in changed.json()["members"]} == {"owner"}
    assert (await http.post(f"{at}/members/{ann}/transfer", headers=him)).status_code == 200
    problem(await http.post(f"{at}/members/{ann}/transfer", headers=him), 403, "forbidden")
    problem(await http.post(f"{at}/leave", headers=me), 409, "last_owner")
    assert (await http.delete(f"{at}/members/{bob}", headers=me)).status_code == 200
    assert (await http.get("/api/workspaces", headers=him)).json()["workspaces"] == []
    problem(await http.get(at, headers=him), 404, "account_not_found")
    assert (await http.delete(at, headers=me)).status_code == 200


@pytest.mark.asyncio
async def test_outsiders_and_keys_get_nothing(team: Team, http: httpx.AsyncClient) -> None:
    at = f"/api/workspaces/{team.workspace}"
    made = await http.post(f"{at}/keys", json={"name": "nightly"}, headers=bearer(team.owner))
    key = {"authorization": f"Bearer {made.json()['key']}"}
    for path in (at, f"{at}/usage", f"{at}/budgets", f"{at}/keys"):
        problem(await http.get(path, headers=bearer(team.outsider)), 404, "account_not_found")
        problem(await http.get(path, headers=key), 401, "not_authenticated")
        problem(await http.get(path), 401, "not_authenticated")
    problem(await http.get("/api/usage", headers=key), 401, "not_authenticated")
    assert (await http.delete(f"{at}/keys/{made.json()['key_id']}", headers=bearer(team.admin))).status_code == 200
    assert (await http.get(f"{at}/keys", headers=bearer(team.owner))).json()["keys"] == []


@pytest.mark.asyncio
async def test_the_page_is_there(http: httpx.AsyncClient) -> None:
    page = await http.get("/team")
    assert page.status_code == 200
    assert "static/team" in page.text
