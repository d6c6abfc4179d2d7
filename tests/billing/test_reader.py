"""From a signed body to facts: who signed it, when, what it says, and what is refused."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import stripe
import stripe.billing_portal
import stripe.checkout
import stripe.radar
from hypothesis import given, settings
from hypothesis import strategies as some

from sonas_supabase.billing import HANDLED, LEFT_ALONE, SUBSCRIBED, BillingEvent, Refused, read_event, read_webhook
from sonas_supabase.billing._endive import read_types
from sonas_supabase.local.stripe import _objects as made
from sonas_supabase.local.stripe import signed
from tests.billing.events import SECRET, Json, at, message

ROOT = Path(__file__).resolve().parents[2]
NOW = at("2027-03-01")
MARCH: dict[str, Any] = {"start": NOW, "end": at("2027-04-01")}
PRICE = made.price(created=NOW, product="prod_1", currency="usd", unit_amount=2000, interval="month", id="price_st")
ITEM = made.subscription_item(created=NOW, price=PRICE, quantity=3, id="si_1", **MARCH)
SUBSCRIPTION = made.subscription(created=NOW, customer="cus_A", items=[ITEM], status="active", id="sub_1")
LINE = made.line(amount=6000, price="price_st", quantity=3, subscription="sub_1", item="si_1", id="il_1", **MARCH)
INVOICE = made.invoice(
    created=NOW, customer="cus_A", lines=[LINE], reason="subscription_create", subscription="sub_1", tax=1200,
    proration_at=at("2027-03-16 12:00"), id="in_1", amount_paid=7200,
)  # fmt: skip
INTENT = made.payment_intent(
    created=NOW, amount=600, currency="usd", customer="cus_A", status="succeeded", id="pi_1", latest_charge="ch_1"
)
SESSION = made.session(
    created=NOW, mode="payment", id="cs_1", customer="cus_A", payment_intent="pi_1", payment_status="paid",
    amount_subtotal=500, amount_total=600, total_details={"amount_discount": 0, "amount_tax": 100},
)  # fmt: skip
REFUND = made.refund(created=NOW, payment_intent=INTENT, amount=240, status="succeeded", id="re_1")
DISPUTE = made.dispute(created=NOW, payment_intent=INTENT, status="needs_response", id="dp_1")
NOTE = made.credit_note(created=NOW, invoice=INVOICE, total=100, total_excluding_tax=0, refunds=[REFUND])
CUSTOMER = made.customer(created=NOW, id="cus_A", email="ann@example.com")
CARD = made.payment_method(created=NOW, customer="cus_A", id="pm_1")
PAYMENT = made.invoice_payment(created=NOW, invoice="in_1", payment_intent="pi_1", amount=7200, currency="usd")
WARNING = made.early_fraud_warning(created=NOW, payment_intent=INTENT)

OBJECTS: dict[str, Json] = {
    "customer.subscription": SUBSCRIPTION,
    "invoice": INVOICE,
    "payment_intent": INTENT,
    "invoice_payment": PAYMENT,
    "checkout.session": SESSION,
    "refund": REFUND,
    "credit_note": NOTE,
    "charge.dispute": DISPUTE,
    "radar.early_fraud_warning": WARNING,
    "customer": CUSTOMER,
    "payment_method": CARD,
}


def event_of(event_type: str, of: Json | None = None, **more: Any) -> Json:
    return made.event(event_type, of or OBJECTS[event_type.rpartition(".")[0]], created=NOW, **more)


def fact_of(event_type: str, of: Json | None = None, **more: Any) -> Json:
    [fact] = read_event(event_of(event_type, of, **more)).facts
    return fact


def ignored(event: Json, **more: Any) -> str:
    read = read_event(event, **more)
    assert not read.facts
    return str(read.event["ignored"])


# Who has signed it, and when


def read(body: bytes, header: str | None, *secrets: str) -> BillingEvent:
    return read_webhook(body, header, secrets or (SECRET,), now=NOW)


def test_a_body_that_one_of_the_secrets_has_signed_is_read() -> None:
    body, headers = message(event_of("invoice.paid"), signed_at=NOW)
    header = headers["stripe-signature"]
    assert read(body, header, "whsec_new", SECRET).type == "invoice.paid"
    other = signed(body.decode(), "whsec_new", NOW).partition(",")[2]
    assert read(body, f"{header},{other}", "whsec_new").type == "invoice.paid"
    assert read(body, f"t={NOW},{other},{header.partition(',')[2]}").type == "invoice.paid"


@pytest.mark.parametrize("seconds", [-301, 301, 10_000])
def test_a_signature_of_another_time_is_refused(seconds: int) -> None:
    body, headers = message(event_of("invoice.paid"), signed_at=NOW + seconds)
    with pytest.raises(Refused, match="five minutes"):
        read(body, headers["stripe-signature"])


@pytest.mark.parametrize("seconds", [-300, 300])
def test_a_clock_may_be_five_minutes_off(seconds: int) -> None:
    body, headers = message(event_of("invoice.paid"), signed_at=NOW + seconds)
    assert read(body, headers["stripe-signature"]).facts


@pytest.mark.parametrize(
    "header",
    [None, "", "t=1", "v1=00", f"t={NOW}", f"t={NOW},v1=", f"t={NOW},v1=é", f"t={NOW},v0=00", "t=9" * 99, "t=²,v1=0",
     f"t={NOW},v1={'0' * 64}", f"t={'9' * 5000},v1=00", ","],
)  # fmt: skip
def test_a_header_that_proves_nothing_is_refused(header: str | None) -> None:
    body, _ = message(event_of("invoice.paid"))
    with pytest.raises(Refused):
        read(body, header)


def test_nothing_is_believed_without_a_secret() -> None:
    body, headers = message(event_of("invoice.paid"), secret="x", signed_at=NOW)
    for secrets in ([], ["y"], [""]):
        with pytest.raises(Refused):
            read_webhook(body, headers["stripe-signature"], secrets, now=NOW)


# What is no event


def signed_bytes(body: bytes) -> str:
    """Signs what is no text, as nobody but the holder of the secret can."""
    import hashlib
    import hmac

    return f"t={NOW},v1={hmac.new(SECRET.encode(), f'{NOW}.'.encode() + body, hashlib.sha256).hexdigest()}"


NONSENSE = [
    b"", b"\xff\xfe", b"[]", b"1", b"null", b'"event"', b"{", b"{}", b"NaN", b'{"id": NaN}', b"[" * 100_000,
    b'{"id": "evt_1"}', b'{"id": 5, "type": "invoice.paid"}',
    b'{"id": "evt_1", "type": "invoice.paid", "created": "now"}',
    b'{"id": "\\ud800", "type": "x", "created": 1}', b'{"id": "\\u0000", "type": "x", "created": 1}', b'{"id": 1e999}',
    b"1" * 5000, b'{"object": "v2.core.event", "id": "evt_1", "type": "v1.invoice.paid", "created": 5}',
]  # fmt: skip


@pytest.mark.parametrize("body", NONSENSE, ids=range(len(NONSENSE)))
def test_what_is_no_event_is_refused_also_when_it_is_signed(body: bytes) -> None:
    with pytest.raises(Refused):
        read(body, signed_bytes(body))


def holes(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of an object at which something else may stand."""
    yield path
    if isinstance(value, dict):
        for name, part in value.items():
            yield from holes(part, (*path, name))
    elif isinstance(value, list):
        for place, part in enumerate(value):
            yield from holes(part, (*path, place))


