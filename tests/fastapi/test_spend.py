"""A route that costs credits: what is held, charged, given back and refused."""

from __future__ import annotations

import logging
from typing import Annotated
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
from fastapi import Depends, Request

from sonas_supabase.charging import ChargeMode
from sonas_supabase.fastapi import Spend, spend
from tests.fastapi.support import OneMessage, bearer, calling, make_app, make_credits
from tests.support.database import Database


async def test_a_success_is_charged(http: httpx.AsyncClient, database: Database, user: UUID) -> None:
    answer = await http.post("/one", headers=bearer(user))
    assert answer.status_code == 200
    assert answer.json()["user"] == str(user)
    balance = database.balance(user)
    assert (balance["used"], balance["reserved"], balance["remaining"]) == (1, 0, 9)
    database.verify(user)


async def test_the_ledger_knows_the_operation_and_the_route(
    http: httpx.AsyncClient, database: Database, user: UUID
) -> None:
    operation = (await http.post("/one?secret=1", headers=bearer(user))).json()["operation"]
    explained = database.call("explain_operation", user_id=user, operation_id=operation)
    assert (explained["kind"], explained["description"]) == ("capture", "POST /one")
    assert explained["metadata"] == {"method": "POST", "path": "/one"}


@pytest.mark.parametrize(("cost", "used"), [(0, 0), (3, 3), (5, 5), (8, 8), (14, 10)])
async def test_the_handler_sets_the_cost(
    http: httpx.AsyncClient, database: Database, user: UUID, cost: int, used: int
) -> None:
    answer = await http.post(f"/cost/{cost}", headers=bearer(user))
    assert answer.status_code == 200
    balance = database.balance(user)
    assert (balance["used"], balance["reserved"]) == (used, 0)
    database.verify(user)


async def test_a_handler_without_await_works_alike(http: httpx.AsyncClient, database: Database, user: UUID) -> None:
    assert (await http.post("/sync", headers=bearer(user))).status_code == 200
    assert database.balance(user)["used"] == 2


async def test_a_cost_must_be_a_whole_number(http: httpx.AsyncClient, database: Database, user: UUID) -> None:
    # A cost that the database could not take would be work that nobody is charged for.
    for cost in (-1, 2**53 + 1):
        answer = await http.post(f"/cost/{cost}", headers=bearer(user))
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_amount")
    assert database.balance(user)["remaining"] == 10


@pytest.mark.parametrize(("status", "used"), [(200, 1), (201, 1), (204, 1), (303, 0), (400, 0), (404, 0), (500, 0)])
async def test_redirects_and_failures_are_given_back(
    http: httpx.AsyncClient, database: Database, user: UUID, status: int, used: int
) -> None:
    assert (await http.post(f"/status/{status}", headers=bearer(user))).status_code == status
    balance = database.balance(user)
    assert (balance["used"], balance["reserved"]) == (used, 0)


@pytest.mark.parametrize(("path", "status"), [("/broken", 500), ("/denied-later", 418), ("/body", 422)])
async def test_exceptions_are_given_back(
    http: httpx.AsyncClient, database: Database, user: UUID, path: str, status: int
) -> None:
    assert (await http.post(path, headers=bearer(user))).status_code == status
    balance = database.balance(user)
    assert (balance["used"], balance["reserved"], balance["remaining"]) == (0, 0, 10)
    database.verify(user)


async def test_a_denial_is_a_problem_document(http: httpx.AsyncClient, database: Database, user: UUID) -> None:
    database.call("consume_credits", user, "message", 10)
    answer = await http.post("/one", headers=bearer(user))
    assert answer.status_code == 402
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    period_end = database.balance(user)["period_end"]
    assert problem.pop("detail").startswith("Not enough message credits: 1 required, 0 available. Upgrade at ")
    assert problem.pop("upgrade_url") == database.value("select upgrade_url from credits.settings")
    assert problem == {
        "type": "about:blank",
        "title": "Payment Required",
        "status": 402,
        "code": "insufficient_credits",
        "credit_type": "message",
        "required": 1,
        "available": 0,
        "resets_at": period_end,
        "plan": "free",
    }
    assert answer.headers["ratelimit"].startswith('"message";r=0;t=')
    assert database.value("select count(*) from public.usage where user_id = %s and status = 'denied'", user) == 1


async def test_answers_carry_what_remains(http: httpx.AsyncClient, database: Database, user: UUID) -> None:
    answer = await http.post("/cost/2", headers=bearer(user))
    assert answer.headers["ratelimit-policy"] == '"message";q=10;qu="credits"'
    remaining, seconds = answer.headers["ratelimit"].removeprefix('"message";r=').split(";t=")
    assert int(remaining) == database.balance(user)["remaining"] == 8
    assert 27 * 86400 < int(seconds) <= 31 * 86400

    failed = await http.post("/broken", headers=bearer(user))
    assert "ratelimit" not in failed.headers, "an exception of the handler is answered outside of this middleware"
    refused = await http.post("/denied-later", headers=bearer(user))
    assert refused.headers["ratelimit"].startswith('"message";r=8;')


