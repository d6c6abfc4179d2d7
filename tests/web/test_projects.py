"""Projects belong to their owners."""

from __future__ import annotations

from uuid import UUID

import httpx
import pytest

from tests.support.database import Database
from tests.web.support import bearer, problem

NOBODYS = "5aa5aa5a-0000-4000-8000-00000000dead"


async def make(http: httpx.AsyncClient, user: UUID, prompt: str) -> str:
    made = await http.post("/api/generate-daytona", json={"prompt": prompt}, headers=bearer(user))
    return str(made.json()["id"])


async def test_the_list_has_ones_own_newest_first(http: httpx.AsyncClient, database: Database) -> None:
    one, other = database.new_user(), database.new_user()
    first, second = await make(http, one, "First"), await make(http, one, "Second")
    await make(http, other, "Third")

    listed = (await http.get("/api/projects", headers=bearer(one))).json()

    assert [project["id"] for project in listed] == [second, first]
    assert sorted(listed[0]["paths"]) == ["README.md", "app.js", "index.html", "style.css"]


async def test_nobody_reaches_somebody_elses(http: httpx.AsyncClient, database: Database) -> None:
    owner, other = database.new_user(), database.new_user()
    project = await make(http, owner, "Mine")

    problem(await http.get(f"/api/projects/{project}", headers=bearer(other)), 404, "project_not_found")
    problem(await http.delete(f"/api/projects/{project}", headers=bearer(other)), 404, "project_not_found")
    asked = {"project_id": project, "message": "What is in it?"}
    problem(await http.post("/api/chat-continue", json=asked, headers=bearer(other)), 404, "project_not_found")

    assert (await http.get(f"/api/projects/{project}", headers=bearer(owner))).status_code == 200
    assert database.balance(other)["used"] == 0


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/projects"),
        ("GET", f"/api/projects/{NOBODYS}"),
        ("DELETE", f"/api/projects/{NOBODYS}"),
        ("POST", "/api/generate-daytona"),
        ("POST", "/api/chat-continue"),
        ("GET", "/api/usage"),
        ("GET", "/api/usage/operations"),
        ("GET", f"/api/usage/operations/{NOBODYS}"),
        ("POST", "/api/demo/change-plan"),
    ],
)
async def test_without_a_token_nothing_is_to_be_had(http: httpx.AsyncClient, method: str, path: str) -> None:
    bodies = {"/api/generate-daytona": {"prompt": "x"}, "/api/demo/change-plan": {"plan": "pro"}}
    body = bodies.get(path, {"project_id": NOBODYS, "message": "x"} if method == "POST" else None)
    answer = await http.request(method, path, json=body)
    problem(answer, 401, "not_authenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_cookie_signs_nobody_in(http: httpx.AsyncClient, user: UUID) -> None:
    token = bearer(user)["authorization"].removeprefix("Bearer ")
    answer = await http.get("/api/projects", headers={"cookie": f"access_token={token}; sb-access-token={token}"})
    problem(answer, 401, "not_authenticated")


@pytest.mark.parametrize("text", ["\0", "a\0b", " ", "", "x" * 4001])
async def test_text_that_cannot_be_stored_is_refused(http: httpx.AsyncClient, user: UUID, text: str) -> None:
    answer = await http.post("/api/generate-daytona", json={"prompt": text}, headers=bearer(user))
    assert answer.status_code == 422


async def test_half_a_character_is_refused(http: httpx.AsyncClient, user: UUID) -> None:
    headers = bearer(user) | {"content-type": "application/json"}
    answer = await http.post("/api/generate-daytona", content=b'{"prompt": "\\ud800"}', headers=headers)
    assert answer.status_code == 422