def replaced(value: Any, path: tuple[Any, ...], by: Any) -> Any:
    if not path:
        return by
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], by)
    return copy


ODD: list[Any] = [None, "", "odd", -1, 2**70, 1.5, True, [], [None], ["x"], {}, {"id": 5}, {"data": 1}, [[]]]


@pytest.mark.parametrize("event_type", sorted(HANDLED))
def test_whatever_stands_where_in_an_event_it_is_read_or_refused(event_type: str) -> None:
    event = event_of(event_type)
    for path in holes(event):
        for odd in ODD:
            try:
                found = read_event(replaced(event, path, odd)) if path else None
            except Refused:
                continue
            json.dumps(found.facts if found else [], allow_nan=False)


JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.text(max_size=5),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None)
@given(of=JSON, event_type=some.sampled_from(sorted(HANDLED)))
def test_random_objects_are_read_or_refused(of: Any, event_type: str) -> None:
    body = json.dumps({**event_of(event_type), "data": {"object": of}}).encode()
    try:
        read(body, signed_bytes(body))
    except Refused:
        return


def test_an_unknown_api_version_is_refused_aloud(caplog: pytest.LogCaptureFixture) -> None:
    for version in ("2025-03-31.basil", "2019-01-01", None):
        with pytest.raises(Refused, match="API version"):
            read_event({**event_of("invoice.paid"), "api_version": version})
    assert "sonas stripe push" in caplog.text
    assert read_event({**event_of("invoice.paid"), "api_version": "2026-11-20.endive"}).facts


# What is left alone


