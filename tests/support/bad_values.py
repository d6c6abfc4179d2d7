"""Values that no function may accept, by the name of the argument: a new function with these names is tried at once.

`scripts/generate_edge.py` asks for a row here when it finds none for any argument of a function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from tests.support.edge import EDGE, FOR_USERS, OF_TEAMS, OPERATIONS, Argument, EdgeFunction

NIL = UUID(int=0)
UNKNOWN = UUID("5aa5aa5a-0000-4000-8000-00000000dead")
ANOTHERS = "another account's"
"""Stands for an id that exists and belongs to somebody else."""

A_MOMENT_AGO = datetime.now(UTC) - timedelta(seconds=1)
LONG = "x" * 2001
AMOUNTS = [0, -1, -(2**63), 2**53 + 1, 2**63 - 1]

# What a call needs to succeed, by argument. `...` is filled in with something of the user's own.
GOOD: dict[str, Any] = {
    "credit_type": "message",
    "amount": 1,
    "reservation_id": ...,
    "operation_id": ...,
    "grant_id": ...,
    "plan_id": "pro",
    "status": "past_due",
    "time_zone": "Europe/Paris",
    "now": datetime.now(UTC) + timedelta(days=40),
    "items": [{"credit_type": "message"}],
    "metadata_key": "model",
    "table": "public.plans",
    "user_column": "id",
    "balance_column": "rank",
    "key": "a hash of method, path and key",
    "fingerprint": "a hash of the request",
    "claim_id": UNKNOWN,
    "http_status": 200,
    "uncollected_id": UNKNOWN,
    "resolution": "forgiven",
    "reason": "insufficient_credits",
    "limit": 5,
    "window": "day",
    "budget_id": ...,
    "key_id": ...,
    "name": "Team",
    "workspace_id": ...,
    "member_id": ...,
    "invitation_id": ...,
    "email": "new@example.com",
    "role": "viewer",
    "token": "no such token",
    "event": {"id": "evt_of_a_try", "type": "a try", "created": "2027-03-01T00:00:00Z"},
    "facts": [],
    "price_id": "price_of_a_try",
    "customer_id": "cus_of_a_try",
    "session_id": "cs_of_a_try",
    "order_id": UNKNOWN,
    "pack_id": "message_100",
    "threshold": 20,
    "monthly_cap": 3,
    "enabled": True,
    "operation": "a priced operation",
    "dimension": "call",
    "nano_per_unit": 5,
    "cost_per_unit": 5,
    "asset": "wei",
    "worth": 3000,
    "book": "default",
    "percents": "{50}",
    "url": "https://example.com/credits",
    "endpoint_id": UNKNOWN,
    "lease_id": UNKNOWN,
    "channel": "webhook:none",
    "results": [],
    "account_id": UNKNOWN,
    "payment_key": "x402:eip155:84532:asset:payer:nonce",
    "payer": "0xabc",
    "network": "eip155:84532",
    "paid_amount": 20000,
    "request_hash": "a hash of the request",
    "state": "unknown",
    "prices": [{"operation": "good", "dimension": "call", "nano_per_unit": 5}],
    "plans": [{"id": "free", "name": "Free"}],
}

Row = tuple[str, str, Any, str, str]
Filter = Callable[[EdgeFunction, Argument], bool]

# Argument, values, slug, SQLSTATE, and for which functions.
_BAD: list[tuple[str, list[Any], str, str, Filter]] = []


def _every(_: EdgeFunction, __: Argument) -> bool:
    return True


def _of_accounts(function: EdgeFunction, _: Argument) -> bool:
    return function.of_an_account


def _must_be_given(_: EdgeFunction, argument: Argument) -> bool:
    return not argument.may_be_null


def _operates(function: EdgeFunction, _: Argument) -> bool:
    return function.name in OPERATIONS


def _except(*names: str) -> Filter:
    """A history may be asked for of an account that is gone."""
    return lambda function, _: function.name not in names


def _only(*names: str) -> Filter:
    return lambda function, _: function.name in names


def _bad(argument: str, values: list[Any], slug: str, state: str, when: Filter = _every) -> None:
    _BAD.append((argument, values, slug, state, when))


# These are about accounts that may be gone.
_OF_WHO_IS_GONE = ("ledger_digest", "record_uncollected", "list_uncollected", "resolve_uncollected")

# Without a user, some functions are about all accounts.
_bad(
    "user_id",
    [None],
    "invalid_argument",
    "PT422",
    lambda f, a: f.name in OF_TEAMS or (_operates(f, a) and (a.required or f.name in FOR_USERS)),
)
# What a payment is of is looked at before whose it is.
_OF_A_PAYMENT = ("claim_x402_payment",)
_bad(
    "user_id",
    [UNKNOWN, NIL],
    "account_not_found",
    "PT404",
    _except(*_OF_WHO_IS_GONE, *_OF_A_PAYMENT, "open_account"),
)
_bad("workspace_id", [UNKNOWN, NIL], "account_not_found", "PT404", _except(*_OF_WHO_IS_GONE, *_OF_A_PAYMENT))
_bad("workspace_id", [ANOTHERS], "account_not_found", "PT404", _operates)
_bad(
    "credit_type",
    [None, "", "MESSAGE", "message "],
    "unknown_credit_type",
    "PT404",
    lambda f, a: (not a.may_be_null or f.name == "set_credit_budget") and _of_accounts(f, a),
)
_bad("credit_type", ["gold"], "unknown_credit_type", "PT404", _of_accounts)
_bad("amount", [None], "invalid_amount", "PT422", _must_be_given)
_bad("amount", AMOUNTS, "invalid_amount", "PT422")
_bad("amount", [3], "invalid_amount", "PT422", _only("refund_credits"))
for _name in ("reservation_id", "operation_id"):
    _bad(_name, [None, UNKNOWN, NIL], _name.replace("_id", "_not_found"), "PT404")
    _bad(_name, [ANOTHERS], _name.replace("_id", "_not_found"), "PT404", lambda f, _: f.of_an_account)
_bad("grant_id", [None, UNKNOWN, NIL, ANOTHERS], "invalid_argument", "PT422")
_bad("idempotency_key", ["", "k" * 256, "k" * 300], "invalid_argument", "PT422")
_bad(
    "metadata",
    [Jsonb([]), Jsonb("text"), Jsonb(5), Jsonb(None), Jsonb({"a": "x" * 65536})],
    "invalid_argument",
    "PT422",
)
_bad("description", [LONG], "invalid_argument", "PT422")
_bad("reason", [LONG], "invalid_argument", "PT422")
_bad("ttl_seconds", [0, -1, 2**31 - 1], "invalid_argument", "PT422")
_bad("ttl_seconds", [None], "invalid_argument", "PT422", _except("create_api_key"))
_bad("ttl_seconds", [86401], "invalid_argument", "PT422", _except("invite_to_workspace", "create_api_key"))
_bad("source", [None, "", "plan", "gift"], "invalid_argument", "PT422", _only("grant_credits"))
_bad(
    "expires_at",
    [datetime(2020, 1, 1, tzinfo=UTC), A_MOMENT_AGO],
    "invalid_argument",
    "PT422",
)
_bad("plan_id", [None], "invalid_argument", "PT422", _except("create_billing_order", "register_billing_price"))
_bad("plan_id", ["", "gold", "PRO"], "invalid_argument", "PT422")
_bad("effective", [None, "", "later"], "invalid_argument", "PT422")
_bad("status", [None, "", "gone"], "invalid_argument", "PT422")
_bad("time_zone", [None, "", "Mars/Olympus"], "invalid_argument", "PT422")
_bad("time_zone", ["UTC+3"], "invalid_argument", "PT422", _of_accounts)
_bad("now", [None, datetime(2020, 1, 1, tzinfo=UTC)], "invalid_argument", "PT422")
_bad("limit", [None, 0, -1, 1001], "invalid_argument", "PT422", _only("get_credit_history"))
_bad("limit", [0, -1], "invalid_argument", "PT422", lambda f, _: not f.of_an_account)
_bad("limit", [None, -1, 2**53 + 1], "invalid_argument", "PT422", _only("set_credit_budget"))
_bad("window", [None, "", "year", "DAY", "rolling"], "invalid_argument", "PT422", _only("set_credit_budget"))
_bad("hours", [0, -1, 5], "invalid_argument", "PT422", _only("set_credit_budget"))
_bad("scope", [None, "", "planet", "role", "metadata"], "invalid_argument", "PT422")
_bad("scope_value", ["", "somebody"], "invalid_argument", "PT422")
_bad("budget_id", [None], "invalid_argument", "PT422")
_bad("budget_id", [UNKNOWN, NIL], "budget_not_found", "PT404")
_bad("cursor", ["", "nonsense", "e30", "bnVsbA", "x" * 10000], "invalid_argument", "PT422")
_bad("search", ["x" * 321], "invalid_argument", "PT422")
_bad("account_ids", [Jsonb({}), Jsonb("text")], "invalid_argument", "PT422")
_bad("bucket", ["", "fortnight of sorts", "0 days"], "invalid_argument", "PT422")
_bad("rule", [0, 99], "invalid_argument", "PT422")
_bad("metadata_key", ["", "k" * 300], "invalid_argument", "PT422", _only("track_metadata_key"))
_bad("user_column", ["no such column"], "invalid_argument", "PT422")
_bad("source_column", ["no such column"], "invalid_argument", "PT422")
_bad("user_key", [None, "", "phone"], "invalid_argument", "PT422")
_bad("rounding", ["", "up"], "invalid_argument", "PT422")
_bad("rows", [Jsonb({}), Jsonb("text")], "invalid_argument", "PT422")
_bad("table", ["", "nowhere at all"], "invalid_argument", "PT422")
ODD_AMOUNTS: list[Any] = [0, -1, 1.5, 2**53 + 1, 2**63, 1e300, "1", None, True, []]

_bad(
    "items",
    [
        None,
        Jsonb(None),
        [],
        {},
        Jsonb("text"),
        [1],
        [None],
        [{"credit_type": "message"}] * 101,
        [{"credit_type": "message", "color": "red"}],
        [{"credit_type": "message", "strict": True}],
        [{"credit_type": 5}],
        [{"credit_type": "message", "metadata": []}],
        [{"credit_type": "message", "description": LONG}],
        [{"credit_type": "message", "description": 5}],
        [{"credit_type": "message", "idempotency_key": ""}],
        [{"credit_type": "message", "idempotency_key": "k" * 300}],
        [{"credit_type": "message"}, {"credit_type": "message", "color": "red"}],
    ],
    "invalid_argument",
    "PT422",
)
_bad(
    "items",
    [[{"credit_type": "message", "amount": amount}] for amount in ODD_AMOUNTS],
    "invalid_amount",
    "PT422",
)
_bad(
    "items",
    [[{}], [{"credit_type": "gold"}], [{"credit_type": None}], [{"credit_type": "message"}, {"credit_type": "gold"}]],
    "unknown_credit_type",
    "PT404",
)

_bad(
    "event",
    [None, Jsonb(None), Jsonb([]), {}, {"id": "evt_1", "type": "x"}, {"id": "evt_1", "type": "x", "created": "soon"}],
    "invalid_argument",
    "PT422",
)
_bad(
    "facts",
    [
        *(None, Jsonb(None), Jsonb({}), [1], [{}]),
        *([{"fact": "something"}], [{"fact": "period_paid", "invoice_id": "in_1"}]),
        [
            {
                "fact": "refund_seen",
                "refund_id": "re_1",
                "charge": "ch_1",
                "amount": -5,
                "status": "x",
                "at": "2027-03-01Z",
            }
        ],
    ],
    "invalid_argument",
    "PT422",
)
_bad("outcome", ["", "lost"], "invalid_argument", "PT422")
_bad("limit", [None, 1001], "invalid_argument", "PT422", _only("list_billing_events", "replay_billing_events"))
_bad("limit", [None, 1001], "invalid_argument", "PT422", _only("list_top_ups", "reconcile_billing"))
for _name in ("price_id", "customer_id", "session_id"):
    _bad(_name, [None, "", "x" * 256], "invalid_argument", "PT422")
_bad("order_id", [None, UNKNOWN], "invalid_argument", "PT422")
_bad("pack_id", ["", "gold"], "invalid_argument", "PT422")
_bad("pack_id", [None], "invalid_argument", "PT422", _except("claim_x402_payment"))
_bad("identifier", ["", "short", "with a blank in it", "x" * 200], "invalid_argument", "PT422")
_bad("presented", [Jsonb("x"), [1], {"payload": "x" * 40_000}], "invalid_argument", "PT422")
_bad("quantity", [None, 0, -1, 1001], "invalid_argument", "PT422", _only("create_billing_order"))
_bad("interval", [None, "", "week"], "invalid_argument", "PT422", _only("register_billing_price"))
for _name in ("threshold", "monthly_cap"):
    _bad(_name, [None, 0, -1], "invalid_argument", "PT422")
_bad("enabled", [None], "invalid_argument", "PT422")

for _name in ("key", "fingerprint"):
    _bad(_name, [None, "", "k" * 256], "invalid_argument", "PT422", _except("find_api_key"))
_bad("claim_id", [None], "invalid_argument", "PT422")
_bad("lease_seconds", [None, 0, -1, 3601], "invalid_argument", "PT422")
_bad("http_status", [None, 0, 99, 600], "invalid_argument", "PT422")
_bad("headers", [Jsonb([]), Jsonb(None), Jsonb({"a": "x" * 16384})], "invalid_argument", "PT422")
_bad("body", ["no base64!", "a"], "invalid_argument", "PT422")
_bad(
    "reason", [None, "", "r" * 256, "Some words", "slug-ish"], "invalid_argument", "PT422", _only("record_uncollected")
)
_bad("kind", [None, "", "debt"], "invalid_argument", "PT422", _only("record_uncollected"))
_bad(
    "operation",
    [None, "", "no such operation", "a priced*"],
    "unknown_operation",
    "PT404",
    _only("consume_operation", "reserve_operation", "quote_operation"),
)
_bad("operation", [None, "", "a*b", "x" * 201], "invalid_argument", "PT422", _only("set_price", "set_provider_cost"))
_bad("operation", [None, "no such operation"], "invalid_argument", "PT422", _only("end_price"))
_bad("dimension", [None, "", "Call"], "invalid_argument", "PT422")
_bad(
    "quantities",
    [Jsonb([]), {}, {"call": -1}, {"call": "1e5"}, {"call": None}, {"bytes": 1}],
    "invalid_argument",
    "PT422",
    _except("capture_operation"),
)
_bad(
    "quantities", [Jsonb([]), {}, {"call": -1}, {"call": "x"}], "invalid_argument", "PT422", _only("capture_operation")
)
_bad("book", ["", "no such book"], "invalid_argument", "PT422")
_bad("nano_per_unit", [None, -1, "NaN"], "invalid_argument", "PT422")
_bad("cost_per_unit", [None, -1, "NaN"], "invalid_argument", "PT422")
_bad("worth", [None, 0, -1, "NaN"], "invalid_argument", "PT422")
_bad("asset", [None, "", "Ether"], "invalid_argument", "PT422", _except("claim_x402_payment"))
_bad("prices", [None, Jsonb("x"), [1], [{}], [{"operation": "a", "dimension": "call"}]], "invalid_argument", "PT422")
_bad("plans", [None, Jsonb("x"), [1], [{}], [{"id": "Not a slug"}]], "invalid_argument", "PT422")
_bad("payment_key", [None, "", "short"], "invalid_argument", "PT422")
_bad("request_hash", [None, "", "x" * 200], "invalid_argument", "PT422")
_bad("paid_amount", [None, 0, -1], "invalid_argument", "PT422", _only("claim_x402_payment"))
_bad("uncollected_id", [None, UNKNOWN], "invalid_argument", "PT422")
_bad("resolution", [None, "", LONG], "invalid_argument", "PT422")

_bad("workspace_id", [None], "invalid_argument", "PT422", lambda _, a: a.asked_for)
_bad("name", ["", "   ", "n" * 201], "invalid_argument", "PT422")
_bad("name", [None], "invalid_argument", "PT422", _except("set_price_book", "set_prices"))
_bad("email", [None, "", "nobody", "a@", "@b", "a b@c", "a@b" + "c" * 320], "invalid_argument", "PT422")
_bad("role", [None, "", "king", "OWNER"], "invalid_argument", "PT422")
_bad("member_id", [None], "invalid_argument", "PT422")
_bad("member_id", [UNKNOWN, NIL], "member_not_found", "PT404")
_bad("invitation_id", [None], "invalid_argument", "PT422")
_bad("invitation_id", [UNKNOWN, NIL], "invitation_not_found", "PT404")
_bad("key_id", [None], "invalid_argument", "PT422")
_bad("key_id", [UNKNOWN, NIL], "key_not_found", "PT404")
_bad("key", ["sonas_" + "0" * 96, "sonas_"], "key_not_found", "PT404", _only("find_api_key"))
_bad("token", [None], "invalid_argument", "PT422")
_bad(
    "token",
    ["", "nonsense", "inv_" + "0" * 96],
    "invitation_not_found",
    "PT404",
    _only("accept_workspace_invitation"),
)

_MANY = "{" + ",".join(["50"] * 101) + "}"
_bad("percents", ["{0}", "{101}", "{50,null}", "{1,2,3,4,5,6,7,8,9,10,11}", _MANY], "invalid_argument", "PT422")
_bad("amounts", ["{-1}", "{null}", "{9007199254740993}", _MANY], "invalid_argument", "PT422")
_bad("notification_ids", ["{" + ",".join([str(NIL)] * 1001) + "}"], "invalid_argument", "PT422")
_bad("url", [None, "", "ftp://example.com", "https://", "javascript:alert(1)"], "invalid_argument", "PT422")
_bad("url", ["https://u:p@example.com/", "https://" + "x" * 2000], "invalid_argument", "PT422")
_bad("kinds", ["{}", "{credits.lvl}", "{null}"], "invalid_argument", "PT422")
_bad("endpoint_id", [None, UNKNOWN, NIL], "endpoint_not_found", "PT404")
_bad("message_id", [UNKNOWN, NIL], "message_not_found", "PT404")
_bad("limit", [None, 0, -1, 10001], "invalid_argument", "PT422", _only("tend_messages", "claim_messages"))
_bad("limit", [None, 0, -1, 1001], "invalid_argument", "PT422", _only("list_credit_dead_letters", "list_notifications"))
_bad("per_channel", [None, 0, 1001], "invalid_argument", "PT422")
_bad("lease_id", [None], "invalid_argument", "PT422", _only("claim_messages"))
_bad("token", [None, "", "x", "A" * 64], "invalid_argument", "PT422", _only("unsubscribe_credit_mail"))
_bad("results", [None, Jsonb(None), Jsonb({}), Jsonb("text")], "invalid_argument", "PT422")

ARGUMENTS = frozenset(argument for argument, *_ in _BAD)
"""The names of arguments for which there are bad values."""


def rows() -> Iterator[Row]:
    """Function, argument, value, slug and SQLSTATE of every case."""
    for function in EDGE.values():
        arguments = {argument.name: argument for argument in function.arguments}
        for name, values, slug, state, when in _BAD:
            if name in arguments and when(function, arguments[name]):
                yield from ((function.name, name, value, slug, state) for value in values)


def good(function: str) -> dict[str, Any]:
    """What a call needs beside the user to succeed. A KeyError names the argument that GOOD above lacks."""
    return {
        argument.name: GOOD[argument.name]
        for argument in EDGE[function].arguments
        if argument.required and argument.name != "user_id"
    }
