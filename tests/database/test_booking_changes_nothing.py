"""What is shown before anything is booked is what booking then makes of it, whatever has happened before.

Where the model of test_ledger_model is precise about less, this needs no model: unlimited plans, time zones, rollovers,
revoked allowances, frozen accounts.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import psycopg
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.database import Database, copied_database
from tests.support.server import Server
from tests.support.timed import Timed

TYPES = st.sampled_from(["message", "message", "project"])
AMOUNTS = st.integers(1, 150)
PLANS = ("free", "starter", "pro", "boundless")
ZONES = ("UTC", "Pacific/Kiritimati", "America/New_York", "Pacific/Pago_Pago")

STEPS = st.one_of(
    st.tuples(st.just("wait"), st.timedeltas(timedelta(0), timedelta(days=3))),
    st.tuples(st.just("wait"), st.timedeltas(timedelta(0), timedelta(days=70))),
    st.tuples(st.just("wait for the end"), st.none()),
    st.tuples(st.just("consume_credits"), TYPES, AMOUNTS),
    st.tuples(st.just("reserve_credits"), TYPES, AMOUNTS, st.sampled_from([1, 900, 86400])),
    st.tuples(st.just("capture_credits"), st.integers(0, 3), AMOUNTS),
    st.tuples(st.just("release_credits"), st.integers(0, 3)),
    st.tuples(st.just("refund_credits"), st.integers(0, 3)),
    st.tuples(
        st.just("grant_credits"), AMOUNTS, st.sampled_from(["promotion", "top_up", "rollover"]), st.integers(1, 50)
    ),
    st.tuples(st.just("revoke_grant"), st.integers(0, 3)),
    st.tuples(st.just("change_plan"), st.sampled_from(PLANS), st.sampled_from(["now", "period_end"])),
    st.tuples(st.just("set_subscription_status"), st.sampled_from(["past_due", "active", "canceled"])),
    st.tuples(st.just("set_time_zone"), st.sampled_from(ZONES)),
    st.tuples(st.just("freeze_account")),
    st.tuples(st.just("unfreeze_account")),
    st.tuples(st.just("reset_monthly_credits")),
)


def take(user: Timed, step: tuple[Any, ...]) -> None:
    name, *arguments = step
    pick = {
        "capture_credits": "select id from credit_reservations where account_id = %s order by created_at desc, id",
        "release_credits": "select id from credit_reservations where account_id = %s order by created_at desc, id",
        "refund_credits": "select operation_id from public.usage where account_id = %s and status = 'allowed' "
        "order by created_at desc, operation_id",
        "revoke_grant": "select id from credit_grants where account_id = %s and credit_type = 'message' "
        "order by created_at desc, id",
    }
    if name in pick:
        rows = user.database.query(pick[name], user.id)
        if not rows:
            return
        arguments[0] = str(rows[arguments[0] % len(rows)][0])
    match name:
        case "wait":
            user.at(user.now + arguments[0])
        case "wait for the end":
            user.at(max(user.period_end, user.now))
        case "reserve_credits":
            user.call(name, arguments[0], arguments[1], ttl_seconds=arguments[2])
        case "grant_credits":
            user.call(name, "message", *arguments[:2], expires_at=user.now + timedelta(days=arguments[2]))
        case _:
            user.call(name, *arguments)


def outcome(user: Timed, step: tuple[Any, ...]) -> str:
    """Empty, or the SQLSTATE of a refusal."""
    try:
        take(user, step)
    except psycopg.Error as error:
        return error.sqlstate or "no connection"
    return ""


def shown(user: Timed) -> list[Any]:
    return user.database.query(
        "select to_jsonb(b) from public.credit_balances b where account_id = %s order by credit_type", user.id
    )


def test_what_is_shown_is_what_booking_makes_of_it(server: Server) -> None:
    with copied_database(server) as database:
        database.run("update plan_limits set rollover_cap = 40 where credit_type = 'message'")
        database.run("insert into plans (id, name, rank, price_cents) values ('boundless', 'Boundless', 60, 49900)")
        database.run("insert into plan_limits (plan_id, credit_type) values ('boundless', 'message')")
        check(database)


def check(database: Database) -> None:
    @settings(max_examples=60, deadline=None, print_blob=True)
    @given(steps=st.lists(STEPS, min_size=5, max_size=25))
    def play(steps: list[tuple[Any, ...]]) -> None:
        user = Timed(database)
        for step in steps:
            state = outcome(user, step)
            assert state == "" or state.startswith("PT"), (step, state)
            before = shown(user)
            database.run("update credits.balances set due_at = '-infinity' where account_id = %s", user.id)
            assert shown(user) == before
            database.call("reset_monthly_credits")
            assert shown(user) == before
        user.verify()

    play()