def test_what_is_not_ours_is_kept_and_ignored() -> None:
    paid = event_of("invoice.paid")
    assert "connected account" in ignored({**paid, "account": "acct_1"})
    assert "test mode" in ignored(paid, livemode=True)
    assert "live mode" in ignored({**paid, "livemode": True}, livemode=False)
    assert read_event({**paid, "livemode": True}, livemode=None).facts
    assert "Nothing here needs" in ignored(event_of("payout.paid", PAYMENT))
    assert "wrong kind of destination" in ignored(
        {"object": "v2.core.event", "id": "evt_1", "type": "v1.invoice.paid", "created": "2027-03-01T00:00:00.000Z"}
    )
    assert ignored(event_of("checkout.session.completed", {**SESSION, "mode": "setup"}))
    assert ignored(event_of("payment_method.attached", {**CARD, "customer": None}))


@pytest.mark.parametrize("event_type", sorted(LEFT_ALONE))
def test_a_type_that_is_left_alone_says_why(event_type: str) -> None:
    assert ignored(event_of(event_type, PAYMENT)).startswith("Left alone: ")


def test_of_the_families_that_are_read_every_type_is_handled_or_left_alone() -> None:
    """The SDK's parameters name all types there are."""
    source = inspect.getsource(import_module("stripe.params._webhook_endpoint_create_params"))
    there = set(re.findall(r'"([a-z][a-z_]*\.[a-z_.]+)"', source))
    known = set(HANDLED) | set(LEFT_ALONE)
    families = {name.partition(".")[0] for name in known}
    assert known == {name for name in there if name.partition(".")[0] in families}
    assert set(SUBSCRIBED) <= there


def test_each_handled_type_has_its_reader_and_gives_its_fact() -> None:
    assert read_types() == set(HANDLED)
    assert not set(HANDLED) & set(LEFT_ALONE)
    for known in HANDLED.values():
        assert fact_of(known.name)["fact"] == known.fact


# What it says


def test_a_subscription_is_read_by_its_items() -> None:
    of = {
        **SUBSCRIPTION,
        "pause_collection": {"behavior": "void", "resumes_at": at("2027-05-10")},
        "status_details": {"paused": {"subscription": {"type": "pause_requested"}, "type": "subscription"}},
        "cancellation_details": {"reason": "payment_failed"},
        "trial_end": at("2027-03-15"),
    }
    fact = fact_of("customer.subscription.updated", of)
    assert fact["items"] == [
        {"item_id": "si_1", "price_id": "price_st", "quantity": 3, "period_start": "2027-03-01T00:00:00+00:00",
         "period_end": "2027-04-01T00:00:00+00:00"}
    ]  # fmt: skip
    assert fact["collection_paused"] == {"behavior": "void", "resumes_at": "2027-05-10T00:00:00+00:00"}
    assert (fact["paused_reason"], fact["end_reason"]) == ("pause_requested", "payment_failed")
    assert (fact["status"], fact["customer_id"], fact["items_incomplete"]) == ("active", "cus_A", False)
    assert fact["at"] == fact["anchor"] == "2027-03-01T00:00:00+00:00"
    assert fact_of("customer.subscription.trial_will_end", of)["alert"] == "trial_ending"


def test_a_paid_invoice_is_read_by_the_paths_of_its_version() -> None:
    of = {**INVOICE, "customer": CUSTOMER, "payments": made.listed([PAYMENT])}
    fact = fact_of("invoice.paid", of)
    assert (fact["subscription_id"], fact["customer_id"], fact["tax"], fact["total"]) == ("sub_1", "cus_A", 1200, 7200)
    assert fact["total_excluding_tax"] == 6000
    assert fact["proration_at"] == "2027-03-16T12:00:00+00:00"
    assert fact["payments"] == [{"payment_intent": "pi_1", "charge": None}]
    assert fact["lines"] == [
        {"line_id": "il_1", "price_id": "price_st", "quantity": 3, "amount": 6000, "proration": False,
         "period_start": "2027-03-01T00:00:00+00:00", "period_end": "2027-04-01T00:00:00+00:00",
         "subscription_item": "si_1"}
    ]  # fmt: skip
    once = made.line(amount=500, price="price_p5", quantity=1, start=NOW, end=NOW)
    single = fact_of("invoice.paid", made.invoice(created=NOW, customer="cus_A", lines=[once], reason="manual"))
    assert (single["subscription_id"], single["lines"][0]["subscription_item"]) == (None, None)
    assert fact_of("invoice.paid", {**of, "lines": made.listed([LINE], has_more=True)})["lines_incomplete"] is True


