"""What Stripe may say, in the orders in which it may say it, and what is there in the end."""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import pytest

from sonas_supabase.billing import BillingSettings
from sonas_supabase.local.stripe import _objects as made
from tests.billing.events import SECRET, at
from tests.billing.story import Story, set_up
from tests.billing.support import served
from tests.support.database import Database
from tests.web.support import make_app

LONG = os.environ.get("SONAS_PROFILE") == "long"
MARCH = ("2027-03-01 00:00", "2027-04-01 00:00")
APRIL = ("2027-04-01 00:00", "2027-05-01 00:00")


@pytest.fixture(scope="module")
def begin(database: Database) -> Iterator[Callable[[], Story]]:
    """Begins a story of somebody new."""
    set_up(database)
    with served(make_app(database, billing=BillingSettings(webhook_secrets=(SECRET,)))) as url:
        yield lambda: Story(f"{url}/api/billing/webhook", database)


@pytest.fixture
def story(begin: Callable[[], Story]) -> Iterator[Story]:
    told = begin()
    yield told
    told.verify()


def month_of(story: Story) -> str:
    return str(story.database.balance(story.user)["period_end"])[:10]


def test_a_first_month_in_every_order_and_twice(begin: Callable[[], Story]) -> None:
    """With SONAS_PROFILE=long in all 24; else in some of them, another choice in each run."""
    orders = list(itertools.permutations(range(4)))
    chosen = orders if LONG else random.sample(orders, 4)
    ends = set()
    for order in chosen:
        story = begin()
        story.now("2027-02-20 00:00")
        story.spend(4)
        story.now(MARCH[0])
        events = [
            ("checkout.session.completed", story.session(), "2027-03-01 00:00:05"),
            ("customer.subscription.created", story.subscription(*MARCH, status="incomplete"), "2027-03-01 00:00:00"),
            ("customer.subscription.updated", story.subscription(*MARCH), "2027-03-01 00:00:03"),
            ("invoice.paid", story.invoice(*MARCH, reason="subscription_create"), "2027-03-01 00:00:02"),
        ]
        for _ in range(2):
            for turn in order:
                event_type, of, created = events[turn]
                story.tell(event_type, of, created=created, wants=None)
        ends.add((story.plan, story.left, month_of(story), story.grants()))
        story.verify()
    assert ends == {("starter", 100, "2027-04-01", 1)}, chosen


def test_what_arrives_two_days_late_counts_from_its_own_time(story: Story) -> None:
    story.now("2027-03-03 00:00")
    story.tell("customer.subscription.updated", story.subscription(*MARCH), created="2027-03-01 00:00:03", wants=None)
    story.tell("invoice.paid", story.invoice(*MARCH), created="2027-03-01 00:00:02", wants=None)
    story.tell("checkout.session.completed", story.session(), created="2027-03-01 00:00:05", wants=None)
    assert (story.plan, story.left, month_of(story)) == ("starter", 100, "2027-04-01")
    told = story.database.query(
        "select data ->> 'from_plan_name', data ->> 'plan_name' from credits.outbox"
        " where account_id = %s and kind = 'plan.changed'",
        story.user,
    )
    assert told == [("Free", "Starter")], "once, and with both names"


def test_a_renewal_is_there_before_it_is_confirmed_and_once(story: Story) -> None:
    story.subscribe()
    story.spend(60)
    story.now("2027-04-01 00:30")
    assert story.left == 100
    story.spend(30)
    story.now("2027-04-01 01:02")
    story.tell("invoice.paid", story.invoice(*APRIL))
    story.tell("customer.subscription.updated", story.subscription(*APRIL))
    assert (story.left, story.grants()) == (70, 2)


def test_at_most_one_period_is_given_that_nobody_has_paid(story: Story) -> None:
    story.subscribe()
    story.now("2027-04-15 00:00")
    assert story.left == 100
    story.now("2027-05-15 00:00")
    assert (story.left, story.plan) != (100, "starter")


