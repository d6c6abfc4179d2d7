"""The reference app: every route as everybody, other sites' pages, and texts that would like to be scripts."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from playwright.async_api import expect

from sonas_supabase import web
from tests.attacks.attack import Attack, those_of
from tests.attacks.attack import attack as add
from tests.attacks.world import World, changed, site_token, state
from tests.web.conftest import Visit
from tests.web.pages import come_in

STATIC = Path(web.__file__).parent / "static"
OPEN_ROUTES = {"/api/setup", "/api/plans", "/api/prices", "/api/demo/users", "/api/demo/sign-in", "/api/demo/sign-up"}
"""What nobody has to be signed in for; the last three exist in a demo on one's own machine alone."""

EVIL = "https://evil.example"
SCRIPTS = (
    "<script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "<svg/onload=document.title='owned'>",
    "javascript:document.title='owned'",
    '"><iframe srcdoc="<script>parent.document.title=\'owned\'</script>">',
    "{{constructor.constructor('document.title=1')()}}${document.title='owned'}",
)
SINKS = (
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|srcdoc|DOMParser|createContextual"
)


def routes(world: World) -> list[tuple[str, str]]:
    document = world.http.get(f"{world.site.url}/api/openapi.json").json()
    return [(method.upper(), path) for path, ways in document["paths"].items() for method in ways]


@pytest.mark.parametrize("actor", ["anon", "forged", "expired", "service"])
def test_every_route_asks_who_one_is(world: World, actor: str) -> None:
    """Made from the app's own document. The service role's token is no user's, so it opens nothing here."""
    before = state(world.database)
    given = site_token(world, actor)
    headers = {"authorization": f"Bearer {given}"} if given else {}
    wrong = {}
    for method, path in routes(world):
        if path in OPEN_ROUTES:
            continue
        url = world.site.url + re.sub(r"\{\w+\}", world.ids["project_of_user"], path)
        answer = world.http.request(method, url, headers=headers, json={} if method == "POST" else None)
        if answer.status_code != 401 or answer.json()["code"] != "not_authenticated":
            wrong[f"{method} {path}"] = f"{answer.status_code} {answer.text[:200]}"
    assert not wrong, json.dumps(wrong, indent=2)
    assert not changed(before, state(world.database))


@pytest.mark.parametrize("actor", ["other", "colleague", "stranger"])
def test_every_route_with_an_id_answers_its_owner_alone(world: World, actor: str) -> None:
    before = state(world.database)
    headers = {"authorization": f"Bearer {site_token(world, actor)}"}
    found = 0
    for method, path in routes(world):
        for name in re.findall(r"\{(\w+)_id\}", path):
            if "{workspace_id}" in path and (name != "workspace" or actor == "colleague"):
                # What is in a workspace is asked for by who is in none; the colleague is in this one.
                continue
            found += 1
            whose = world.ids["workspace" if name == "workspace" else f"{name}_of_user"]
            url = world.site.url + re.sub(rf"\{{(?!{name}_id)\w+\}}", world.ids["nobody"], path)
            theirs = world.http.request(method, url.replace(f"{{{name}_id}}", whose), headers=headers)
            nobodys = world.http.request(method, url.replace(f"{{{name}_id}}", world.ids["nobody"]), headers=headers)
            assert (theirs.status_code, theirs.text) == (
                nobodys.status_code,
                nobodys.text.replace(world.ids["nobody"], whose),
            )
            # A body that is missing is told of before anything is looked up.
            assert theirs.status_code == 404 or (name == "workspace" and theirs.status_code == 422), url
    assert found >= 3
    assert not changed(before, state(world.database))


@pytest.mark.parametrize("path", ["/", "/pricing", "/sonas-usage.js", "/static/app.js", "/api/plans", "/nowhere"])
def test_every_answer_tells_browsers_to_keep_it_closed(world: World, path: str) -> None:
    headers = world.http.get(world.site.url + path).headers
    policy = headers["content-security-policy"]
    for rule in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "trusted-types 'none'"):
        assert rule in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert "set-cookie" not in headers