async def test_both_or_neither(http: httpx.AsyncClient, database: Database, user: UUID) -> None:
    for _ in range(3):
        assert (await http.post("/both", headers=bearer(user))).status_code == 200
    answer = await http.post("/both", headers=bearer(user))
    assert (answer.status_code, answer.json()["code"]) == (402, "limit_reached")
    assert answer.json()["resets_at"] is None
    messages, projects = database.balance(user), database.balance(user, "project")
    assert (messages["used"], messages["reserved"]) == (3, 0)
    assert (projects["used"], projects["reserved"]) == (3, 0)
    database.verify(user)


@pytest.mark.parametrize("charge", ["held", "cost", "on_start"])
async def test_a_part_of_what_a_route_costs_is_given_back(database: Database, user: UUID, charge: ChargeMode) -> None:
    credits = make_credits(database.url)
    app = make_app(credits)

    @app.post("/both")
    async def both(
        message: Annotated[Spend, Depends(spend("message", 3, charge=charge))],
        project: Annotated[Spend, Depends(spend("project"))],
    ) -> None: ...

    @app.post("/one-after-the-other")
    async def one_after_the_other(request: Request) -> None:
        await spend("message", 3, charge=charge)(request)
        await spend("project")(request)

    database.call("consume_credits", user, "project", 3)
    async with calling(app) as http:
        assert (await http.post("/both", headers=bearer(user))).status_code == 402
        assert database.balance(user)["used"] == 0, "the handler has not run, however it charges"
        assert (await http.post("/one-after-the-other", headers=bearer(user))).status_code == 402
    assert database.balance(user)["used"] == (3 if charge == "on_start" else 0)
    await credits.client.close()


async def test_both_are_in_the_headers(http: httpx.AsyncClient, user: UUID) -> None:
    answer = await http.post("/both", headers=bearer(user))
    assert answer.headers["ratelimit-policy"] == '"message";q=10;qu="credits", "project";q=3;qu="credits"'
    assert answer.headers["ratelimit"].endswith(', "project";r=2'), "a limit does not reset"


async def test_an_unlimited_balance_has_no_quota(http: httpx.AsyncClient, database: Database, user: UUID) -> None:
    database.call("change_plan", user, "elite")
    answer = await http.post("/both", headers=bearer(user))
    assert "project" not in answer.headers["ratelimit"]
    assert "project" not in answer.headers["ratelimit-policy"]


async def test_a_frozen_account_is_refused(http: httpx.AsyncClient, database: Database, user: UUID) -> None:
    database.call("freeze_account", user, "fraud")
    answer = await http.post("/one", headers=bearer(user))
    assert (answer.status_code, answer.json()["code"]) == (403, "account_frozen")


async def test_a_user_who_is_gone_is_refused(http: httpx.AsyncClient) -> None:
    answer = await http.post("/one", headers=bearer(uuid4()))
    assert (answer.status_code, answer.json()["code"]) == (403, "account_not_found")


async def test_a_mistake_of_ours_is_not_the_clients_business(
    http: httpx.AsyncClient, user: UUID, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "sonas_supabase"):
        answer = await http.post("/unknown", headers=bearer(user))
    assert (answer.status_code, answer.json()["code"]) == (500, "misconfigured")
    assert "nonsense" not in answer.text
    assert "nonsense" in caplog.text, "the log says what is wrong"


async def test_nothing_is_held_for_a_stranger(http: httpx.AsyncClient, database: Database) -> None:
    before = database.value("select count(*) from public.credit_reservations")
    answer = await http.post("/one")
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert database.value("select count(*) from public.credit_reservations") == before


async def test_a_denial_of_a_statement_of_the_applications_own_is_a_problem_document(
    database: Database, user: UUID
) -> None:
    credits = make_credits(database.url)
    app = make_app(credits)

    @app.post("/own-statement/{amount}")
    async def own_statement(amount: int, held: OneMessage) -> None:
        strict = "select public.consume_credits(%s, 'message', %s, p_strict => true)"
        async with await psycopg.AsyncConnection.connect(database.url) as connection:
            await connection.execute(strict, [held.user.id, amount])

    async with calling(app) as http:
        answer = await http.post("/own-statement/10", headers=bearer(user))
        assert (answer.status_code, answer.headers["content-type"]) == (402, "application/problem+json")
        assert (answer.json()["code"], answer.json()["available"]) == ("insufficient_credits", 9)
        assert (await http.post("/own-statement/0", headers=bearer(user))).status_code == 422
        assert (await http.post("/own-statement/9", headers=bearer(user))).status_code == 200
    await credits.client.close()
    balance = database.balance(user)
    assert (balance["used"], balance["reserved"]) == (10, 0)
    database.verify(user)