def test_a_renewal_fails_and_recovers(story: Story) -> None:
    story.subscribe()
    story.send(story.pack())
    story.spend(100)
    story.spend(450)
    story.now("2027-04-01 01:02")
    failed = story.invoice(*APRIL, status="open", amount_paid=0, attempt_count=1)
    story.tell("invoice.payment_failed", failed)
    story.tell("customer.subscription.updated", story.subscription(*APRIL, status="past_due"))
    story.now("2027-04-02 00:00")
    story.spend(10)
    assert story.left == 140
    story.now("2027-04-04 01:03")
    assert story.left == 50
    story.now("2027-04-06 00:00")
    story.tell("invoice.paid", story.invoice(*APRIL))
    story.tell("customer.subscription.updated", story.subscription(*APRIL))
    assert (story.left, story.plan) == (140, "starter")


def test_a_renewal_that_is_never_paid_is_never_spent(story: Story) -> None:
    story.subscribe()
    story.now("2027-04-01 01:02")
    story.tell("invoice.payment_failed", story.invoice(*APRIL, status="open", amount_paid=0, attempt_count=1))
    story.tell("customer.subscription.updated", story.subscription(*APRIL, status="past_due"))
    story.spend(10)
    story.now("2027-04-22 00:00")
    ended = story.subscription(*APRIL, status="canceled", ended_at=story.at,
                               cancellation_details={"reason": "payment_failed"})  # fmt: skip
    story.tell("customer.subscription.deleted", ended)
    assert (story.plan, story.left) == ("free", 0)
    story.now("2027-05-01 00:00")
    assert story.left == 10


def test_an_upgrade_gives_the_share_of_what_is_left(story: Story) -> None:
    story.subscribe()
    story.spend(40)
    story.now("2027-03-16 12:00")
    rest = ("2027-03-16 12:00", MARCH[1])
    lines = [
        story.line(*rest, -1000, price="price_st", name="up", proration=True),
        story.line(*rest, 5000, price="price_pro", name="up", proration=True),
    ]
    paid = story.invoice_of(lines, reason="subscription_update", name="up")
    story.tell("customer.subscription.updated", story.subscription(*MARCH, price="price_pro"), wants=None)
    story.tell("invoice.paid", paid, wants=None)
    assert (story.plan, story.left, month_of(story)) == ("pro", 260, "2027-04-01")


def test_a_payment_that_is_early_gives_nothing_early(story: Story) -> None:
    story.subscribe()
    story.spend(60)
    story.now("2027-03-31 23:59")
    story.tell("invoice.paid", story.invoice(*APRIL), created="2027-04-01 00:00:01")
    assert story.left == 40
    story.now(APRIL[0])
    assert story.left == 100
    story.spend(1)
    assert (story.left, story.grants()) == (99, 2)


def test_rounds_of_upgrades_and_downgrades_mint_nothing(story: Story) -> None:
    story.now(MARCH[0])
    story.tell("customer.subscription.created", story.subscription(*MARCH, price="price_pro"), wants=None)
    story.tell("invoice.paid", story.invoice(*MARCH, 10_000, price="price_pro"), wants=None)
    story.spend(120)
    for day in range(2, 12):
        for hour, price in (("00", "price_st"), ("12", "price_pro")):
            story.now(f"2027-03-{day:02} {hour}:00")
            story.tell("customer.subscription.updated", story.subscription(*MARCH, price=price), wants=None)
        rest = (f"2027-03-{day:02} 12:00", MARCH[1])
        paid = story.invoice_of(
            [story.line(*rest, 5000, price="price_pro", name=f"up{day}", proration=True)],
            reason="subscription_update", name=f"up{day}",
        )  # fmt: skip
        story.tell("invoice.paid", paid, wants=None)
    assert (story.left, month_of(story)) == (380, "2027-04-01")


