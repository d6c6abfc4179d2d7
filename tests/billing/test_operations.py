"""What an operator and a worker do: what was not heard is applied once, what differs is said, top-ups are paid."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
import pytest_asyncio

from sonas_supabase import AsyncCreditsClient, CreditsClient
from sonas_supabase.billing import BillingSettings, Operations, work_once
from sonas_supabase.local import free_port
from sonas_supabase.local.stripe import _objects as made
from tests.billing.events import message
from tests.billing.support import Double, Selling, press
from tests.support.database import Database

SINCE = datetime.now(UTC) - timedelta(days=1)


@pytest.fixture
def client(database: Database) -> Iterator[CreditsClient]:
    with CreditsClient.from_url(database.url, pool_size=1) as client:
        yield client


@pytest_asyncio.fixture
async def worker(database: Database) -> AsyncIterator[AsyncCreditsClient]:
    async with AsyncCreditsClient.from_url(database.url, pool_size=1) as client:
        yield client


def settings(double: Double) -> BillingSettings:
    keys = double.keys
    return BillingSettings(
        secret_key=keys.secret_key, webhook_secrets=(keys.webhook_secret,), api_base=double.url, app_url="http://app"
    )


def sold_unheard(double: Double, client: CreditsClient, user: UUID) -> None:
    """A pack is paid, and nobody here hears of it."""
    from sonas_supabase.billing._stripe import Stripe

    stripe = Stripe(settings(double))
    order = client.create_billing_order(user, pack_id="message_100")
    customer = stripe.new_customer(order.account_id, "ann@example.com")
    client.link_billing_customer(user, customer)
    session = stripe.open_session(
        order,
        customer,
        name="100 messages",
        buyer={"sonas_user_id": str(user)},
        success_url="http://app/",
        cancel_url="",
    )
    client.attach_billing_session(order.order_id, session.id)
    press(session.url, "card")


def kinds(operations: Operations) -> list[str]:
    return [finding.kind for finding in operations.reconcile(SINCE)]


def test_replay_applies_what_was_not_heard_and_nothing_twice(
    double: Double, client: CreditsClient, database: Database, user: UUID
) -> None:
    operations = Operations(client, settings(double))
    operations.push()
    assert kinds(operations) == []
    sold_unheard(double, client, user)
    assert database.balance(user)["remaining"] == 10
    assert kinds(operations) == ["paid_at_stripe"]
    assert operations.replay(SINCE)["applied"] >= 1
    assert database.balance(user)["remaining"] == 110
    again = operations.replay(SINCE)
    assert set(again) == {"replayed"}
    assert database.balance(user)["remaining"] == 110
    assert kinds(operations) == []


def test_the_doctor_finds_what_keeps_events_away(double: Double, client: CreditsClient) -> None:
    good = Operations(client, settings(double))
    good.push()
    assert good.doctor() == []
    [portal] = double.shop.store.all("billing_portal.configuration")
    change = portal["features"]["subscription_update"]
    change |= {"enabled": True, "proration_behavior": "always_invoice", "default_allowed_updates": ["price"]}
    assert [finding.kind for finding in good.doctor()] == ["portal"]
    change["schedule_at_period_end"]["conditions"].append({"type": "decreasing_item_amount"})
    assert good.doctor() == []
    unset = Operations(client, BillingSettings(secret_key=double.keys.secret_key, api_base=double.url))
    assert [finding.kind for finding in unset.doctor()] == ["secrets"]
    wrong = BillingSettings(secret_key="sk_test_wrong", webhook_secrets=("whsec_1",), api_base=double.url)
    assert [finding.kind for finding in Operations(client, wrong).doctor()] == ["key"]
    away = BillingSettings(secret_key=double.keys.secret_key, api_base=f"http://127.0.0.1:{free_port()}")
    [found] = Operations(client, away).doctor()
    assert (found.kind, found.what) == ("stripe", f"{away.api_base} does not answer as Stripe.")
    url = "https://app.example.com/api/billing/webhook"
    events: Any = ["invoice.paid", "invoice.created"]
    double.client.v1.webhook_endpoints.create({"url": url, "enabled_events": events, "api_version": "2024-06-20"})
    told = " ".join(finding.what for finding in good.doctor(url))
    for word in ("version", "lacks", "invoice.created"):
        assert word in told
    assert good.doctor("https://other.example.com/hook") == []


def low(shop: Selling, user: UUID) -> None:
    """Buys a pack, so that there is a card on file, and sets the automatic top-up."""
    shop.buy(user, pack_id="message_100")
    shop.database.call("set_auto_top_up", user, "message", 20, "message_100", 3, True)


async def test_a_top_up_is_charged_once_and_stops_when_it_is_declined(
    shop: Selling, worker: AsyncCreditsClient, user: UUID
) -> None:
    using = settings(shop.double)
    low(shop, user)
    assert (await work_once(worker, using)).charged == 0
    shop.database.call("consume_credits", user, "message", 95)
    assert (await work_once(worker, using)).charged == 1
    assert shop.left(user) == 115
    assert (await work_once(worker, using)).charged == 0
    press(shop.portal(user), "card:declines")
    shop.database.call("consume_credits", user, "message", 100)
    assert await work_once(worker, using) == await work_once(worker, using)
    assert shop.left(user) == 15
    top_up = (await worker.get_billing_account(user)).top_ups[0]
    assert top_up.state == "stopped"
    shop.database.call("consume_credits", user, "message", 1)
    assert (await work_once(worker, using)).charged == 0
    press(shop.portal(user), "card:works")
    shop.double.settle()
    assert (await work_once(worker, using)).charged == 1
    assert shop.left(user) == 114
    shop.database.verify(user)


async def test_a_worker_that_dies_between_invoice_and_charge_is_continued(
    shop: Selling, worker: AsyncCreditsClient, user: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sonas_supabase.billing._stripe import Stripe

    using = settings(shop.double)
    low(shop, user)
    shop.database.call("consume_credits", user, "message", 95)
    before = len(shop.double.shop.store.all("invoice"))
    with monkeypatch.context() as dying:
        dying.setattr(Stripe, "pay_invoice", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            await work_once(worker, using)
    with monkeypatch.context() as dying:
        dying.setattr(AsyncCreditsClient, "attach_billing_session", lambda *_, **__: 1 / 0)
        assert (await work_once(worker, using)).charged == 1
    assert len(shop.double.shop.store.all("invoice")) == before + 1
    assert shop.left(user) == 115


async def test_an_invoice_that_came_without_all_its_lines_is_completed(
    shop: Selling, worker: AsyncCreditsClient, user: UUID
) -> None:
    """Behind others for which Stripe has nothing: customers of another application, a refund of theirs."""
    store = shop.double.shop.store
    shop.buy(user, plan_id="starter")
    for nth in range(25):
        theirs: dict[str, dict[str, Any]] = {
            "subscription": {"fact": "subscription_seen", "subscription_id": f"sub_theirs{nth}", "status": "active",
                             "customer_id": f"cus_theirs{nth}", "at": "2026-03-01T00:00:00Z"},
            "refund": {"fact": "refund_seen", "refund_id": f"re_theirs{nth}", "payment_intent": f"pi_theirs{nth}",
                       "amount": 100, "status": "succeeded", "at": "2026-03-01T00:00:00Z"},
        }  # fmt: skip
        for kind, fact in theirs.items():
            event = {"id": f"evt_{kind}{nth}", "type": kind, "created": "2026-03-01T00:00:00Z", "livemode": False}
            assert (await worker.apply_billing_event(event, [fact])).outcome == "waiting"
    customer = (await worker.get_billing_account(user)).customer_id
    [subscription] = store.all("subscription", customer=customer)
    invoice = store.get(subscription["latest_invoice"])
    short = {**invoice, "id": made.new_id("in"), "lines": {**invoice["lines"], "data": [], "has_more": True}}
    store.keep({**short, "lines": invoice["lines"]})
    body, headers = message(
        made.event("invoice.paid", short, created=int(datetime.now(UTC).timestamp())),
        secret=shop.double.keys.webhook_secret,
    )
    async with httpx.AsyncClient() as http:
        answer = await http.post(f"{shop.url}/api/billing/webhook", content=body, headers=headers)
    assert answer.json()["outcome"] == "waiting", answer.text
    passes = [await work_once(worker, settings(shop.double)) for _ in range(3)]
    assert [(one.completed, one.failed) for one in passes] == [(0, 0), (1, 0), (0, 0)]
    assert await worker.list_billing_events(to_fetch=True) == ()
    shop.database.run("update credits.billing_inbox set settled_at = settled_at - interval '11 seconds'")
    assert len(await worker.list_billing_events(to_fetch=True)) == 25
    shop.database.run("delete from credits.billing_inbox where event_id like 'evt_subscription%%'")
    shop.database.run("delete from credits.billing_inbox where event_id like 'evt_refund%%'")
    shop.database.verify(user)


async def test_without_a_key_a_worker_has_nothing_to_do(worker: AsyncCreditsClient) -> None:
    assert (await work_once(worker, BillingSettings(webhook_secrets=("whsec_1",)))).charged == 0
