"""A program with an API key spends from the account of its key, as its own actor, until it is revoked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID

import httpx
import pytest
import pytest_asyncio
from fastapi import Depends
from starlette.requests import HTTPConnection

from sonas_supabase.fastapi import CurrentCaller, Spend, spend
from tests.fastapi.support import add_routes, bearer, calling, make_app, make_credits
from tests.support.database import Database
from tests.support.teams import Team, new_team


def named(connection: HTTPConnection) -> str | None:
    return connection.headers.get("x-workspace")


@pytest.fixture
def team(database: Database) -> Team:
    return new_team(database)


@pytest_asyncio.fixture
async def http(database: Database) -> AsyncIterator[httpx.AsyncClient]:
    credits = make_credits(database.url)
    app = make_app(credits)
    add_routes(app)

    @app.post("/paid-by-header")
    async def paid(
        held: Annotated[Spend, Depends(spend("message", 1, workspace=named, actor=lambda _: "somebody else"))],
    ) -> str:
        return str(held.operation_id)

    @app.get("/caller")
    async def caller(user: CurrentCaller) -> list[str | None]:
        return [user.key_name, str(user.workspace_id)]

    async with calling(app) as client:
        yield client
    await credits.client.close()


def sent(key: dict[str, Any]) -> dict[str, str]:
    return {"authorization": f"Bearer {key['key']}"}


@pytest.mark.asyncio
async def test_it_spends_from_the_account_of_the_key_as_its_actor(team: Team, http: httpx.AsyncClient) -> None:
    key = team.call("create_api_key", team.member, name="nightly")
    answer = await http.post("/paid-by-header", headers=sent(key))
    assert answer.status_code == 200, answer.text
    told = team.call("explain_operation", team.member, operation_id=answer.json())
    assert (told["account_id"], told["user_id"]) == (str(team.workspace), str(team.member))
    assert (told["metadata"]["actor"], told["metadata"]["key_id"]) == ("nightly", key["key_id"])
    assert (await http.get("/caller", headers=sent(key))).json() == ["nightly", str(team.workspace)]
    named = {"scope": "metadata", "scope_value": "actor=nightly"}
    team.call("set_credit_budget", team.owner, credit_type="message", limit=1, window="day", **named)
    denied = await http.post("/one", headers=sent(key))
    assert (denied.status_code, denied.json()["code"]) == (402, "member_cap_reached")
    assert await http.post("/paid-by-header", headers={**bearer(team.member), "x-workspace": str(team.workspace)})


@pytest.mark.asyncio
async def test_it_pays_from_no_other_account_and_is_no_signed_in_person(team: Team, http: httpx.AsyncClient) -> None:
    key = team.call("create_api_key", team.member, name="nightly")
    own = team.database.call("create_api_key", team.member, name="mine")
    for sent_key, workspace in ((key, team.outsider), (own, team.workspace)):
        headers = {**sent(sent_key), "x-workspace": str(workspace)}
        assert (await http.post("/paid-by-header", headers=headers)).status_code == 403
    answer = await http.get("/me", headers=sent(key))
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")
    assert team.database.balance(team.member)["remaining"] == 10


@pytest.mark.asyncio
async def test_a_key_that_is_revoked_opens_nothing(team: Team, http: httpx.AsyncClient) -> None:
    key = team.call("create_api_key", team.member, name="nightly")
    assert (await http.post("/one", headers=sent(key))).status_code == 200
    team.call("revoke_api_key", team.owner, key_id=key["key_id"])
    for header in (
        sent(key),
        {"authorization": "Bearer sonas_nonsense"},
        {"authorization": "Bearer sonas_" + "0" * 96},
    ):
        answer = await http.post("/one", headers=header)
        assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")
    assert isinstance(team.workspace, UUID)


@pytest.mark.asyncio
async def test_a_viewer_is_told_so(team: Team, http: httpx.AsyncClient) -> None:
    headers = {**bearer(team.viewer), "x-workspace": str(team.workspace)}
    answer = await http.post("/paid-by-header", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