def toggled(story: Story, name: str, old: tuple[str, str, str, int], new: tuple[str, str, str, int]) -> None:
    """From now on another price by another interval: the rest of the old one is credited, the new one begins whole."""
    start, end, price, amount = old
    share = Fraction(at(end) - story.at, at(end) - at(start))
    lines = [
        story.line(new[0], end, -round(amount * share), price=price, name=name, proration=True),
        story.line(new[0], new[1], new[3], price=new[2], name=name),
    ]
    told = [
        ("customer.subscription.updated", story.subscription(new[0], new[1], price=new[2])),
        ("invoice.paid", story.invoice_of(lines, reason="subscription_update", name=name)),
    ]
    for one in random.sample(told, 2):
        story.tell(*one, wants=None)


def test_rounds_between_month_and_year_give_what_was_paid_for(story: Story) -> None:
    """Each begins a period of its own, and what was paid for the rest of the one before comes back each time."""
    story.now(MARCH[0])
    running = (*MARCH, "price_pro", 10_000)
    story.tell("customer.subscription.created", story.subscription(*MARCH, price="price_pro"), wants=None)
    story.tell("invoice.paid", story.invoice(*MARCH, 10_000, price="price_pro"), wants=None)
    for n in range(50 if LONG else 6):
        story.spend_all()
        day, hour = divmod(12 * (n + 1), 24)
        now = f"2027-03-{day + 1:02} {hour:02}:00"
        story.now(now)
        following = (
            (now, f"2028{now[4:]}", "price_proY", 100_000)
            if running[2] == "price_pro"
            else (now, f"2027-04{now[7:]}", "price_pro", 10_000)
        )
        toggled(story, f"turn{n}", running, following)
        running = following
        assert 0 <= story.left <= 12 * 500 // (24 * 31) + 1, "what the time since has paid for"
    assert covered_until(story) == running[1]


@pytest.mark.parametrize(("spent", "left"), [(40, 500), (50, 500), (100, 450)])
def test_of_a_month_that_is_cut_short_no_more_is_kept_than_its_time_has_paid_for(
    story: Story, spent: int, left: int
) -> None:
    story.subscribe()
    story.spend(spent)
    story.now("2027-03-16 12:00")
    new = ("2027-03-16 12:00", "2027-04-16 12:00", "price_pro", 10_000)
    toggled(story, "up", (*MARCH, "price_st", 2000), new)
    assert (story.plan, story.left, month_of(story), covered_until(story)) == ("pro", left, "2027-04-16", new[1])
    story.now("2027-04-16 12:00")
    assert story.left == 500, "the next month is whole again"


def test_what_rolls_over_out_of_a_period_that_is_credited_is_had_of_it(story: Story) -> None:
    cap = "update plan_limits set rollover_cap = %s where plan_id = 'pro' and credit_type = 'message'"
    story.database.run(cap, 300)
    try:
        story.now(MARCH[0])
        running = (*MARCH, "price_pro", 10_000)
        story.tell("customer.subscription.created", story.subscription(*MARCH, price="price_pro"), wants=None)
        story.tell("invoice.paid", story.invoice(*MARCH, 10_000, price="price_pro"), wants=None)
        for hour in range(1, 5):
            now = f"2027-03-01 {hour:02}:00"
            story.now(now)
            following = (now, f"2028{now[4:]}", "price_proY", 100_000)
            if hour % 2 == 0:
                following = (now, f"2027-04{now[7:]}", "price_pro", 10_000)
            toggled(story, f"rolling{hour}", running, following)
            running = following
            assert 500 <= story.left <= 500 + 4, "what a month has, and what the hours since have paid for"
    finally:
        story.database.run(cap, 0)