def test_no_script_of_the_pages_makes_markup_out_of_text() -> None:
    scripts = [path for path in STATIC.rglob("*.js") if "vendor" not in path.parts]
    assert len(scripts) >= 10
    found = {path.name: match for path in scripts if (match := re.findall(SINKS, path.read_text()))}
    assert not found
    for page in STATIC.glob("*.html"):
        markup = page.read_text()
        assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|javascript:", markup), page.name


def given_back(world: World, _: httpx.Response) -> bool:
    """What was held for the answer goes back after it; the other hold is the one that this user began with."""
    deadline = time.monotonic() + 10
    while world.database.balance(UUID(world.ids["other"]))["reserved"] > 1:
        if time.monotonic() > deadline:
            return False
    return True


def no_permission(_: World, answer: httpx.Response) -> bool:
    return "access-control-allow-origin" not in answer.headers


@those_of
def family() -> None:
    site: dict[str, Any] = {"on": "site"}
    plain = {"content-type": "text/plain", "origin": EVIL, "cookie": "access_token=x"}
    for path in ("/api/generate-daytona", "/api/chat-continue", "/api/demo/change-plan"):
        add(f"another site's form for {path}", "anon", f"POST {path}", 401, "not_authenticated",
            content=b'{"prompt": "x", "plan": "elite"}', headers=plain, **site)  # fmt: skip
        add(f"another site's preflight for {path}", "anon", f"OPTIONS {path}", 400, sees=no_permission, **site,
            headers={"origin": EVIL, "access-control-request-method": "POST",
                     "access-control-request-headers": "authorization, content-type"})  # fmt: skip
    add("another site's script that reads usage", "user", "GET /api/usage", 200, sees=no_permission,
        headers={"origin": EVIL}, **site)  # fmt: skip
    add("a page without an origin that reads usage", "user", "GET /api/usage", 200, sees=no_permission,
        headers={"origin": "null"}, **site)  # fmt: skip
    add("a demo's token under another name", "anon", "GET /api/demo/users", 404, "not_here",
        headers={"host": "evil.example"}, **site)  # fmt: skip
    add("a demo's sign-in under another name", "anon", "POST /api/demo/sign-in", 404, "not_here",
        body={"user_id": "{user}"}, headers={"host": "127.0.0.1.evil.example"}, **site)  # fmt: skip
    add("a demo's sign-up that another site's form sends", "anon", "POST /api/demo/sign-up", 422, "invalid_request",
        content=b'{"email": "evil@example.com"}', headers=plain, **site)  # fmt: skip
    add("a demo user outside of example.com", "anon", "POST /api/demo/sign-up", 422, "invalid_request",
        body={"email": "boss@corp.example"}, **site)  # fmt: skip
    add("a demo user with a second line", "anon", "POST /api/demo/sign-up", 422, "invalid_request",
        body={"email": "x@example.com\nbcc: y@example.com"}, **site)  # fmt: skip
    add("somebody's project in a chat", "other", "POST /api/chat-continue", 404, "project_not_found",
        body={"project_id": "{project_of_user}", "message": "tell me"}, writes=frozenset(
            {"credits.balances", "credit_grants", "credit_reservations", "credits.reservation_slices",
             "credits.idempotency_keys"}), sees=given_back, **site)  # fmt: skip
    add("a user in the body", "other", "POST /api/generate-daytona", 422, "invalid_request",
        body={"prompt": "x", "user_id": "{user}"}, **site)  # fmt: skip
    add("a price in the body", "other", "POST /api/generate-daytona", 422, "invalid_request",
        body={"prompt": "x", "amount": 0}, **site)  # fmt: skip
    add(
        "a prompt of nothing",
        "other",
        "POST /api/generate-daytona",
        422,
        "invalid_request",
        body={"prompt": " "},
        **site,
    )
    add("a prompt that is too long", "other", "POST /api/generate-daytona", 422, "invalid_request",
        body={"prompt": "x" * 4001}, **site)  # fmt: skip
    add(
        "a prompt with a NUL",
        "other",
        "POST /api/generate-daytona",
        422,
        "invalid_request",
        body={"prompt": "a\0"},
        **site,
    )
    add("a plan that is a path", "other", "POST /api/demo/change-plan", 422, "invalid_request",
        body={"plan": "../elite"}, **site)  # fmt: skip
    add("a file of the server", "anon", "GET /static/../_app.py", 404, **site)
    add("a file of the server, encoded", "anon", "GET /static/%2e%2e/_app.py", 404, **site)
    add("a file of the server, encoded twice", "anon", "GET /static/%252e%252e/_app.py", 404, **site)
    add("a folder of files", "anon", "GET /static/", 404, **site)
    add("an interactive console", "anon", "GET /docs", 404, **site)
    add("a time zone that is a path", "user", "GET /api/usage?time_zone=../../etc/passwd", 422, **site)
    add("a page of the history past all numbers", "user", "GET /api/usage/operations?limit=101", 422, **site)
    add("an id that is none", "user", "GET /api/projects/1%27%20or%20%271%27=%271", 422, "invalid_request", **site)
    add("a method that the route has not", "user", "DELETE /api/usage", 405, **site)


