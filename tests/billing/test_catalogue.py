"""The catalogue at Stripe and ours: push, pull, and what differs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sonas_supabase import CreditsClient
from sonas_supabase.billing import API_VERSION, SUBSCRIBED, BillingSettings, Change, Operations
from tests.billing.support import Double
from tests.support.database import Database


@pytest.fixture
def client(own_database: Database) -> Iterator[CreditsClient]:
    with CreditsClient.from_url(own_database.url, pool_size=1) as client:
        yield client


def operations(client: CreditsClient, double: Double) -> Operations:
    return Operations(client, BillingSettings(secret_key=double.keys.secret_key, api_base=double.url))


def actions(changes: list[Change]) -> list[tuple[str, str]]:
    return [(change.action, change.what) for change in changes]


def current(client: CreditsClient) -> dict[str, tuple[int | None, bool]]:
    prices = client.list_billing_prices().prices
    return {
        f"{one.plan_id or one.pack_id} {one.billing_interval or 'once'}": (one.unit_amount, one.livemode)
        for one in prices
        if one.is_current
    }


def test_push_makes_what_is_sold_and_nothing_twice(client: CreditsClient, double: Double) -> None:
    stripe = operations(client, double)
    would = stripe.push(dry_run=True, yearly_months=10)
    assert actions(would) == [("create", change.what) for change in would]
    assert double.client.v1.prices.list().data == []
    assert current(client) == {}

    done = stripe.push(yearly_months=10)
    assert [step for step in actions(done) if step[0] == "create"] == actions(would)
    paid = {plan.id: plan.price_cents for plan in client.list_plans() if plan.price_cents}
    assert {key: amount for key, (amount, _) in current(client).items() if key.endswith("month")} == {
        f"{plan} month": cents for plan, cents in paid.items()
    }
    assert current(client)["starter year"] == (paid["starter"] * 10, False)
    assert {"message_100 once", "message_500 once"} <= set(current(client))

    assert stripe.push() == []
    assert stripe.push(yearly_months=10) == []
    assert stripe.drift() == []


def test_another_amount_is_another_price_and_the_old_one_is_kept(
    client: CreditsClient, double: Double, own_database: Database
) -> None:
    stripe = operations(client, double)
    stripe.push()
    before = {one.plan_id: one.price_id for one in client.list_billing_prices().prices}
    own_database.run("update public.plans set price_cents = price_cents + 500, name = 'Begin' where id = 'starter'")
    [differs] = stripe.drift()
    assert (differs.action, differs.what) == ("differs", "starter month")
    assert "sonas stripe push" in differs.detail
    told = stripe.push(dry_run=True)
    assert actions(told) == [("rename", "sonas_plan_starter"), ("replace", "sonas_plan_starter_month")]
    assert "becomes" in told[1].detail
    stripe.push()
    rows = [one for one in client.list_billing_prices().prices if one.plan_id == "starter"]
    assert [(one.price_id == before["starter"], one.is_current) for one in rows] == [(True, False), (False, True)]
    [there] = double.client.v1.prices.list({"lookup_keys": ["sonas_plan_starter_month"]}).data
    assert there.id == rows[1].price_id
    assert double.client.v1.products.retrieve("sonas_plan_starter").name == "Begin"
    # Who subscribed at the old price renews at it: it stays as it is at Stripe too.
    assert double.client.v1.prices.retrieve(before["starter"]).active is True


def test_a_push_that_was_cut_off_is_continued(
    client: CreditsClient, double: Double, monkeypatch: pytest.MonkeyPatch
) -> None:
    stripe = operations(client, double)
    with monkeypatch.context() as broken:
        broken.setattr(client, "register_billing_price", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            stripe.push()
    made = len(double.client.v1.prices.list({"limit": 100}).data)
    assert made == 1
    stripe.push()
    keys = [one.lookup_key for one in double.client.v1.prices.list({"limit": 100}).data]
    assert len(keys) == len(set(keys)) == len(current(client))


def test_pull_tells_a_new_database_what_there_is(client: CreditsClient, double: Double, own_database: Database) -> None:
    stripe = operations(client, double)
    stripe.push(yearly_months=10)
    own_database.run("update public.plans set price_cents = price_cents + 500 where id = 'starter'")
    stripe.push()
    before = current(client)
    own_database.run("delete from credits.billing_prices")
    double.client.v1.prices.create(
        {"product": "sonas_plan_pro", "currency": "usd", "unit_amount": 1, "nickname": "made by hand"}
    )
    assert {change.action for change in stripe.pull(dry_run=True)} == {"register"}
    assert current(client) == {}
    stripe.pull()
    assert current(client) == before
    assert stripe.pull() == []


def test_what_differs_at_stripe_is_found(client: CreditsClient, double: Double) -> None:
    stripe = operations(client, double)
    stripe.push()
    by_plan = {one.plan_id or one.pack_id: one.price_id for one in client.list_billing_prices().prices}
    double.client.v1.prices.update(str(by_plan["starter"]), {"active": False})
    del double.shop.store.objects[str(by_plan["pro"])]
    double.shop.store.objects[str(by_plan["elite"])]["unit_amount"] += 1
    assert sorted((one.action, one.what) for one in stripe.drift()) == [
        ("archived", "starter month"),
        ("differs", "elite month"),
        ("gone", "pro month"),
    ]


def test_the_endpoint_has_our_version_and_what_is_read(client: CreditsClient, double: Double) -> None:
    stripe = operations(client, double)
    url = "https://app.example.com/api/billing/webhook"
    assert stripe.endpoint(url, dry_run=True)[1] is None
    changes, secret = stripe.endpoint(url)
    assert (changes[0].action, str(secret).startswith("whsec_")) == ("endpoint", True)
    [made] = double.client.v1.webhook_endpoints.list().data
    assert (made.api_version, set(made.enabled_events)) == (API_VERSION, set(SUBSCRIBED))
    assert "invoice.created" not in made.enabled_events
    assert stripe.endpoint(url) == ([], None)
    double.client.v1.webhook_endpoints.update(made.id, {"enabled_events": ["invoice.paid"]})
    assert stripe.endpoint(url)[0][0].detail == "other types of events"
    assert stripe.endpoint(url) == ([], None)