@pytest.mark.parametrize(("price", "left"), [("price_st_year", 95), ("price_proY", 495)])
def test_a_year_whose_payment_fails_takes_nothing_of_the_month_that_was_paid(
    story: Story, price: str, left: int
) -> None:
    story.database.call("register_billing_price", "price_st_year", "starter", interval="year", unit_amount=20_000)
    story.subscribe()
    story.spend(40)
    story.now("2027-03-16 12:00")
    year = (MARCH[0][:8] + "16 12:00", "2028-03-16 12:00")
    lines = [
        story.line(year[0], MARCH[1], -1000, price="price_st", name="year", proration=True),
        story.line(*year, 20_000, price=price, name="year"),
    ]
    unpaid = story.invoice_of(
        lines, reason="subscription_update", name="year", status="open", amount_paid=0, attempt_count=1
    )
    told = [
        ("customer.subscription.updated", story.subscription(*year, price=price, status="past_due")),
        ("invoice.payment_failed", unpaid),
    ]
    for one in random.sample(told, 2):
        story.tell(*one, wants=None)
    assert (story.plan, story.left) == ("starter", 60)
    story.now("2027-03-21 12:00")
    assert (story.plan, story.left) == ("starter", 60), "it is paid to the end of its month"
    story.spend(5)
    told = [
        ("customer.subscription.updated", story.subscription(*year, price=price)),
        ("invoice.paid", story.invoice_of(lines, reason="subscription_update", name="year")),
    ]
    for one in random.sample(told, 2):
        story.tell(*one, wants=None)
    assert (story.left, covered_until(story)) == (left, year[1]), "what was spent since belongs to the new period"


def test_canceling_for_credit_and_subscribing_again_mints_nothing(story: Story) -> None:
    """The rest is credited when it is canceled at once, and pays for the next subscription."""
    start, received = "2027-03-01 00:00", 0
    for n in range(20 if LONG else 3):
        story.sub_id = f"sub_again{story.number}_{n}"
        month = (start, f"2027-04{start[7:]}")
        story.now(start)
        story.tell("customer.subscription.created", story.subscription(*month), wants=None)
        paid = story.invoice(*month, reason="subscription_create", amount_paid=0, starting_balance=-2000)
        story.tell("invoice.paid", paid, wants=None)
        received += story.spend_all()
        ended = f"2027-03-{n + 1:02} 06:00"
        story.now(ended)
        credit = [story.line(ended, month[1], -1983, price="price_st", name="end", proration=True)]
        told = [
            ("customer.subscription.deleted", story.subscription(*month, status="canceled", ended_at=story.at)),
            ("invoice.paid", story.invoice_of(credit, reason="manual", name="end")),
        ]
        for one in random.sample(told, 2):
            story.tell(*one, wants=None)
        assert (story.plan, story.left) == ("free", 0), "what is not paid for any more"
        start = f"2027-03-{n + 2:02} 00:00"
    assert received <= 100 + 100 * (n + 1) // 31


def covered_until(story: Story) -> str:
    return str(story.database.value("select covered_until from subscriptions where account_id = %s", story.user))[:16]


@pytest.mark.parametrize("first", [0, 1])
def test_a_new_anchor_begins_a_period_of_its_own(story: Story, first: int) -> None:
    story.subscribe()
    story.spend(40)
    story.now("2027-03-16 12:00")
    month = ("2027-03-16 12:00", "2027-04-16 12:00")
    told = [
        ("customer.subscription.updated", story.subscription(*month, price="price_pro")),
        ("invoice.paid", story.invoice(*month, 10_000, price="price_pro", reason="subscription_update")),
    ]
    for turn in (first, 1 - first):
        story.tell(*told[turn], wants=None)
    assert (story.plan, story.left, month_of(story)) == ("pro", 500, "2027-04-16")
    story.now("2027-04-16 12:00")
    assert story.left == 500


def test_where_collection_is_paused_one_period_is_given(story: Story) -> None:
    story.subscribe()
    story.now("2027-03-10 00:00")
    paused: dict[str, Any] = {"pause_collection": {"behavior": "void", "resumes_at": at("2027-05-10")}}
    story.tell("customer.subscription.updated", story.subscription(*MARCH, **paused))
    assert story.left == 100
    story.now(APRIL[0])
    story.tell("customer.subscription.updated", story.subscription(*APRIL, **paused))
    story.tell("invoice.voided", story.invoice(*APRIL, status="void", amount_paid=0), wants=None)
    assert story.left == 100
    story.now("2027-05-01 00:00")
    month = ("2027-05-01 00:00", "2027-06-01 00:00")
    story.tell("customer.subscription.updated", story.subscription(*month, **paused))
    story.tell("invoice.voided", story.invoice(*month, status="void", amount_paid=0), wants=None)
    assert story.left == 0
    story.now("2027-05-10 00:00")
    story.tell("customer.subscription.updated", story.subscription(*month))
    assert story.left == 0
    story.now("2027-06-01 00:00")
    story.tell("invoice.paid", story.invoice("2027-06-01 00:00", "2027-07-01 00:00"))
    assert (story.plan, story.left) == ("starter", 100)


