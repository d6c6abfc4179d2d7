"""Books in which everything has happened once: what a check of the books has to accept, and where it can be hurt."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from tests.support.database import Database
from tests.support.people import new_workspace
from tests.support.timed import Timed

# A plan whose message credits never run out, and one that keeps what is left.
PLANS = """
insert into public.plans (id, name, rank, price_cents) values
  ('endless', 'Endless', 90, 90000), ('keeper', 'Keeper', 25, 2500);
insert into public.plan_limits (plan_id, credit_type, allowance, rollover_cap) values
  ('endless', 'message', null, 0), ('endless', 'integration', 100, 0), ('endless', 'project', 5, 0),
  ('keeper', 'message', 100, 30), ('keeper', 'integration', 200, 0), ('keeper', 'project', 2, 0);
create table public.boards (id uuid primary key default gen_random_uuid(), owner_id uuid not null);
"""


def make(database: Database) -> dict[str, UUID]:
    """The accounts by what they went through; all of their books are in order."""
    for statement in PLANS.split(";\n"):
        if statement.strip():
            database.run(statement)
    people = {
        "spender": _spender(database),
        "holder": _holder(database),
        "switcher": _switcher(database),
        "builder": _builder(database),
        "endless": _endless(database),
        "debtor": _debtor(database),
        "keeper": _keeper(database),
        "buyer": _buyer(database),
        "shopper": _shopper(database),
        "subscriber": _subscriber(database),
        "trier": _trier(database),
        "paused": _paused(database),
        "leaver": _leaver(database),
        "metered": _metered(database),
    }
    people |= _others(database)
    database.verify()
    return people


def _spender(database: Database) -> UUID:
    """Grants of all kinds, spends over several of them, keys, refunds early, late and into what is gone, a denial."""
    user = Timed(database)
    promotion = user.call("grant_credits", "message", 5, expires_at=user.now + timedelta(days=3), idempotency_key="g")
    user.call("grant_credits", "message", 40, "top_up", "a pack")
    user.call("grant_credits", "integration", 7, "goodwill")
    early = user.call("consume_credits", "message", 7, "over two grants", "key")
    user.call("consume_credits", "message", 1, "plain")
    user.call("consume_credits", "integration", 12)
    user.call("consume_credits", "message", 500)
    user.call("refund_credits", early["operation_id"], 3, "half of it", "refund-key")
    soon = user.call("grant_credits", "message", 6, expires_at=user.now + timedelta(hours=2))
    short = user.call("consume_credits", "message", 6)
    user.wait(hours=3).call("refund_credits", short["operation_id"])
    late = user.call("consume_credits", "message", 2)
    user.wait(days=5).call("revoke_grant", soon["grant_id"], "gone already")
    gone = user.call("grant_credits", "message", 9, "trial")
    spent = user.call("consume_credits", "message", 4)
    user.call("revoke_grant", gone["grant_id"], "a mistake")
    user.wait(minutes=1).call("refund_credits", spent["operation_id"])
    user.at(user.period_end).wait(days=40).call("consume_credits", "message", 1)
    user.call("refund_credits", late["operation_id"])
    user.call("reset_monthly_credits")
    user.call("consume_credits", "message", 2)
    user.call("grant_credits", "message", 3, expires_at=user.now + timedelta(days=2))
    assert promotion["success"]
    return user.id


def _metered(database: Database) -> UUID:
    """Priced spends and holds: from the remainder alone, in parts, above the hold, refunded alone and together."""
    user = Timed(database)
    for dimension, nano in (("call", 370_000_000), ("token", 1_250_000)):
        database.call("set_price", "model:*", dimension, nano)
    database.call("set_provider_cost", "model:*", "token", "0.00001")
    spends = [user.call("consume_operation", "model:small", {"call": n, "token": 7}) for n in (1, 1, 3)]
    user.wait(minutes=1).call("refund_credits", spends[1]["operation_id"])
    user.call("refund_credits", spends[2]["operation_id"], 1, "a part", "priced-refund")
    hold = user.call("reserve_operation", "model:large", {"token": 8000}, idempotency_key="priced-hold")
    user.call("capture_operation", hold["reservation_id"], {"token": 900}, final=False, idempotency_key="priced-part")
    user.wait(minutes=1).call("capture_operation", hold["reservation_id"], {"token": 100})
    free = user.call("reserve_operation", "model:large", {"token": 8000})
    user.wait(minutes=1).call("capture_operation", free["reservation_id"], {"token": 1})
    user.call("consume_operation", "model:large", {"token": 1}, idempotency_key="priced")
    above = user.call("reserve_operation", "model:large", {"token": 8000})
    user.call("capture_operation", above["reservation_id"], {"token": 160_000})
    assert user.call("consume_operation", "model:large", {"call": 9})["code"] == "insufficient_credits"
    user.call("grant_credits", "integration", 5)
    user.call("consume_operation", "model:large", {"call": 1})
    return user.id


def _buyer(database: Database) -> UUID:
    """A pack of which a part was taken back, debts that were paid, and one that was smaller in the end."""
    user = Timed(database)
    pack = user.call("grant_credits", "message", 50, "top_up", "a pack", paid_amount=900, currency="usd")["grant_id"]
    user.call("consume_credits", "message", 40)
    user.call("revoke_grant", pack, "refunded in part", amount=5)
    for source, amount in (("re_1", 30), ("re_2", 20)):
        owing = "credits.set_debt(%(id)s, credits.lock_balance(%(id)s, 'message'), %(source)s, %(amount)s)"
        values = {"id": user.id, "source": source, "amount": amount}
        database.connection.execute(f"select credits.save_balance(%(id)s, {owing})".encode(), values)
        user.wait(seconds=1)
        user.call("grant_credits", "message", 25, "top_up", "a small pack")
    for source, amount in (("re_1", 10), ("re_3", 15)):
        values = {"id": user.id, "source": source, "amount": amount}
        database.connection.execute(f"select credits.save_balance(%(id)s, {owing})".encode(), values)
    return user.id


def _shopper(database: Database) -> UUID:
    """Packs that were paid for, spent, and refunded in part; one whose payment is disputed."""
    user = Timed(database)
    refund: dict[str, Any] = {
        "fact": "refund_seen",
        "refund_id": "re_shop",
        "payment_intent": "pi_shop_1",
        "amount": 900,
    }
    dispute: dict[str, Any] = {
        "fact": "dispute_seen",
        "dispute_id": "dp_shop",
        "payment_intent": "pi_shop_2",
        "amount": 1500,
    }
    for name in ("shop_1", "shop_2"):
        order = user.call("create_billing_order", "message_100")["order_id"]
        database.call("attach_billing_session", order, f"cs_{name}")
        paid: dict[str, Any] = {
            "fact": "sale_paid",
            "session_id": f"cs_{name}",
            "payment_intent": f"pi_{name}",
            "mode": "payment",
        }
        paid |= {"state": "paid", "currency": "usd", "amount_subtotal": 1500, "amount_total": 1800, "amount_tax": 300}
        _tell(user, paid)
        user.call("consume_credits", "message", 45)
    _tell(user, refund | {"status": "succeeded"})
    _tell(user, dispute | {"status": "needs_response"})
    return user.id


def _tell(user: Timed, fact: dict[str, Any]) -> None:
    at = user.wait(seconds=1).now.isoformat()
    event = {"id": f"evt_{user.id}_{at}", "type": "told", "created": at}
    user.database.call("apply_billing_event", event, [fact | {"at": at}])


def _holder(database: Database) -> UUID:
    """Holds that were captured in part, above what they held and short of it, released, expired, and live ones."""
    user = Timed(database, plan="starter")
    user.call("grant_credits", "message", 4, expires_at=user.now + timedelta(days=9))
    for amount, wanted in ((10, 6), (10, 10), (5, 8), (4, None)):
        hold = user.call("reserve_credits", "message", amount, f"{amount} at most", f"hold-{amount}-{wanted}")
        user.wait(seconds=1)
        if wanted:
            user.call("capture_credits", hold["reservation_id"], wanted)
        else:
            user.call("release_credits", hold["reservation_id"], "not needed")
    captured = user.call("reserve_credits", "message", 3)
    captured = user.wait(seconds=5).call("capture_credits", captured["reservation_id"])
    user.call("refund_credits", captured["operation_id"], 2)
    user.call("reserve_credits", "message", 20, ttl_seconds=60)
    user.wait(hours=1).call("reserve_credits", "integration", 1900)
    tight = user.call("reserve_credits", "integration", 50)
    user.wait(seconds=2).call("capture_credits", tight["reservation_id"], 400)
    user.call("reserve_credits", "message", 7, "at work", ttl_seconds=86400)
    user.call("reserve_credits", "message", 5, ttl_seconds=86400)
    return user.id


def _switcher(database: Database) -> UUID:
    """Every change of plan there is, with spends in between, over several periods."""
    user = Timed(database)
    user.call("consume_credits", "message", 4)
    user.wait(days=3).call("change_plan", "starter", idempotency_key="up")
    user.call("consume_credits", "message", 60)
    user.wait(days=10).call("change_plan", "pro")
    user.call("consume_credits", "message", 200)
    user.call("change_plan", "starter")
    user.call("change_plan", "pro", "now")
    user.call("change_plan", "builder", "period_end")
    user.at(user.period_end).wait(days=1).call("consume_credits", "message", 20)
    user.at(user.period_end).wait(days=70).call("consume_credits", "message", 1)
    user.call("reset_monthly_credits")
    user.call("change_plan", "free", "period_end")
    user.at(user.period_end).wait(days=2).call("consume_credits", "message", 2)
    user.call("change_plan", "starter", "period_end")
    return user.id


def _builder(database: Database) -> UUID:
    """Projects: used up, given back, unlimited for a while, and rows of a metered table."""
    user = Timed(database)
    made = [user.call("consume_credits", "project")["operation_id"] for _ in range(3)]
    user.call("consume_credits", "project")
    user.call("refund_credits", made[0])
    user.call("change_plan", "starter")
    for _ in range(4):
        user.call("consume_credits", "project")
    user.wait(days=1).call("change_plan", "free")
    user.call("refund_credits", made[1])
    owner = database.new_user()
    database.run("insert into public.boards (owner_id) select %s from generate_series(1, 5)", owner)
    database.run("select credits.meter_table('public.boards', 'project', 'owner_id')")
    database.run("delete from public.boards where id = (select id from public.boards limit 1)")
    return user.id


def _endless(database: Database) -> UUID:
    """An unlimited allowance, before and after a counted one."""
    user = Timed(database, plan="endless")
    user.call("consume_credits", "message", 5000, "endless", "key")
    hold = user.call("reserve_credits", "message", 300)["reservation_id"]
    user.wait(seconds=1).call("capture_credits", hold, 450)
    hold = user.call("reserve_credits", "message", 80)["reservation_id"]
    user.wait(seconds=1).call("capture_credits", hold, 20, final=False)
    user.wait(seconds=1).call("release_credits", hold)
    user.at(user.now + timedelta(days=40)).call("consume_credits", "message", 70)
    user.call("change_plan", "starter")
    user.at(user.now + timedelta(days=40)).call("consume_credits", "message", 7)
    user.call("change_plan", "endless")
    user.call("consume_credits", "message", 900)
    return user.id


def _debtor(database: Database) -> UUID:
    """Past due: frozen after the grace, with a pack that stays spendable; recovered once before."""
    user = Timed(database, plan="pro")
    user.call("consume_credits", "message", 100)
    user.call("set_subscription_status", "past_due")
    user.wait(days=5).call("grant_credits", "message", 30, "top_up")
    user.call("consume_credits", "message", 3)
    user.call("set_subscription_status", "active")
    user.at(user.period_end).wait(days=1).call("consume_credits", "message", 10)
    user.call("set_subscription_status", "past_due")
    user.wait(days=4).call("consume_credits", "message", 5)
    return user.id


def _keeper(database: Database) -> UUID:
    """What rolls over."""
    user = Timed(database, plan="keeper")
    user.call("consume_credits", "message", 85)
    user.at(user.period_end).wait(days=1).call("consume_credits", "message", 20)
    user.at(user.period_end).wait(days=1).call("consume_credits", "message", 5)
    return user.id


def _subscriber(database: Database) -> UUID:
    """A subscription that a provider manages: seats, a payment that comes late, one that does not, a pinned version."""
    user = Timed(database).wait(days=2)
    user.call("change_plan", "starter", quantity=2, at=user.now - timedelta(hours=3))
    end = user.period_end
    database.run("select credits.cover_period(%s, %s)", user.id, end)
    user.call("pin_plan", 1)
    user.call("consume_credits", "message", 150)
    user.wait(days=3).call("change_plan", "starter", quantity=3)
    user.at(end).wait(days=1).call("consume_credits", "message", 20)
    user.at(user.period_end).wait(days=1).call("consume_credits", "message", 1)
    return user.id


def _trier(database: Database) -> UUID:
    """A trial that becomes a paid plan, in another time zone."""
    user = Timed(database, plan="pro")
    user.call("set_subscription_status", "trialing", ends_at=user.now + timedelta(days=7))
    user.call("consume_credits", "message", 20)
    user.wait(days=2).call("set_subscription_status", "active")
    user.wait(days=6).call("consume_credits", "message", 30)
    user.call("set_time_zone", "Europe/Paris")
    return user.id


def _paused(database: Database) -> UUID:
    """Paused, with credits left."""
    user = Timed(database, plan="pro")
    user.call("consume_credits", "message", 20)
    user.wait(days=2).call("set_subscription_status", "paused")
    user.wait(days=1).call("consume_credits", "message", 1)
    return user.id


def _leaver(database: Database) -> UUID:
    """Canceled twice: once without having paid, once with a paid period that runs on."""
    user = Timed(database, plan="starter")
    user.call("consume_credits", "message", 20)
    user.wait(days=2).call("set_subscription_status", "past_due")
    user.wait(days=1).call("set_subscription_status", "canceled")
    user.wait(days=1).call("change_plan", "pro")
    user.call("consume_credits", "message", 20)
    user.wait(days=1).call("set_subscription_status", "canceled")
    return user.id


def _others(database: Database) -> dict[str, UUID]:
    """On the real clock: an account that is frozen, one deleted, one forgotten, a team, and an imported balance."""
    frozen, deleted, forgotten, boss, plain = (database.new_user() for _ in range(5))
    for user in (frozen, deleted, forgotten, plain):
        database.call("consume_credits", user, "message", 2, "words", str(user), {"secret": True})
        hold = database.call("reserve_credits", user, "message", 3)["reservation_id"]
        if user != plain:
            database.call("capture_credits", user, hold, 2)
    database.call("freeze_account", frozen, "incident")
    database.call("consume_operation", deleted, "model:small", {"call": 1})
    database.run("delete from auth.users where id = %s", deleted)
    database.call("grant_credits", forgotten, "message", 5, "goodwill", "dear friend")
    database.call("forget_account", forgotten)
    team = new_workspace(database, boss, plain, plan="starter")
    for window, scope in (("day", "member"), ("period", "workspace")):
        named = {"limit": 40, "window": window, "scope": scope}
        database.call("set_credit_budget", boss, team, "message", **named)
    database.call("consume_credits", plain, "message", 30, workspace_id=team)
    database.run("create table public.wallets (id uuid primary key, credits bigint not null)")
    database.run("insert into public.wallets values (%s, 25)", plain)
    database.call("import_balances", "wallets", "id", "credits", "message")
    return {"frozen": frozen, "deleted": deleted, "forgotten": forgotten, "team": team, "plain": plain}
