"""Payments of which it is not known whether they were settled are claimed by one worker, with what was presented."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from tests.support.database import Database


def claimed(database: Database, state: str) -> dict[str, Any]:
    key = f"x402:eip155:1:0xabc:0xdef:{uuid4()}"
    named = {"network": "eip155:1", "asset": "0xabc", "paid_amount": 1, "presented": {"payload": key}}
    made = database.call("claim_x402_payment", key, "0xdef", "the hash of a request", "message", 1, **named)
    if state != "claimed":
        database.call("finish_x402_payment", key, made["claim_id"], state, "0x1" if state == "settled" else None)
    return {"key": key, **made}


def test_those_that_are_not_known_are_claimed_once(own_database: Database) -> None:
    unknown, fresh, *_ = (
        claimed(own_database, state) for state in ("unknown", "unknown", "claimed", "settled", "failed")
    )
    old = "update credits.x402_payments set claimed_at = now() - interval '10 seconds' where payment_key <> %s"
    own_database.run(old, fresh["key"])
    [payment] = own_database.call("claim_unknown_x402_payments")["payments"]
    assert (payment["payment_key"], payment["presented"]) == (unknown["key"], {"payload": unknown["key"]})
    assert own_database.call("claim_unknown_x402_payments")["payments"] == []
    # Who dies over it leaves it to another.
    own_database.run(
        "update credits.x402_payments set claimed_at = now() - interval '3 minutes' where state = 'unknown'"
    )
    assert len(own_database.call("claim_unknown_x402_payments", 1)["payments"]) == 1


def test_one_whose_server_died_over_it_is_taken_up_by_a_worker(own_database: Database) -> None:
    payment = claimed(own_database, "claimed")
    assert own_database.call("claim_unknown_x402_payments")["payments"] == []
    own_database.run("update credits.x402_payments set claimed_at = now() - interval '3 minutes'")
    [taken] = own_database.call("claim_unknown_x402_payments")["payments"]
    assert (taken["payment_key"], taken["presented"]) == (payment["key"], {"payload": payment["key"]})
    own_database.call("finish_x402_payment", payment["key"], taken["claim_id"], "settled", "0x1")
    assert own_database.value("select sum(amount) from public.credit_grants where source = 'top_up'") == 1
    own_database.verify()


def test_what_was_presented_is_kept_no_longer_than_it_is_needed(own_database: Database) -> None:
    for state in ("unknown", "settled", "failed"):
        claimed(own_database, state)
    kept = own_database.query("select state from credits.x402_payments where presented is not null")
    assert kept == [("unknown",)]