def test_a_paused_subscription_is_frozen_and_resumes_with_a_period_of_its_own(story: Story) -> None:
    story.subscribe()
    story.send(story.pack())
    story.spend(40)
    story.now("2027-03-10 00:00")
    reason: dict[str, Any] = {"status_details": {"paused": {"subscription": {"type": "pause_requested"}}}}
    story.tell("customer.subscription.paused", story.subscription(*MARCH, status="paused", **reason))
    assert story.left == 500
    story.now("2027-04-20 00:00")
    month = ("2027-04-20 00:00", "2027-05-20 00:00")
    story.tell("customer.subscription.resumed", story.subscription(*month))
    story.tell("invoice.paid", story.invoice(*month))
    assert (story.plan, story.left, month_of(story)) == ("starter", 600, "2027-05-20")


def test_seats_grow_at_once_and_shrink_with_the_period(story: Story) -> None:
    seats = int(
        story.database.value("select allowance from plan_limits where (plan_id, credit_type) = ('builder', 'message')")
    )
    story.database.call("register_billing_price", "price_seat", "builder", unit_amount=3000)
    story.database.run("update public.plans set per_seat = true where id = 'builder'")
    story.now(MARCH[0])

    def has(quantity: int) -> None:
        story.tell("customer.subscription.updated", story.subscription(*MARCH, price="price_seat", quantity=quantity))

    has(3)
    story.tell("invoice.paid", story.invoice(*MARCH, 9000, price="price_seat", reason="subscription_create"))
    assert story.left == 3 * seats
    story.now("2027-03-16 12:00")
    has(5)
    assert story.left == 4 * seats
    story.now("2027-03-20 00:00")
    has(2)
    assert story.left == 4 * seats
    story.now(APRIL[0])
    assert story.left == 2 * seats


def test_two_customers_of_one_account_both_count_and_the_larger_plan_leads(story: Story) -> None:
    story.subscribe()
    other = f"{story.customer}b"
    story.database.call("link_billing_customer", story.user, other)
    story.now("2027-03-16 00:00")
    month = ("2027-03-16 00:00", "2027-04-16 00:00")
    first = story.customer, story.sub_id
    story.customer, story.sub_id = other, f"{story.sub_id}b"
    story.tell("customer.subscription.created", story.subscription(*month, price="price_pro"), wants=None)
    story.tell("invoice.paid", story.invoice(*month, 10_000, price="price_pro", reason="subscription_create"))
    assert (story.plan, story.left) == ("pro", 500)
    story.customer, story.sub_id = first
    story.tell("customer.subscription.deleted", story.subscription(*MARCH, status="canceled", ended_at=story.at))
    assert (story.plan, story.left) == ("pro", 500)


def test_a_cancellation_that_is_taken_back_is_none(story: Story) -> None:
    story.subscribe()
    story.now("2027-03-10 00:00")
    ending: dict[str, Any] = {"cancel_at_period_end": True, "canceled_at": story.at}
    story.tell("customer.subscription.updated", story.subscription(*MARCH, **ending))
    story.now("2027-03-12 00:00")
    story.tell("customer.subscription.updated", story.subscription(*MARCH))
    assert story.left == 100
    story.now("2027-04-02 00:00")
    story.tell("invoice.paid", story.invoice(*APRIL))
    assert (story.plan, story.left) == ("starter", 100)


