"""Agents that pay: one signature runs the work once and pays once, whatever goes wrong between."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID, uuid4

import httpx
import pytest
import pytest_asyncio
from fastapi import Depends, FastAPI, HTTPException
from x402.http import FacilitatorConfig, HTTPFacilitatorClient
from x402.http.utils import decode_payment_response_header

from sonas_supabase import AsyncCreditsClient
from sonas_supabase.fastapi import Credits, Spend, SupabaseAuth, spend
from sonas_supabase.prices.x402 import X402, reconcile
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


@pytest.mark.parametrize("text", ["", "\xff", "[]", '{"x402Version": 1}', "[" * 9000 + "]" * 9000, "nonsense"])
async def test_what_is_no_payment_is_refused(shop: Shop, text: str) -> None:
    for sent in (text.encode("latin-1"), base64.b64encode(text.encode("latin-1"))):
        answer = await shop.http.post("/work?a=1", headers={b"payment-signature": sent})
        assert (answer.status_code, shop.runs) == (400, [])


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


async def test_packs_are_offered_to_who_has_an_account_that_keeps_them(
    shop: Shop, database: Database, user: UUID
) -> None:
    database.run(
        "insert into credit_packs (id, name, credit_type, credits, price_cents, currency, expires_after, rank) values "
        "('x402_small', 'Small', 'message', 2, 10, 'usd', null, 91), "
        "('x402_large', 'Large', 'message', 500, 600, 'usd', '12 months', 92), "
        "('x402_euro', 'Euro', 'message', 500, 100, 'eur', null, 93)"
    )
    shop.x402._packs_until = 0
    assert len(offered(await shop.offer()).accepts) == 1, "an address keeps nothing"
    database.call("consume_credits", user, "message", 10)
    required = offered(await shop.offer(**bearer(user)))
    first, *packs = required.accepts
    assert first.amount == "60000"
    assert [(pack.extra["pack"], pack.amount) for pack in packs if str(pack.extra["pack"]).startswith("x402")] == [
        ("x402_large", "6000000")
    ]
    large = next(pack for pack in packs if pack.extra["pack"] == "x402_large")
    agent = Agent(shop.chain)
    paid = await shop.http.post("/work?a=1", headers=agent.sign_offer(required, large) | bearer(user))
    assert (paid.status_code, left(database, str(user))) == (200, 497)
    bought = database.query(
        "select amount, expires_at > now() + interval '11 months' from credit_grants "
        "where account_id = %s and source = 'top_up'", user,
    )  # fmt: skip
    assert bought == [(500, True)]
    database.verify(user)


@pytest.mark.parametrize("signed_in", [False, True])
async def test_a_payment_that_is_called_by_a_name_is_made_once(
    shop: Shop, database: Database, user: UUID, signed_in: bool
) -> None:
    token = bearer(user) if signed_in else {}
    database.call("consume_credits", user, "message", 10)
    agent, name = Agent(shop.chain), f"pay_{uuid4().hex}"
    signed = [agent.sign(await shop.offer(**token), name) | token for _ in range(2)]
    before = shop.chain.settled
    first = await shop.http.post("/work?a=1", headers=signed[0])
    # The same again, by the same signature or another one: the stored answer.
    again = [await shop.http.post("/work?a=1", headers=headers) for headers in signed]
    assert [(answer.status_code, answer.json()) for answer in (first, *again)] == [(200, {"done": "yes"})] * 3
    other = await shop.http.post("/work?a=2", headers=signed[1])
    assert other.status_code == 409
    assert (len(shop.runs), shop.chain.settled - before) == (1, 1)


async def test_a_key_without_an_account_waits_for_the_payer(shop: Shop) -> None:
    key = {"idempotency-key": uuid4().hex}
    signed = Agent(shop.chain).sign(await shop.offer(**key)) | key
    answers = [await shop.http.post("/work?a=1", headers=signed) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert len(shop.runs) == 1


@pytest.mark.parametrize("was_settled", [True, False])
async def test_the_worker_asks_again_what_became_of_a_payment(
    shop: Shop, database: Database, was_settled: bool
) -> None:
    agent = Agent(shop.chain, money=60_000)
    signed = agent.sign(await shop.offer())
    shop.chain.fail = "lost" if was_settled else "settle"
    assert (await shop.http.post("/work?a=1", headers=signed)).status_code == 503
    old = "update credits.x402_payments set claimed_at = now() - interval '10 seconds' where state = 'unknown'"
    database.run(old)
    # While it does not answer, nothing is known.
    assert await reconcile(shop.x402.client, shop.x402.facilitator) == 0
    shop.chain.fail = None
    if not was_settled:
        shop.chain.balances[agent.account.address.lower()] = 0
    database.run(old)
    assert await reconcile(shop.x402.client, shop.x402.facilitator) == 1
    [(state, kept)] = database.query(
        "select state, presented is not null from credits.x402_payments where payer = %s", agent.account.address.lower()
    )
    assert (state, kept) == ("settled" if was_settled else "failed", False)
    shop.x402._away_until = 0
    answer = await shop.http.post("/work?a=1", headers=signed)
    assert (answer.status_code, len(shop.runs)) == ((200, 1) if was_settled else (402, 0))