def test_money_that_goes_back_is_read() -> None:
    assert (
        fact_of("refund.failed", {**REFUND, "status": "failed", "failure_reason": "declined"})["reason"] == "declined"
    )
    note = fact_of("credit_note.created")
    assert (note["refund_ids"], note["total_excluding_tax"], note["voided"]) == (["re_1"], 0, False)
    assert fact_of("credit_note.voided")["voided"] is True
    assert fact_of("charge.dispute.created")["kind"] == "dispute"
    assert fact_of("radar.early_fraud_warning.created")["kind"] == "early_warning"


def test_a_card_has_changed_when_it_says_so() -> None:
    card = {"invoice_settings": {"default_payment_method": None}}
    assert fact_of("customer.updated", before=card)["card_changed"] is True
    assert fact_of("customer.updated", before={"email": "x"})["card_changed"] is False
    assert fact_of("payment_method.attached")["card_changed"] is True


# Where it is: the SDK's types know each field


CLASSES: dict[str, Any] = {
    known.OBJECT_NAME: known
    for known in (
        stripe.Event, stripe.Customer, stripe.PaymentMethod, stripe.Product, stripe.Price, stripe.Subscription,
        stripe.SubscriptionItem, stripe.Invoice, stripe.InvoiceLineItem, stripe.InvoicePayment, stripe.PaymentIntent,
        stripe.Refund, stripe.Dispute, stripe.CreditNote, stripe.WebhookEndpoint, stripe.checkout.Session,
        stripe.billing_portal.Session, stripe.radar.EarlyFraudWarning,
    )
}  # fmt: skip


def unknown_fields(value: Any, of: Any, path: str) -> Iterator[str]:
    """The fields of an object that its class does not have, through the classes that are nested in it."""
    if isinstance(value, list):
        for part in value:
            yield from unknown_fields(part, of, path)
    if not isinstance(value, dict):
        return
    of = CLASSES.get(str(value.get("object")), of)
    if value.get("object") == "list":
        yield from unknown_fields(value["data"], None, f"{path}.data")
    elif of is not None:
        for name, part in value.items():
            if name not in of.__annotations__:
                yield f"{path}.{name}"
            inner = "".join(word.title() for word in name.split("_"))
            nested = [getattr(of, given, None) for given in (inner, inner.removesuffix("s"), "TotalTax")]
            yield from unknown_fields(part, next(filter(None, nested[: 3 if name == "total_taxes" else 2]), None),
                                      f"{path}.{name}")  # fmt: skip


@pytest.mark.parametrize("name", [*OBJECTS, "event", "price", "product", "webhook_endpoint"])
def test_no_object_has_a_field_that_the_sdk_does_not_know(name: str) -> None:
    others: dict[str, Json] = {
        "event": event_of("invoice.paid"),
        "price": PRICE,
        "product": made.product(created=NOW, name="Pro"),
        "webhook_endpoint": made.webhook_endpoint(created=NOW, url="http://localhost", enabled_events=["invoice.paid"]),
    }
    of = OBJECTS.get(name) or others[name]
    assert list(unknown_fields(of, None, of["object"])) == []


def test_the_guard_of_fields_finds_one_that_is_gone() -> None:
    assert list(unknown_fields({**INVOICE, "subscription": "sub_1"}, None, "invoice")) == ["invoice.subscription"]
    line = {**LINE, "pricing": {"price": "price_st"}}
    assert list(unknown_fields(line, None, "line")) == ["line.pricing.price"]


def test_mypy_finds_a_path_that_is_gone(tmp_path: Path) -> None:
    """Each path of the reader, put back to what it was in an older version of the API, is an error of types."""
    source = (ROOT / "sonas_supabase" / "billing" / "_endive.py").read_text()
    gone = {
        "time(origin.subscription_proration_date) if origin": "time(it.subscription_proration_date) if origin",
        "id_of(price.price) if price else None": "id_of(line.price)",
        "time(item.current_period_start)": "time(item.period_start)",
        "entries(it.total_taxes)": "entries(it.total_tax_amounts)",
        "object_of(payment.payment)": "object_of(payment.payment_intent)",
        "text(it.failure_reason)": "text(it.failed_because)",
    }
    for now, before in gone.items():
        assert now in source, now
        source = source.replace(now, before, 1)
    (tmp_path / "older.py").write_text(source)
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", str(tmp_path / "older.py")],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    errors = [line for line in checked.stdout.splitlines() if "[attr-defined]" in line]
    assert len(errors) == len(gone), checked.stdout