def test_what_was_paid_stays_after_a_cancellation_at_once(story: Story) -> None:
    story.subscribe()
    story.spend(40)
    story.now("2027-03-10 00:00")
    story.tell("customer.subscription.deleted", story.subscription(*MARCH, status="canceled", ended_at=story.at))
    assert story.left == 60
    story.now("2027-04-01 00:00")
    assert (story.plan, story.left) == ("free", 10)


def test_a_trial_ends_with_its_day_and_is_followed_by_what_is_paid(story: Story) -> None:
    story.now(MARCH[0])
    trial = (MARCH[0], "2027-03-15 00:00")
    trying: dict[str, Any] = {"trial_start": story.at, "trial_end": story.at + 14 * 86400}
    story.tell("customer.subscription.created", story.subscription(*trial, status="trialing", **trying), wants=None)
    story.tell("invoice.paid", story.invoice(*trial, 0, reason="subscription_create"), wants=None)
    assert (story.left, story.grants("trial")) == (100, 1)
    story.spend(20)
    story.now("2027-03-15 00:00")
    month = ("2027-03-15 00:00", "2027-04-15 00:00")
    story.tell("customer.subscription.updated", story.subscription(*month, **trying), wants=None)
    story.tell("invoice.paid", story.invoice(*month), wants=None)
    assert (story.plan, story.left, month_of(story)) == ("starter", 100, "2027-04-15")


def test_a_first_payment_that_fails_gives_nothing(story: Story) -> None:
    story.now(MARCH[0])
    story.tell("customer.subscription.created", story.subscription(*MARCH, status="incomplete"), wants=None)
    failed = story.invoice(*MARCH, reason="subscription_create", status="open", amount_paid=0, attempt_count=1)
    story.tell("invoice.payment_failed", failed, wants=None)
    story.now("2027-03-01 23:00")
    story.tell("customer.subscription.updated", story.subscription(*MARCH, status="incomplete_expired"), wants=None)
    assert (story.plan, story.left) == ("free", 10)


def test_a_year_is_paid_once_and_renews_each_month(story: Story) -> None:
    year = ("2027-03-01 00:00", "2028-03-01 00:00")
    story.now(year[0])
    story.tell("customer.subscription.created", story.subscription(*year, price="price_proY"), wants=None)
    story.tell("invoice.paid", story.invoice(*year, 100_000, price="price_proY"), wants=None)
    for month in range(12):
        story.now(f"{2027 + (month + 2) // 12}-{(month + 2) % 12 + 1:02}-01 00:00")
        assert story.left == 500, month
        story.spend(500)
    story.now("2028-03-01 00:00")
    assert story.left == 500
    story.now("2028-04-01 00:00")
    assert story.left < 500


@pytest.mark.parametrize(("end", "july"), [("won", 500), ("lost", 0)])
def test_a_year_that_is_disputed_gives_no_further_month_until_it_is_won(story: Story, end: str, july: int) -> None:
    year = ("2027-03-01 00:00", "2028-03-01 00:00")
    intent = f"pi_year{story.number}"
    story.now(year[0])
    story.tell("customer.subscription.created", story.subscription(*year, price="price_proY"), wants=None)
    paid = story.invoice(*year, 100_000, price="price_proY")
    story.tell("invoice.paid", paid, wants=None)
    link = made.invoice_payment(
        created=story.at, invoice=paid["id"], payment_intent=intent, amount=100_000, currency="usd"
    )
    story.tell("invoice_payment.paid", link)
    story.now("2027-05-10 00:00")
    story.spend(100)
    story.tell("charge.dispute.created", story.dispute(intent, "needs_response", 100_000))
    assert story.left == 0
    story.now("2027-06-01 00:00")
    assert story.left == 0, "a month of what is in dispute"
    story.now("2027-06-15 00:00")
    story.tell("charge.dispute.closed", story.dispute(intent, end, 100_000))
    assert story.left == july
    story.now("2027-07-01 00:00")
    assert story.left == july


