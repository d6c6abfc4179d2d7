"""What a user is told, and how: the routes behind the bell and its settings."""

from __future__ import annotations

from uuid import UUID

import httpx

from tests.support.database import Database
from tests.support.people import new_workspace
from tests.web.support import bearer


async def test_the_bell_shows_what_was_told_and_forgets_what_was_read(
    http: httpx.AsyncClient, database: Database, user: UUID
) -> None:
    database.call("consume_credits", user, "message", 8)
    told = (await http.get("/api/notifications", headers=bearer(user))).json()
    assert (told["unread"], told["rows"][0]["kind"], told["rows"][0]["data"]["level"]) == (1, "credits.level", 80)
    ids = [row["notification_id"] for row in told["rows"]]
    read = await http.post("/api/notifications/read", headers=bearer(user), json={"ids": ids})
    assert read.json()["unread"] == 0
    other = database.new_user()
    assert (await http.get("/api/notifications", headers=bearer(other))).json()["rows"] == []
    assert (await http.get("/api/notifications")).status_code == 401


async def test_levels_and_channels_are_the_users(http: httpx.AsyncClient, database: Database, user: UUID) -> None:
    levels = {"credit_type": "message", "percents": [90], "amounts": [2]}
    set_now = (await http.put("/api/alerts/levels", headers=bearer(user), json=levels)).json()
    assert next(a for a in set_now["alerts"] if a["credit_type"] == "message")["percents"] == [90]
    usual = (await http.put("/api/alerts/levels", headers=bearer(user), json={"credit_type": "message"})).json()
    assert next(a for a in usual["alerts"] if a["credit_type"] == "message")["is_default"] is True
    channels = await http.put("/api/alerts/channels", headers=bearer(user), json={"by_mail": False})
    assert (channels.json()["by_mail"], channels.json()["in_app"]) == (False, True)
    assert (await http.get("/api/alerts", headers=bearer(user))).json()["by_mail"] is False
    for body in ({"credit_type": "message", "percents": [0]}, {"credit_type": "message", "percents": [101]}):
        assert (await http.put("/api/alerts/levels", headers=bearer(user), json=body)).status_code == 422


async def test_a_workspace_is_its_members(http: httpx.AsyncClient, database: Database, user: UUID) -> None:
    team = new_workspace(database, user)
    assert (await http.get(f"/api/alerts?workspace={team}", headers=bearer(user))).status_code == 200
    stranger = bearer(database.new_user())
    assert (await http.get(f"/api/alerts?workspace={team}", headers=stranger)).status_code == 404


async def test_there_is_a_page_of_settings(http: httpx.AsyncClient) -> None:
    page = await http.get("/messages")
    assert (page.status_code, "messages.js" in page.text or "static/" in page.text) == (200, True)
    link = await http.get("/messages/unsubscribe?token=x")
    assert (link.status_code, '<button class="button">' in link.text) == (200, True)