@family
def test_the_app_refuses(world: World, attack: Attack) -> None:
    attack.run(world)


@pytest.mark.parametrize("text", SCRIPTS)
def test_a_text_comes_back_as_data(world: World, text: str) -> None:
    """Whatever holds a user's words is JSON, or an event whose data is."""
    headers = {"authorization": f"Bearer {site_token(world, 'other')}"}
    made = world.http.post(f"{world.site.url}/api/generate-daytona", headers=headers, json={"prompt": text})
    assert made.status_code == 201
    project = made.json()
    if "<" in text:
        assert text not in project["files"]["index.html"], "the page that was made escapes what it was made from"
    for path in ("/api/projects", f"/api/projects/{project['id']}", "/api/usage", "/api/usage/operations"):
        answer = world.http.get(world.site.url + path, headers=headers)
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"
    chat = {"project_id": project["id"], "message": text}
    answer = world.http.post(f"{world.site.url}/api/chat-continue", headers=headers, json=chat)
    assert answer.headers["content-type"].startswith("text/event-stream")
    for line in answer.text.splitlines():
        if line.startswith("data: "):
            json.loads(line.removeprefix("data: "))
    world.http.delete(f"{world.site.url}/api/projects/{project['id']}", headers=headers)


async def test_no_text_of_a_user_becomes_a_script_in_the_pages(world: World, visit: Visit) -> None:
    """In a real browser, with the text as prompt, project, message, description, reason and name of a file."""
    database = world.database
    user = database.new_user(email="xss@example.com")
    database.call("change_plan", user, "elite")
    for text in SCRIPTS:
        spent = database.call("consume_credits", user, "message", 1, text)
        database.call("refund_credits", user, spent["operation_id"], reason=text)
        database.call("grant_credits", user, "message", 1, description=text)
        database.call("consume_credits", user, "message", 10**6, text)
        database.run(
            "insert into projects (owner_id, name, files) values (%s, %s, jsonb_build_object(%s::text, %s::text))",
            user, text, text, text,
        )  # fmt: skip
    async with visit(world.site) as page:
        await come_in(page, world.site, user)
        await expect(page.locator("body")).to_contain_text("onerror")
        await expect(page.locator("body")).to_contain_text("svg/onload")
        title = await page.title()
        assert "owned" not in title
        assert await page.evaluate("document.querySelectorAll('iframe, img[src=x], body svg[onload]').length") == 0