def test_refunds_with_tax_void_their_share_and_the_rest_is_a_debt(story: Story) -> None:
    story.now("2027-02-20 00:00")
    story.spend(10)
    event = story.pack(tax=100)
    intent = event["data"]["object"]["payment_intent"]
    story.send(event)
    story.spend(350)
    story.tell("refund.created", story.refund(intent, "1", 240))
    assert story.left == 0
    second = story.refund(intent, "2", 60)
    story.tell("refund.created", second)
    story.tell("refund.updated", story.refund(intent, "1", 240), wants=None)
    story.send(story.pack())
    assert story.left == 400
    story.tell("refund.failed", {**second, "status": "failed"})
    assert story.left == 450


def test_a_refund_of_tax_alone_takes_nothing_back(story: Story) -> None:
    story.now("2027-02-20 00:00")
    event = story.pack(tax=100, invoice="in_tax")
    intent = event["data"]["object"]["payment_intent"]
    story.send(event)
    refund = story.refund(intent, "tax", 100)
    invoice = made.invoice(created=story.at, customer=story.customer, lines=[], reason="manual", id="in_tax")
    note = made.credit_note(created=story.at, invoice=invoice, total=100, total_excluding_tax=0, refunds=[refund])
    story.tell("credit_note.created", note, wants=None)
    story.tell("refund.created", refund, wants=None)
    assert story.left == 510


@pytest.mark.parametrize("order", list(itertools.permutations(range(2))))
@pytest.mark.parametrize(("end", "left"), [("won", 160), ("lost", 10)])
def test_a_dispute_freezes_and_ends_the_same_in_either_order(
    story: Story, end: str, left: int, order: tuple[int, ...]
) -> None:
    story.now("2027-02-20 00:00")
    event = story.pack(tax=100)
    intent = event["data"]["object"]["payment_intent"]
    story.send(event)
    story.spend(10)
    story.spend(350)
    assert story.left == 150
    told = [
        ("charge.dispute.created", story.dispute(intent, "needs_response")),
        ("charge.dispute.closed", story.dispute(intent, end)),
    ]
    for turn in order:
        story.tell(*told[turn], wants=None)
        if (turn, order) == (0, (0, 1)):
            assert story.left == 0
    assert story.left == left - 10


def test_a_warning_of_a_dispute_changes_no_credits(story: Story) -> None:
    story.now("2027-02-20 00:00")
    event = story.pack()
    story.send(event)
    for status in ("warning_needs_response", "prevented"):
        story.tell(
            "charge.dispute.created", story.dispute(event["data"]["object"]["payment_intent"], status), wants=None
        )
    assert story.left == 510


def test_a_coupon_for_everything_is_a_sale(story: Story) -> None:
    story.now("2027-02-20 00:00")
    event = story.pack(payment_intent=None)
    event["data"]["object"].update(
        amount_total=0, payment_status="no_payment_required", total_details={"amount_discount": 500, "amount_tax": 0}
    )
    story.send(event)
    assert story.left == 510


def test_a_pack_expires_a_year_after_its_payment_however_late_it_is_told(story: Story) -> None:
    story.now("2027-02-20 00:00")
    event = story.pack()
    story.now("2027-03-20 00:00")
    story.send(event)
    story.now("2028-02-19 23:59")
    assert story.left == 510
    story.now("2028-02-20 00:01")
    assert story.left == 10


def test_a_price_that_is_not_ours_needs_a_look_and_gives_nothing(story: Story) -> None:
    story.now(MARCH[0])
    story.tell("customer.subscription.updated", story.subscription(*MARCH, price="price_zzz"), wants="needs_attention")
    assert (story.plan, story.left) == ("free", 10)


def test_a_customer_that_is_gone_keeps_what_was_bought(story: Story) -> None:
    story.subscribe()
    story.send(story.pack())
    story.now("2027-03-10 00:00")
    story.tell("customer.subscription.deleted", story.subscription(*MARCH, status="canceled", ended_at=story.at))
    story.tell("customer.deleted", made.customer(created=story.at, id=story.customer), wants=None)
    assert story.left == 600
    story.now("2027-04-01 00:00")
    assert (story.plan, story.left) == ("free", 510)
