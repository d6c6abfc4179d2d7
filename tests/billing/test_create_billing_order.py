"""What is bought is written down before the provider is asked."""

from __future__ import annotations

from uuid import UUID

from sonas_supabase.billing import BillingSettings
from tests.support.database import Database
from tests.support.errors import raises
from tests.web.support import calling, make_app


def test_an_order_of_packs_has_credits_and_amounts_of_our_own(database: Database, user: UUID) -> None:
    order = database.call("create_billing_order", user, "message_500", 2)
    assert (order["state"], order["credits"], order["unit_amount"], order["amount"]) == ("open", 1000, 6000, 12000)
    assert order["price_id"] is None
    database.call("register_billing_price", "price_500", pack_id="message_500", unit_amount=5900)
    order = database.call("create_billing_order", user, "message_500")
    assert (order["price_id"], order["amount"], order["credits"]) == ("price_500", 5900, 500)


def test_the_same_key_is_the_same_order(database: Database, user: UUID) -> None:
    first = database.call("create_billing_order", user, "message_100", idempotency_key="click")
    again = database.call("create_billing_order", user, "message_100", idempotency_key="click")
    assert (again["order_id"], again["replayed"]) == (first["order_id"], True)
    with raises("idempotency_conflict", "PT409"):
        database.call("create_billing_order", user, "message_100", 2, idempotency_key="click")


def test_an_order_of_a_plan_needs_a_price_of_it(database: Database, user: UUID) -> None:
    with raises("invalid_argument", "PT422"):
        database.call("create_billing_order", user, plan_id="pro", interval="year")
    database.call("register_billing_price", "price_year", "pro", interval="year", unit_amount=100000)
    order = database.call("create_billing_order", user, plan_id="pro", interval="year")
    assert (order["kind"], order["price_id"], order["amount"], order["credits"]) == (
        *("plan", "price_year", 100000, None),
    )
    for plan in ("free", "gold"):
        with raises("invalid_argument", "PT422"):
            database.call("create_billing_order", user, plan_id=plan)


async def test_what_is_shown_and_ordered_is_of_one_mode(own_database: Database) -> None:
    user = own_database.new_user()
    for mode, amount in (("live", 2000), ("test", 1900)):
        livemode = mode == "live"
        own_database.call("register_billing_price", f"{mode}_st", "starter", unit_amount=amount, livemode=livemode)
        pack = {"pack_id": "message_100", "unit_amount": amount - 600, "livemode": livemode}
        own_database.call("register_billing_price", f"{mode}_100", **pack)
    own_database.call("register_billing_price", "live_pro", "pro", unit_amount=9900, livemode=True)

    def price(plan: str | None, livemode: bool | None) -> tuple[str, int]:
        bought = {"plan_id": plan} if plan else {"pack_id": "message_100"}
        order = own_database.call("create_billing_order", user, **bought, livemode=livemode)
        return order["price_id"], order["unit_amount"]

    assert (price("starter", True), price("starter", False)) == (("live_st", 2000), ("test_st", 1900))
    assert (price(None, True), price(None, False)) == (("live_100", 1400), ("test_100", 1300))
    # Where it is not said, live ones: what is shown is what is ordered, and what the figures count.
    assert (price("starter", None)[0], price(None, None)[0], price("pro", None)[0]) == (
        "live_st",
        "live_100",
        "live_pro",
    )
    for asked in (True, False, None):
        said = {} if asked is None else {"livemode": asked}
        plans = {plan["id"]: plan["prices"] for plan in own_database.call("list_plans", **said)["plans"]}
        [shown] = plans["starter"]
        assert (shown["price_id"], shown["unit_amount"]) == price("starter", asked)
        [pack] = [p for p in own_database.call("list_billing_prices", **said)["packs"] if p["id"] == "message_100"]
        assert (pack["unit_amount"], pack["price_cents"]) == (price(None, asked)[1], 1500)
    assert plans["elite"][0]["price_id"] is None
    for customer, is_live in (("cus_test", False), ("cus_live", True)):
        own_database.call("link_billing_customer", user, customer, is_live)
        assert own_database.call("get_billing_account", user)["customer_id"] == (customer if is_live else None)
    with raises("invalid_argument", "PT422"):
        price("pro", False)
    # An application sells in the mode of its key.
    for key, mode in (("sk_test_1", "test"), ("sk_live_1", "live")):
        selling = make_app(own_database, billing=BillingSettings(secret_key=key))
        async with calling(selling) as http:
            [starter] = [plan for plan in (await http.get("/api/plans")).json() if plan["id"] == "starter"]
            [pack] = [one for one in (await http.get("/api/billing/packs")).json() if one["id"] == "message_100"]
        assert ([one["price_id"] for one in starter["prices"]], pack["unit_amount"]) == (
            [f"{mode}_st"],
            price(None, mode == "live")[1],
        )


def test_an_automatic_top_up_is_at_the_price_of_its_customer(own_database: Database) -> None:
    for livemode in (True, False):
        price = "live_100" if livemode else "test_100"
        own_database.call("register_billing_price", price, pack_id="message_100", unit_amount=1300, livemode=livemode)
    for livemode in (True, False):
        user = own_database.new_user()
        own_database.call("link_billing_customer", user, f"cus_{livemode}", livemode)
        own_database.call("set_auto_top_up", user, "message", 20, "message_100", 3)
    orders = own_database.call("list_top_ups")["orders"]
    assert [(o["customer_id"], o["livemode"], o["price_id"]) for o in orders] == [
        *(("cus_True", True, "live_100"), ("cus_False", False, "test_100")),
    ]


def test_a_member_buys_nothing_for_a_workspace(database: Database, user: UUID) -> None:
    member, outsider = database.new_user(), database.new_user()
    workspace = database.call("create_workspace", user, "Ours")["workspace_id"]
    for role in ("member", "viewer"):
        database.run("delete from public.credit_workspace_members where user_id = %s", member)
        database.run("insert into public.credit_workspace_members values (%s, %s, %s)", workspace, member, role)
        with raises("forbidden", "PT403"):
            database.call("create_billing_order", member, "message_100", workspace_id=workspace)
    with raises("account_not_found", "PT404"):
        database.call("create_billing_order", outsider, "message_100", workspace_id=workspace)
    order = database.call("create_billing_order", user, "message_100", workspace_id=workspace)
    assert order["account_id"] == workspace
    with raises("invalid_argument", "PT422"):
        database.call("get_billing_order", user, order["order_id"])
