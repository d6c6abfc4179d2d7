"""A route that costs an operation of the price book: the most is held, what was used is charged."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import httpx
import pytest
import pytest_asyncio
from fastapi import Depends, HTTPException
from starlette.requests import Request

from sonas_supabase.fastapi import Spend, WrongDeclaration, spend
from tests.fastapi.support import bearer, calling, make_app, make_credits
from tests.support.database import Database


def model(request: Request) -> str:
    return f"model:{request.path_params['name']}"


Most = {"input": 1500}
ByHold = Annotated[Spend, Depends(spend(operation="model:small", quantities=Most, charge="held"))]
ByCost = Annotated[Spend, Depends(spend(operation="model:small", quantities=Most, charge="cost"))]
OnStart = Annotated[Spend, Depends(spend(operation="model:small", quantities=Most, charge="on_start"))]
Asked = Annotated[Spend, Depends(spend(operation=model, quantities={"input": 1000, "output": 500}))]


@pytest_asyncio.fixture(scope="module")
async def http(database: Database) -> AsyncIterator[httpx.AsyncClient]:
    database.call("set_price", "model:small", "input", 1_000_000)
    database.call("set_price", "model:small", "output", 4_000_000)
    credits = make_credits(database.url)
    app = make_app(credits)

    @app.post("/ask/{name}")
    async def ask(name: str, held: Asked, output: int | None = None, fail: int = 0) -> dict[str, Any]:
        if output is not None:
            held.quantities = {"input": 1000, "output": output}
        if fail:
            raise HTTPException(fail)
        return {"held": held.amount, "operation": str(held.operation_id)}

    async def charged(held: Spend, used: int | None = None, fail: int = 0) -> None:
        if used is not None:
            held.quantities = {"input": used}
        if fail:
            raise HTTPException(fail)

    @app.post("/held/small")
    async def by_hold(held: ByHold, used: int | None = None, fail: int = 0) -> None:
        await charged(held, used, fail)

    @app.post("/cost/small")
    async def by_cost(held: ByCost, used: int | None = None, fail: int = 0) -> None:
        await charged(held, used, fail)

    @app.post("/on_start/small")
    async def on_start(held: OnStart, used: int | None = None, fail: int = 0) -> None:
        await charged(held, used, fail)

    async with calling(app) as client:
        yield client
    await credits.client.close()


async def test_what_was_used_is_charged_and_the_rest_goes_back(
    http: httpx.AsyncClient, database: Database, user: UUID
) -> None:
    answer = await http.post("/ask/small?output=10", headers=bearer(user))
    assert (answer.status_code, answer.json()["held"]) == (200, 3)
    explained = database.call("explain_operation", user, answer.json()["operation"])
    assert explained["price"]["cost"] == "1.04"
    balance = database.balance(user, "integration")
    assert (balance["used"], balance["reserved"]) == (2, 0)
    assert (await http.post("/ask/small", headers=bearer(user))).status_code == 200
    # 1.04 and the maximum, 3, are five whole credits with 0.96 left over.
    assert database.balance(user, "integration")["used"] == 5
    database.verify(user)


@pytest.mark.parametrize(
    ("query", "status", "used"),
    [("fail=500", 500, 0), ("fail=500&output=1", 500, 0), ("fail=422", 422, 0), ("fail=422&output=1", 422, 2)],
)
async def test_failures_give_back_unless_something_was_used(
    http: httpx.AsyncClient, database: Database, user: UUID, query: str, status: int, used: int
) -> None:
    assert (await http.post(f"/ask/small?{query}", headers=bearer(user))).status_code == status
    balance = database.balance(user, "integration")
    assert (balance["used"], balance["reserved"]) == (used, 0)


@pytest.mark.parametrize(
    ("mode", "query", "status", "cost"),
    [
        ("held", "", 200, "1.5"), ("held", "used=700", 200, "0.7"), ("held", "fail=503", 503, None),
        ("cost", "", 200, None), ("cost", "used=700", 200, "0.7"), ("cost", "used=700&fail=500", 500, None),
        ("cost", "used=700&fail=409", 409, "0.7"), ("cost", "fail=409", 409, None),
        ("on_start", "", 200, "1.5"), ("on_start", "fail=409", 409, "1.5"), ("on_start", "fail=500", 500, None),
    ],
)  # fmt: skip
async def test_who_pays_when_is_declared_as_for_credits(
    http: httpx.AsyncClient, database: Database, user: UUID, mode: str, query: str, status: int, cost: str | None
) -> None:
    answer = await http.post(f"/{mode}/small?{query}", headers=bearer(user))
    assert answer.status_code == status
    paid = "select coalesce(sum(o.cost_nano), 0) - coalesce((select sum(f.cost_nano) from credits.priced_refunds f "
    paid += "where f.account_id = %s), 0) from credits.priced_operations o where o.account_id = %s"
    assert database.value(paid, user, user) == (0 if cost is None else int(Decimal(cost) * 10**9))
    assert database.balance(user, "integration")["reserved"] == 0
    database.verify(user)


async def test_what_was_charged_at_the_start_is_not_said_again(
    http: httpx.AsyncClient, database: Database, user: UUID
) -> None:
    assert (await http.post("/on_start/small?used=1", headers=bearer(user))).status_code == 500
    assert database.balance(user, "integration")["used"] == 0


async def test_a_model_without_a_price_is_refused_and_a_repeat_costs_once(
    http: httpx.AsyncClient, database: Database, user: UUID
) -> None:
    refused = await http.post("/ask/large", headers=bearer(user))
    assert (refused.status_code, refused.json()["code"]) == (404, "unknown_operation")
    headers = {**bearer(user), "idempotency-key": "k"}
    answers = [await http.post("/ask/small?output=1", headers=headers) for _ in range(3)]
    assert {answer.text for answer in answers} == {answers[0].text}
    assert database.balance(user, "integration")["used"] == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"operation": ""}, {"operation": 5}, {"operation": "a", "quantities": 5}, {"operation": "a", "amount": 2},
        {"operation": "a", "credit_type": "message"}, {"operation": "a", "charge": "later"},
        {"operation": "a", "on_unavailable": "allow"}, {"operation": "a", "at_least": 1}, {},
    ],
    ids=str,
)  # fmt: skip
def test_what_can_never_work_is_refused_where_it_is_declared(wrong: dict[str, Any]) -> None:
    with pytest.raises(WrongDeclaration):
        spend(**wrong)
