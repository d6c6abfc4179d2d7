"""Agents that pay: one signature runs the work once and pays once, whatever goes wrong between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import httpx
import pytest
import pytest_asyncio
from fastapi import Depends, FastAPI, HTTPException
from x402.http import FacilitatorConfig, HTTPFacilitatorClient
from x402.http.utils import decode_payment_response_header

from sonas_supabase import AsyncCreditsClient
from sonas_supabase.fastapi import Credits, Spend, SupabaseAuth, spend
from sonas_supabase.prices.x402 import X402
from tests.fastapi.support import KEYS, Server, bearer, calling, serving
from tests.prices.paying import ASSET, NETWORK, SHOP, Agent, FakeChain, facilitator, offered
from tests.support.database import Database


@dataclass
class Shop:
    http: httpx.AsyncClient
    chain: FakeChain
    x402: X402
    runs: list[str] = field(default_factory=list)
    fail: bool = False

    async def offer(self, path: str = "/work?a=1", **headers: str) -> str:
        answer = await self.http.post(path, headers=headers)
        assert answer.status_code == 402, answer.text
        return answer.headers["payment-required"]


@pytest.fixture(scope="module")
def chain() -> FakeChain:
    return FakeChain()


@pytest.fixture(scope="module")
def loopback(chain: FakeChain) -> Iterator[Server]:
    with serving(facilitator(chain)) as server:
        yield server


@pytest_asyncio.fixture
async def shop(database: Database, chain: FakeChain, loopback: Server) -> AsyncIterator[Shop]:
    chain.fail = None
    client = AsyncCreditsClient.from_url(database.url)
    x402 = X402(
        client=client,
        facilitator=HTTPFacilitatorClient(FacilitatorConfig(url=loopback.url)),
        pay_to=SHOP,
        network=NETWORK,
        asset=ASSET,
        price_per_credit={"message": Decimal("0.02")},
    )
    inner = SupabaseAuth(jwt_secret=KEYS.jwt_secret)
    credits = Credits(x402.spending_client, x402.auth(inner))
    app = FastAPI()
    credits.install(app)
    x402.install(app, auth=inner)

    @app.post("/work")
    async def work(held: Annotated[Spend, Depends(spend("message", 3))]) -> dict[str, str]:
        made.runs.append(str(held.user.id))
        await asyncio.sleep(0)
        if made.fail:
            raise HTTPException(500)
        return {"done": "yes"}

    @app.post("/projects")
    async def projects(held: Annotated[Spend, Depends(spend("project", 1))]) -> None:
        """A place, which no money buys here."""

    async with calling(app) as http:
        made = Shop(http, chain, x402)
        yield made
    await client.close()


def left(database: Database, user: str) -> int:
    return int(
        database.value("select remaining from credit_balances where account_id = %s and credit_type = 'message'", user)
    )


async def test_a_caller_without_a_token_is_told_the_price_and_pays_for_one_call(shop: Shop, database: Database) -> None:
    answer = await shop.http.post("/work?a=1")
    assert (answer.status_code, answer.json()["code"], answer.json()["required"]) == (402, "insufficient_credits", 3)
    assert answer.headers["cache-control"] == "no-store"
    assert "PAYMENT-REQUIRED" in answer.headers["access-control-expose-headers"]
    required = offered(answer.headers["payment-required"])
    [offer] = required.accepts
    assert (offer.amount, offer.pay_to, offer.network, required.x402_version) == ("60000", SHOP, NETWORK, 2)
    agent = Agent(shop.chain)
    paid = await shop.http.post("/work?a=1", headers=agent.sign(answer.headers["payment-required"]))
    assert (paid.status_code, paid.json()) == (200, {"done": "yes"})
    assert decode_payment_response_header(paid.headers["payment-response"]).success
    [user] = shop.runs
    assert left(database, user) == 0
    assert database.value("select kind from credits.accounts where account_id = %s", user) == "payer"
    assert shop.chain.balances[agent.account.address.lower()] == 10**9 - 60_000
    database.verify(UUID(user))


async def test_eight_uses_of_one_signature_are_one_run_and_one_payment(shop: Shop, database: Database) -> None:
    signed = Agent(shop.chain).sign(await shop.offer())
    before = shop.chain.settled
    answers = await asyncio.gather(*(shop.http.post("/work?a=1", headers=signed) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
    assert (len(shop.runs), shop.chain.settled - before) == (1, 1)
    again = await shop.http.post("/work?a=1", headers=signed)
    assert (again.status_code, again.json()["code"]) == (409, "payment_used")
    other = await shop.http.post("/work?a=2", headers=signed)
    assert other.status_code == 409
    assert len(shop.runs) == 1
    database.verify(UUID(shop.runs[0]))


async def test_what_was_settled_and_not_served_is_served_for_the_same_request(shop: Shop, database: Database) -> None:
    signed = Agent(shop.chain).sign(await shop.offer())
    before = shop.chain.settled
    shop.fail = True
    assert (await shop.http.post("/work?a=1", headers=signed)).status_code == 500
    assert (await shop.http.post("/work?a=2", headers=signed)).status_code == 409
    shop.fail = False
    assert (await shop.http.post("/work?a=1", headers=signed)).status_code == 200
    assert (await shop.http.post("/work?a=1", headers=signed)).status_code == 409
    assert shop.chain.settled - before == 1
    assert left(database, shop.runs[-1]) == 0


async def test_an_answer_that_got_lost_is_asked_again_and_never_paid_twice(shop: Shop) -> None:
    signed = Agent(shop.chain).sign(await shop.offer())
    before = shop.chain.settled
    shop.chain.fail = "lost"
    lost = await shop.http.post("/work?a=1", headers=signed)
    assert (lost.status_code, lost.json()["code"]) == (503, "payment_pending")
    assert lost.headers["retry-after"]
    assert shop.runs == []
    # While the facilitator is away there is nothing to be had from it.
    assert "payment-required" not in (await shop.http.post("/work?a=1")).headers
    shop.chain.fail = None
    assert (await shop.http.post("/work?a=1", headers=signed)).status_code == 200
    assert (len(shop.runs), shop.chain.settled - before) == (1, 1)


async def test_without_the_facilitator_the_denial_is_a_plain_one(shop: Shop) -> None:
    signed = Agent(shop.chain).sign(await shop.offer())
    shop.chain.fail = "verify"
    answer = await shop.http.post("/work?a=1", headers=signed)
    assert (answer.status_code, answer.json()["code"]) == (402, "insufficient_credits")
    assert "payment-required" not in answer.headers
    assert shop.runs == []


async def test_a_signed_in_agent_tops_up_its_own_account(shop: Shop, database: Database, user: UUID) -> None:
    database.call("consume_credits", user, "message", 9)
    header = await shop.offer(**bearer(user))
    signed = Agent(shop.chain).sign(header) | bearer(user)
    assert (await shop.http.post("/work?a=1", headers=signed)).status_code == 200
    assert shop.runs == [str(user)]
    # One credit was left and three were bought.
    assert left(database, str(user)) == 1
    wrong = {**signed, "authorization": "Bearer nonsense"}
    assert (await shop.http.post("/work?a=1", headers=wrong)).status_code == 401


async def test_what_money_does_not_cure_is_not_offered(shop: Shop, database: Database, user: UUID) -> None:
    database.call("consume_credits", user, "project", 3)
    denied = await shop.http.post("/projects", headers=bearer(user))
    assert (denied.status_code, denied.json()["code"]) == (402, "limit_reached")
    assert "payment-required" not in denied.headers
    assert (await shop.http.post("/work", headers={"authorization": "X402 guessed"})).status_code == 401


async def test_a_payment_that_is_no_good_pays_for_nothing(shop: Shop) -> None:
    header = await shop.offer()
    poor = Agent(shop.chain, money=1)
    refused = await shop.http.post("/work?a=1", headers=poor.sign(header))
    assert refused.status_code == 402
    assert offered(refused.headers["payment-required"]).error == "insufficient_funds"
    # What was refused moved no money, so with money the same signature is good.
    signed = Agent(shop.chain).sign(header)
    thief: Any = {"payment-signature": signed["payment-signature"][:-8] + "AAAAAAA="}
    assert (await shop.http.post("/work?a=1", headers=thief)).status_code in (400, 402)
    assert (await shop.http.post("/work?a=1", headers={"payment-signature": "x"})).status_code == 400
    cheap = offered(header)
    cheap.accepts[0].amount = "1"
    from x402.http.utils import encode_payment_required_header

    low = await shop.http.post("/work?a=1", headers=Agent(shop.chain).sign(encode_payment_required_header(cheap)))
    assert low.status_code == 402
    assert "matching" in str(offered(low.headers["payment-required"]).error)
    assert shop.runs == []
