"""Odd amounts, keys, ids, sizes and encodings, sent by the service role as a careless backend would."""

from __future__ import annotations

import httpx

from tests.attacks.attack import Attack, those_of
from tests.attacks.attack import attack as add
from tests.attacks.world import World

BOOKED = frozenset({"credits.balances", "credit_grants", "credit_transactions", "usage"})
KEPT = BOOKED | {"credits.idempotency_keys"}
SPEND = {"p_user_id": "{user}", "p_credit_type": "message"}

AMOUNTS = {
    "0": (422, "invalid_amount"),
    "-0": (422, "invalid_amount"),
    "-1": (422, "invalid_amount"),
    "null": (422, "invalid_amount"),
    "9007199254740993": (422, "invalid_amount"),
    "9223372036854775807": (422, "invalid_amount"),
    "9223372036854775808": (400, "22003"),
    "-9223372036854775809": (400, "22003"),
    "1.5": (400, "22P02"),
    "1.0": (400, "22P02"),
    "1e2": (400, "22P02"),
    "1e400": (400, "22P02"),
    "true": (400, "22P02"),
    "[1]": (400, "22P02"),
    "{}": (400, "22P02"),
    '""': (400, "22P02"),
    '"1e2"': (400, "22P02"),
    '"NaN"': (400, "22P02"),
    '"\u0661"': (400, "22P02"),
    '"\uff11"': (400, "22P02"),
    "NaN": (400, "PGRST102"),
    "0x10": (400, "PGRST102"),
    "01": (400, "PGRST102"),
    "1,": (400, "PGRST102"),
}


def one_account(world: World, answer: httpx.Response) -> bool:
    """However the id is written, it is the same account that pays."""
    operation = world.database.value(
        "select account_id from credit_transactions where operation_id = %s", answer.json()["operation_id"]
    )
    return str(operation) == world.ids["user"]


@those_of
def family() -> None:
    for literal, (status, code) in AMOUNTS.items():
        body = f'{{"p_user_id": "{{user}}", "p_credit_type": "message", "p_amount": {literal}}}'
        add(f"the amount {literal!a}", "service", "POST /rpc/consume_credits", status, code, text=body)
    add("the amount twice, the second one nothing", "service", "POST /rpc/consume_credits", 422, "invalid_amount",
        text='{"p_user_id": "{user}", "p_credit_type": "message", "p_amount": 1, "p_amount": 0}')  # fmt: skip
    for name, text in {
        "cut short": '{"p_user_id"',
        "nothing": "",
        "a number": "1",
        "not UTF-8": "\udcff\udcfe",
    }.items():
        status, code = (404, "PGRST202") if name in ("nothing", "a number") else (400, "PGRST102")
        add(f"a body that is {name}", "service", "POST /rpc/consume_credits", status, code, text=text)
    for name, text in {
        "with a NUL": "a\\u0000b",
        "with half a character": "a\\ud800b",
        "with the other half": "a\\udc00",
    }.items():
        for field in ("p_description", "p_idempotency_key"):
            add(f"{field} {name}", "service", "POST /rpc/consume_credits", 400,
                text=f'{{"p_user_id": "{{user}}", "p_credit_type": "message", "{field}": "{text}"}}')  # fmt: skip
    add("a key of nothing", "service", "POST /rpc/consume_credits", 422, "invalid_argument",
        body=SPEND | {"p_idempotency_key": ""})  # fmt: skip
    add("a key that is too long", "service", "POST /rpc/consume_credits", 422, "invalid_argument",
        body=SPEND | {"p_idempotency_key": "k" * 256})  # fmt: skip
    add("a key as long as may be, in four bytes each", "service", "POST /rpc/consume_credits", 200,
        body=SPEND | {"p_idempotency_key": "\U0001f511" * 255}, writes=KEPT)  # fmt: skip
    add("a key with an injection", "service", "POST /rpc/consume_credits", 200, writes=KEPT,
        body=SPEND | {"p_idempotency_key": "'); delete from plans; --"})  # fmt: skip
    add("a text that is too long", "service", "POST /rpc/consume_credits", 422, "invalid_argument",
        body=SPEND | {"p_description": "d" * 2001})  # fmt: skip
    add("metadata that is a list", "service", "POST /rpc/consume_credits", 422, "invalid_argument",
        body=SPEND | {"p_metadata": [1]})  # fmt: skip
    add("metadata that is too large", "service", "POST /rpc/consume_credits", 422, "invalid_argument",
        body=SPEND | {"p_metadata": {"a": "x" * 70_000}})  # fmt: skip
    add("metadata that is too deep", "service", "POST /rpc/consume_credits", 413, "54001",
        text='{"p_user_id": "{user}", "p_credit_type": "message", "p_metadata": '
        + '{"a":' * 20_000 + "1" + "}" * 20_000 + "}")  # fmt: skip
    for name, written in {"in capitals": str.upper, "without hyphens": lambda known: known.replace("-", ""),
                          "in braces": lambda known: f"{{{known}}}"}.items():  # fmt: skip
        add(f"an id {name}", "service", "POST /rpc/consume_credits", 200, body=SPEND, rewrites=written, writes=BOOKED,
            sees=one_account)  # fmt: skip
    for name, value, code in (("of nothing", "", "22P02"), ("with more after it", "{user}'--", "22P02")):
        add(f"an id {name}", "service", "POST /rpc/consume_credits", 400, code, body=SPEND | {"p_user_id": value})
    for credit_type in ("MESSAGE", " message", "message\u200b", "mess\u0430ge", "%", "message' or '1'='1", "*"):
        add(f"the credit type {credit_type!a}", "service", "POST /rpc/consume_credits", 404, "unknown_credit_type",
            body=SPEND | {"p_credit_type": credit_type})  # fmt: skip
    for seconds in (0, -1, 86_401, 2**31 - 1):
        add(f"a hold of {seconds} seconds", "service", "POST /rpc/reserve_credits", 422, "invalid_argument",
            body=SPEND | {"p_ttl_seconds": seconds})  # fmt: skip
    add("a batch of too many", "service", "POST /rpc/consume_credits_batch", 422, "invalid_argument",
        body={"p_user_id": "{user}", "p_items": [{"credit_type": "message"}] * 101})  # fmt: skip
    add("a batch that adds up past all numbers", "service", "POST /rpc/consume_credits_batch", 402,
        "insufficient_credits", writes=frozenset({"usage"}),
        body={"p_user_id": "{user}", "p_items": [{"credit_type": "message", "amount": 2**53}] * 100})  # fmt: skip
    add("a grant that lifts a balance past all numbers", "service", "POST /rpc/grant_credits", 422, "invalid_amount",
        body=SPEND | {"p_amount": 2**53})  # fmt: skip
    add("a spend of all there ever was", "service", "POST /rpc/consume_credits", 402, "insufficient_credits",
        body=SPEND | {"p_amount": 2**53}, writes=frozenset({"usage"}))  # fmt: skip


@family
def test_an_odd_input_is_told_apart(world: World, attack: Attack) -> None:
    attack.run(world)
    world.database.verify()
