"""Calls and gas of a real chain are held, charged by the receipt, and given back where nothing was done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from sonas_supabase import CreditsClient, InsufficientCredits, UnknownOperation
from sonas_supabase.prices import RpcCall, RpcMeter, RpcProblem, meter_rpc
from tests.prices.chain import DEPLOY, Chain
from tests.support.database import Database

GWEI, ETHER = 10**9, 10**18


@pytest.fixture(scope="module")
def chain() -> Chain:
    return Chain()


@pytest.fixture
def credits(database: Database) -> Iterator[CreditsClient]:
    with CreditsClient.from_url(database.url) as client:
        client.set_price_book("default", credits_per_unit=100)
        client.set_price("local:*", "call", 300_000_000)
        client.set_exchange_rate("wei", 3000, per=ETHER)
        client.set_provider_cost("local:gas", "wei", 1, asset="wei", markup=Decimal("1.5"))
        yield client


@pytest.fixture
def meter(credits: CreditsClient, chain: Chain, database: Database) -> RpcMeter:
    user = database.new_user()
    credits.grant_credits(user, "integration", 10_000, source="top_up")
    return meter_rpc(credits, user, chain, chain="local")


def held(meter: RpcMeter, database: Database) -> int:
    return int(database.balance(meter.user_id, "integration")["reserved"])


def transfer(chain: Chain, to: str, **more: Any) -> dict[str, Any]:
    return {
        "from": chain.accounts[0],
        "to": to,
        "value": 1,
        "maxFeePerGas": 20 * GWEI,
        "maxPriorityFeePerGas": GWEI,
        **more,
    }


def settle(meter: RpcMeter, transaction: dict[str, Any], send: Callable[[RpcCall], Any]) -> None:
    with meter.transaction(transaction) as call:
        send(call)


def spent(database: Database, user: Any) -> list[tuple[str, Decimal, str | None]]:
    rows = database.query(
        "select metadata ->> 'operation', (metadata ->> 'cost_nano')::numeric / 1e9, metadata ->> 'outcome' "
        "from usage where account_id = %s and status = 'allowed' order by created_at",
        user,
    )
    return [(operation, Decimal(cost), outcome) for operation, cost, outcome in rows]


def test_a_method_is_charged_and_one_that_the_chain_refuses_is_not(meter: RpcMeter, database: Database) -> None:
    assert int(meter.call("eth_blockNumber"), 16) >= 0
    with pytest.raises(LookupError):
        meter.call("eth_nonsense")
    assert spent(database, meter.user_id) == [("local:eth_blockNumber", Decimal("0.3"), None)]
    assert held(meter, database) == 0
    database.verify(meter.user_id)


def test_gas_is_held_at_its_limit_and_charged_by_the_receipt(meter: RpcMeter, chain: Chain, database: Database) -> None:
    with meter.transaction(transfer(chain, chain.accounts[1], gas=100_000)) as call:
        # 100,000 gas at 20 gwei: 0.002 ether, 6 dollars, 600 credits, 900 with the markup.
        assert held(meter, database) == 900
        call.transaction_hash = chain("eth_sendTransaction", [transfer(chain, chain.accounts[1], gas=100_000)])
    assert call.outcome == "ok"
    assert call.receipt is not None
    assert call.charge is not None
    wei = int(call.receipt["gasUsed"], 16) * int(call.receipt["effectiveGasPrice"], 16)
    assert int(call.receipt["gasUsed"], 16) == 21_000
    assert call.charge.cost == Decimal(wei) / ETHER * 3000 * 100 * Decimal("1.5")
    assert held(meter, database) == 0
    database.verify(meter.user_id)


def test_a_reverted_transaction_has_used_its_gas(meter: RpcMeter, chain: Chain, database: Database) -> None:
    contract = chain.deploy(DEPLOY)
    sent = transfer(chain, contract, gas=90_000, value=0)
    with meter.transaction(sent) as call:
        call.transaction_hash = chain("eth_sendTransaction", [sent])
    assert call.outcome == "reverted"
    assert call.charge is not None
    assert call.charge.cost > 0
    assert spent(database, meter.user_id)[-1][2] == "reverted"


def test_what_was_never_sent_costs_nothing_and_what_has_no_receipt_stays_held(
    meter: RpcMeter, chain: Chain, database: Database
) -> None:
    sent = transfer(chain, chain.accounts[1])
    with pytest.raises(ZeroDivisionError):
        settle(meter, sent, lambda _: 1 // 0)
    assert held(meter, database) == 0
    assert "eth_estimateGas" in chain.asked

    def without_receipt(call: RpcCall) -> None:
        assert held(meter, database) > 0
        call.transaction_hash = "0x1"
        meter.settle(call, {"status": "0x1"})

    with pytest.raises(RpcProblem):
        settle(meter, {**sent, "gas": 21_000}, without_receipt)
    assert held(meter, database) > 0
    assert spent(database, meter.user_id) == []


def test_without_a_price_or_credits_nothing_is_asked_of_the_chain(
    meter: RpcMeter, credits: CreditsClient, chain: Chain, database: Database
) -> None:
    asked = len(chain.asked)
    with pytest.raises(UnknownOperation):
        meter_rpc(credits, meter.user_id, chain, chain="solana").call("getSlot")
    poor = meter_rpc(credits, database.new_user(), chain, chain="local")
    with pytest.raises(InsufficientCredits):
        settle(poor, transfer(chain, chain.accounts[1], gas=100_000), lambda _: 1 // 0)
    assert len(chain.asked) == asked
