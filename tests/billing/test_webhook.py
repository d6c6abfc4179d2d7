"""The webhook: outsiders are refused, what is told is applied once, and an answer is given only when it is so."""

from __future__ import annotations

import copy
import json
import logging
import os
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from sonas_supabase import AsyncCreditsClient, billing
from sonas_supabase.billing import HANDLED, BillingSettings
from sonas_supabase.fastapi import SupabaseAuth
from sonas_supabase.local import free_port
from sonas_supabase.local.stripe import _objects as made
from tests.billing.events import SECRET, Json, message
from tests.billing.killed_app import deliver_and_kill
from tests.billing.story import set_up
from tests.billing.support import served
from tests.billing.test_reader import OBJECTS, event_of
from tests.support.database import Database
from tests.web.support import KEYS, make_app

LONG = os.environ.get("SONAS_PROFILE") == "long"
SETTINGS = BillingSettings(webhook_secrets=("whsec_the_next_one", SECRET))


@pytest.fixture(scope="module")
def url(database: Database) -> Iterator[str]:
    with served(make_app(database, billing=SETTINGS)) as running:
        yield f"{running}/api/billing/webhook"


def now() -> int:
    import time

    return int(time.time())


def paid_pack(database: Database, user: UUID, **given: Any) -> Json:
    """The event that a pack of 100 messages is paid, with its order and session."""
    customer = f"cus_{user.hex}"
    database.call("link_billing_customer", user, customer)
    order = database.call("create_billing_order", user, "message_100")
    session = made.session(
        created=now(), mode="payment", customer=customer, payment_intent=made.new_id("pi"), payment_status="paid",
        status="complete", amount_subtotal=order["amount"], amount_total=order["amount"], **given,
    )  # fmt: skip
    database.call("attach_billing_session", order["order_id"], session["id"])
    return made.event("checkout.session.completed", session, created=now())


def tell(url: str, event: Json, **signing: Any) -> httpx.Response:
    body, headers = message(event, **signing)
    return httpx.post(url, content=body, headers=headers)


def test_an_event_is_applied_and_told_again_is_replayed(url: str, database: Database, user: UUID) -> None:
    event = paid_pack(database, user)
    first = tell(url, event)
    assert (first.status_code, first.json()["outcome"]) == (200, "applied"), first.text
    assert tell(url, event).json()["outcome"] == "replayed"
    assert tell(url, event, secret="whsec_the_next_one").json()["outcome"] == "replayed"
    assert database.balance(user)["remaining"] == 110


def test_ten_at_once_with_ten_ids_are_one(url: str, database: Database, user: UUID) -> None:
    event = paid_pack(database, user)
    types = ["checkout.session.completed", "checkout.session.async_payment_succeeded"]
    events = [{**event, "id": f"evt_{uuid4().hex}", "type": types[turn % 2]} for turn in range(10)]
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda one: tell(url, one), events))
    assert {answer.status_code for answer in answers} == {200}, [answer.text for answer in answers]
    assert database.balance(user)["remaining"] == 110
    database.verify(user)


def test_who_dies_before_the_answer_is_told_again_and_it_counts_once(
    url: str, database: Database, user: UUID, tmp_path: Path
) -> None:
    """200 times: `python -m tests.billing.killed_app 200`."""
    event = paid_pack(database, user)
    deliver_and_kill(database.url, tmp_path / "die", event)
    assert database.balance(user)["remaining"] == 110
    assert tell(url, event).json()["outcome"] == "replayed"
    assert database.balance(user)["remaining"] == 110
    database.verify(user)


def test_a_database_that_is_away_is_a_reason_to_try_again(tmp_path: Path) -> None:
    app = FastAPI()
    client = AsyncCreditsClient.from_url(f"postgresql://postgres@127.0.0.1:{free_port()}/x", timeout=2, retries=0)
    app.include_router(billing.router(client, SupabaseAuth(jwt_secret=KEYS.jwt_secret), settings=SETTINGS))
    with served(app) as running:
        event = made.event("invoice.paid", made.invoice(created=now(), customer="cus_1", lines=[], reason="manual"),
                           created=now())  # fmt: skip
        answer = tell(f"{running}/api/billing/webhook", event)
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("seconds", [-301, 330, -366 * 86400, 10_000])
def test_an_old_or_early_signature_is_refused(url: str, database: Database, user: UUID, seconds: int) -> None:
    event = paid_pack(database, user)
    answer = tell(url, event, signed_at=now() + seconds)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_signature")
    assert database.balance(user)["remaining"] == 10


