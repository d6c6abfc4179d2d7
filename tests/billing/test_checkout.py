"""From the pricing page to credits, over HTTP: checkout, payment, portal, and what became of an order."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import httpx
import pytest

from tests.billing.support import Selling, press
from tests.support.database import Database


def problem(answer: httpx.Response, status: int, code: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == code


def test_a_plan_is_paid_and_there(shop: Selling, user: UUID) -> None:
    url, order_id = shop.checkout(user, plan_id="starter", interval="month")
    assert shop.order(user, order_id)["state"] == "open"
    # Nothing is spent before: times of Stripe are whole seconds, and what is spent within one counts in the new period.
    assert (shop.plan(user), shop.left(user)) == ("free", 10)
    back = press(url, "card").headers["location"]
    assert back == f"{shop.url}/payment?order={order_id}"
    paid = shop.order(user, order_id)
    assert (paid["state"], paid["kind"], paid["plan_id"]) == ("paid", "plan", "starter")
    assert (shop.plan(user), shop.left(user)) == ("starter", 100)
    shop.database.verify(user)


def test_packs_are_paid_once_however_often_it_is_told(shop: Selling, user: UUID) -> None:
    paid = shop.buy(user, pack_id="message_100", quantity=2)
    assert (paid["state"], paid["credits"], paid["amount"]) == ("paid", 200, 3000)
    assert shop.left(user) == 10 + 200
    again = [told for told in shop.double.shop.store.events if told["type"] == "checkout.session.completed"]
    for told in again:
        shop.double.sender.send({**told, "id": f"evt_{uuid4().hex}"})
    assert shop.left(user) == 210
    shop.database.verify(user)


def test_a_debit_is_pending_until_its_money_is_there(shop: Selling, new_user: object, database: Database) -> None:
    for end, state, left in (("arrives", "paid", 110), ("fails", "failed", 10)):
        user = database.new_user()
        url, order_id = shop.checkout(user, pack_id="message_100")
        press(url, "debit")
        assert (shop.order(user, order_id)["state"], shop.left(user)) == ("pending", 10)
        press(url, end)
        assert (shop.order(user, order_id)["state"], shop.left(user)) == (state, left)


def test_who_does_not_pay_has_nothing(shop: Selling, user: UUID) -> None:
    url, order_id = shop.checkout(user, pack_id="message_100")
    press(url, "declined")
    assert shop.order(user, order_id)["state"] == "open"
    session = url.rpartition("/")[2]
    shop.double.client.v1.checkout.sessions.expire(session)
    assert (shop.order(user, order_id)["state"], shop.left(user)) == ("expired", 10)


def test_one_key_is_one_order_and_one_page(shop: Selling, user: UUID) -> None:
    with shop.http(user) as http:

        def click(_: int) -> dict[str, str]:
            answer = http.post(
                "/api/billing/checkout", json={"pack_id": "message_100"}, headers={"idempotency-key": "click"}
            )
            assert answer.status_code == 200, answer.text
            return dict(answer.json())

        first = click(0)
        with ThreadPoolExecutor(4) as pool:
            assert all(answer == first for answer in pool.map(click, range(4)))
        other = http.post(
            "/api/billing/checkout", json={"pack_id": "message_500"}, headers={"idempotency-key": "click"}
        )
    problem(other, 409, "idempotency_conflict")


def test_nobody_subscribes_twice(shop: Selling, user: UUID) -> None:
    with shop.http(user) as http:

        def subscribe(plan: str) -> int:
            return http.post("/api/billing/checkout", json={"plan_id": plan}).status_code

        with ThreadPoolExecutor(2) as pool:
            assert 200 in list(pool.map(subscribe, ["starter", "pro"]))
        sessions = shop.double.client.v1.checkout.sessions
        customer = shop.double.client.v1.customers.list({"limit": 1}).data[0].id
        pages = [one for one in sessions.list({"customer": customer}).data if one.status == "open"]
        assert len(pages) == 1
        press(pages[0].url, "card")
        shop.double.settle()
        problem(http.post("/api/billing/checkout", json={"plan_id": "pro"}), 409, "already_subscribed")
        assert http.post("/api/billing/checkout", json={"pack_id": "message_100"}).status_code == 200


def test_the_portal_ends_and_keeps_a_subscription(shop: Selling, user: UUID) -> None:
    shop.buy(user, plan_id="starter")
    page = shop.portal(user)
    [subscription] = [
        one["id"] for one in shop.double.shop.store.all("subscription") if one["id"] in httpx.get(page).text
    ]
    press(page, f"end:{subscription}")
    press(page, f"keep:{subscription}")
    assert (shop.plan(user), shop.left(user)) == ("starter", 100)
    pro = shop.database.value(
        "select price_id from credits.billing_prices where plan_id = 'pro' and billing_interval = 'month'"
    )
    press(page, f"to {pro}:{subscription}")
    assert (shop.plan(user), shop.left(user)) == ("pro", 500)
    shop.database.verify(user)


def test_a_refund_takes_back_what_was_paid_back(shop: Selling, user: UUID) -> None:
    shop.buy(user, pack_id="message_100")
    shop.database.call("consume_credits", user, "message", 70)
    page = shop.portal(user)
    intent = next(
        one["id"] for one in shop.double.shop.store.all("payment_intent") if one["id"] in httpx.get(page).text
    )
    press(page, f"half:{intent}")
    assert shop.left(user) == 0
    shop.buy(user, pack_id="message_100")
    assert shop.left(user) == 90
    shop.database.verify(user)


def test_a_yearly_plan_costs_its_year(shop: Selling, user: UUID) -> None:
    _, order_id = shop.checkout(user, plan_id="pro", interval="year")
    order = shop.order(user, order_id)
    monthly = shop.database.value("select price_cents from public.plans where id = 'pro'")
    assert (order["amount"], order["interval"]) == (monthly * 10, "year")


def test_only_who_is_signed_in_buys(shop: Selling, user: UUID, new_user: object, database: Database) -> None:
    with shop.http() as http:
        problem(http.post("/api/billing/checkout", json={"pack_id": "message_100"}), 401, "not_authenticated")
        problem(http.post("/api/billing/portal"), 401, "not_authenticated")
        problem(http.get(f"/api/billing/orders/{uuid4()}"), 401, "not_authenticated")
    _, order_id = shop.checkout(user, pack_id="message_100")
    with shop.http(database.new_user()) as http:
        problem(http.get(f"/api/billing/orders/{order_id}"), 404, "order_not_found")
        problem(http.post("/api/billing/portal"), 404, "nothing_bought")


@pytest.mark.parametrize(
    "wanted",
    [{}, {"plan_id": "starter", "pack_id": "message_100"}, {"plan_id": "gold"}, {"plan_id": "free"}, {"pack_id": "x"},
     {"pack_id": "message_100", "quantity": 0}, {"pack_id": "message_100", "quantity": 1001},
     {"plan_id": "starter", "interval": "week"}, {"plan_id": "starter", "quantity": 2},
     {"plan_id": "\0"}, {"pack_id": "message_100", "amount": 1}, [], "x"],
)  # fmt: skip
def test_what_cannot_be_bought_is_refused(shop: Selling, user: UUID, wanted: object) -> None:
    with shop.http(user) as http:
        answer = http.post("/api/billing/checkout", json=wanted)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_workspace_is_bought_for_by_its_admins_alone(shop: Selling, database: Database) -> None:
    owner, outsider = database.new_user(), database.new_user()
    team = database.call("create_workspace", owner, name="Team")["workspace_id"]
    url, order_id = shop.checkout(owner, pack_id="message_100", workspace_id=team)
    back = press(url, "card").headers["location"]
    assert back.endswith(f"/payment?order={order_id}&workspace_id={team}")
    assert shop.order(owner, order_id, workspace_id=team)["state"] == "paid"
    assert shop.left(UUID(team)) == 100
    assert shop.left(owner) == 10
    member = database.new_user(email="member@example.com")
    token = database.call("invite_to_workspace", owner, team, email="member@example.com")["token"]
    database.call("accept_workspace_invitation", member, token)
    wanted = {"pack_id": "message_100", "workspace_id": team}
    with shop.http(member) as http:
        problem(http.post("/api/billing/checkout", json=wanted), 403, "forbidden")
        problem(http.post("/api/billing/portal", json={"workspace_id": team}), 403, "forbidden")
    with shop.http(outsider) as http:
        problem(http.post("/api/billing/checkout", json=wanted), 404, "account_not_found")


def test_stripe_away_is_said_and_leaves_an_order_that_can_be_paid_later(
    shop: Selling, user: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    with shop.http(user) as http:
        monkeypatch.setattr(shop.double.shop.store, "keep", lambda _: 1 / 0)
        headers = {"idempotency-key": "later"}
        away = http.post("/api/billing/checkout", json={"pack_id": "message_100"}, headers=headers)
        problem(away, 503, "payment_provider_unavailable")
        monkeypatch.undo()
        url = http.post("/api/billing/checkout", json={"pack_id": "message_100"}, headers=headers).json()["url"]
    press(url, "card")
    assert shop.left(user) == 110