HEADERS = some.one_of(
    some.none(),
    some.binary(max_size=40),
    some.builds(
        lambda at, proof: f"t={at},v1={proof}".encode(), some.integers(), some.text("0123456789abcdef", max_size=64)
    ),
)


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with httpx.Client() as client:
        yield client


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=some.binary(max_size=300), header=HEADERS)
def test_an_outsider_is_refused_whatever_it_sends(
    url: str, http: httpx.Client, body: bytes, header: bytes | None
) -> None:
    printable = bytes(byte for byte in header or b"" if 32 <= byte < 127 or byte > 159).strip()
    headers: list[tuple[bytes, bytes]] = [(b"stripe-signature", printable)] if header is not None else []
    answer = http.post(url, content=body, headers=headers)
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_body_without_end_is_refused(url: str) -> None:
    answer = httpx.post(url, content=b"x" * (2**20 + 1), headers={"stripe-signature": f"t={now()},v1=00"})
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ({"account": "acct_1"}, "ignored"),
        ({"type": "payout.paid"}, "ignored"),
        ({"type": "invoice.created"}, "ignored"),
        ({"object": "v2.core.event", "created": "2027-03-01T00:00:00Z"}, "ignored"),
        ({"object": "v2.core.event", "created": "2027-03-01T00:00:00Z", "context": "acct_1"}, "ignored"),
    ],
)
def test_what_is_not_for_us_is_kept_and_ignored(
    url: str, database: Database, user: UUID, change: Json, outcome: str
) -> None:
    event = {**paid_pack(database, user), **change}
    answer = tell(url, event)
    assert (answer.status_code, answer.json()["outcome"]) == (200, outcome), answer.text
    assert database.balance(user)["remaining"] == 10
    kept = database.query("select outcome, note from credits.billing_inbox where event_id = %s", event["id"])
    assert [row[0] for row in kept] == ["ignored"]


def test_an_event_of_the_other_mode_changes_nothing(url: str, database: Database, user: UUID) -> None:
    live = BillingSettings(secret_key="sk_live_x", webhook_secrets=(SECRET,))
    event = paid_pack(database, user)
    with served(make_app(database, billing=live)) as running:
        outcomes = [tell(f"{running}/api/billing/webhook", event).json()["outcome"] for _ in range(2)]
    assert outcomes == ["ignored", "replayed"]
    assert database.balance(user)["remaining"] == 10
    # The key was the wrong one: told again by the right one, it was missed and counts.
    assert [tell(url, event).json()["outcome"] for _ in range(2)] == ["applied", "replayed"]
    assert database.balance(user)["remaining"] == 110


def test_another_amount_or_currency_needs_a_look_and_gives_nothing(url: str, database: Database, user: UUID) -> None:
    for change in ({"currency": "eur"}, {"amount_subtotal": 1}):
        event = paid_pack(database, user)
        event["data"]["object"].update(change)
        answer = tell(url, event)
        assert (answer.status_code, answer.json()["outcome"]) == (200, "needs_attention")
    assert database.balance(user)["remaining"] == 10


def test_the_log_has_id_and_type_and_never_the_body(
    url: str, database: Database, user: UUID, caplog: pytest.LogCaptureFixture
) -> None:
    event = paid_pack(database, user)
    event["data"]["object"]["customer_details"] = {"email": "secret@example.com"}
    with caplog.at_level(logging.DEBUG, logger="sonas_supabase"):
        tell(url, event)
        tell(url, {**event, "api_version": "2020-08-27"})
    assert event["id"] in caplog.text
    assert "checkout.session.completed" in caplog.text
    assert "secret@example.com" not in caplog.text


def test_an_unknown_version_is_refused(url: str, database: Database, user: UUID) -> None:
    answer = tell(url, {**paid_pack(database, user), "api_version": "2020-08-27"})
    assert (answer.status_code, answer.json()["code"]) == (400, "unknown_api_version")


@pytest.mark.parametrize("body", [b"{}", b"[]", b"null", b'{"id": "evt_1"}', b"\\xff", json.dumps("x").encode()])
def test_what_is_signed_and_no_event_is_refused(url: str, body: bytes) -> None:
    import hashlib
    import hmac

    proof = hmac.new(SECRET.encode(), f"{now()}.".encode() + body, hashlib.sha256).hexdigest()
    assert httpx.post(url, content=body, headers={"stripe-signature": f"t={now()},v1={proof}"}).status_code == 400


HOSTILE: list[Any] = [
    None,
    -600,
    10**30,
    1.5,
    "abc",
    "",
    [],
    {},
    True,
    "\0",
    "x" * 5000,
    2**63,
    [None],
    {"id": 5},
    1e308,
]


def test_what_is_signed_and_says_what_cannot_be_is_no_reason_to_send_it_again(own_database: Database) -> None:
    """One place of an event at a time is something else; with SONAS_PROFILE=long each of them."""
    set_up(own_database)
    own_database.call("link_billing_customer", own_database.new_user(), "cus_A")
    changed = [
        (kind, place, value)
        for kind, of in OBJECTS.items()
        for place in places(of)
        for value in (HOSTILE if LONG else [random.choice(HOSTILE)])
    ]
    chosen = changed if LONG else random.sample(changed, 60)
    chosen.append(("invoice", ("customer",), {}))
    with (
        served(make_app(own_database, billing=BillingSettings(webhook_secrets=(SECRET,)))) as running,
        httpx.Client() as http,
    ):
        for kind, place, value in chosen:
            event_type = next(name for name in HANDLED if name.rpartition(".")[0] == kind)
            event = copy.deepcopy(event_of(event_type))
            at: Any = event["data"]["object"]
            for step in place[:-1]:
                at = at[step]
            at[place[-1]] = value
            body, headers = message(event)
            answer = http.post(f"{running}/api/billing/webhook", content=body, headers=headers)
            assert answer.status_code in (200, 400), (event_type, place, value, answer.text)


def places(of: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where there is something in an object."""
    for step, value in of.items() if isinstance(of, dict) else enumerate(of) if isinstance(of, list) else ():
        yield (*before, step)
        yield from places(value, (*before, step))
