"""Rule 5 judges a period by the plans that were held in it and by what they gave then, not by what they give now."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.support.database import Database
from tests.support.timed import Timed

# What the core itself was made to do, so that every other rule holds.
FORGED = """
do $$
declare
  v_balance credits.balances := credits.lock_balance('{user}', 'message');
begin
  v_balance := (select i.p_balance from credits.issue_allowance('{user}', v_balance, {amount}, 'free', null,
    gen_random_uuid(), '{words}') i);
  perform credits.save_balance('{user}', v_balance);
end
$$
"""


def broken(database: Database, user: Any = None) -> list[int]:
    return [check["rule"] for check in database.call("verify_books", user_id=user)["checks"] if not check["ok"]]


def limit(database: Database, plan: str, allowance: int | None) -> None:
    database.run(
        "update public.plan_limits set allowance = %s where plan_id = %s and credit_type = 'message'", allowance, plan
    )


def test_an_allowance_above_the_plan_is_named_now_and_when_its_period_is_over(own_database: Database) -> None:
    user = Timed(own_database, plan="starter")
    own_database.run(FORGED.format(user=user.id, amount=1, words="plan allowance"))
    assert broken(own_database) == broken(own_database, user.id) == [5]
    # The largest plan ever held in the period would allow it, had it been held in this one.
    user.at(user.period_end).call("change_plan", "pro")
    assert broken(own_database) == broken(own_database, user.id) == [5]
    user.at(user.period_end).call("consume_credits", "message", 1)
    assert broken(own_database, user.id) == [5]


def test_an_upgrade_raises_the_bound_of_its_period(own_database: Database) -> None:
    user = Timed(own_database, plan="starter")
    user.wait(days=3).call("change_plan", "elite")
    granted = user.granted("starter")
    assert 1000 < granted < 1200
    assert broken(own_database) == []
    # The share that is due is known to the credit while the period runs.
    own_database.run(FORGED.format(user=user.id, amount=1, words="upgrade"))
    assert broken(own_database) == [5]


@pytest.mark.parametrize(
    "plans", [("free", "starter"), ("pro", "starter"), ("starter", "free", "pro"), ("elite", "free")]
)
def test_a_plan_that_changes_as_its_period_begins_has_granted_what_it_gave(
    own_database: Database, plans: tuple[str, ...]
) -> None:
    user = Timed(own_database)
    if plans[0] != "free":
        user.call("change_plan", plans[0])
    user.at(user.period_end)
    for plan in plans[1:]:
        user.call("change_plan", plan)
    assert broken(own_database) == []
    user.call("consume_credits", "message", 1)
    user.at(user.period_end).call("consume_credits", "message", 1)
    assert broken(own_database) == []


def test_what_is_granted_above_the_allowance_is_named(own_database: Database) -> None:
    user = Timed(own_database, plan="starter")
    own_database.run(FORGED.format(user=user.id, amount=7, words="unlimited"))
    assert broken(own_database) == [5]


def test_a_plan_that_gives_less_now_does_not_accuse_what_it_gave(own_database: Database) -> None:
    user = own_database.new_user()
    clock = Timed(own_database, plan="starter")
    limit(own_database, "free", 4)
    limit(own_database, "starter", 50)
    assert broken(own_database) == []
    clock.at(clock.period_end).call("consume_credits", "message", 1)
    assert clock.balance()["allowance"] == 50
    assert own_database.call("consume_credits", user, "message", 9)["success"]
    assert broken(own_database) == []
    own_database.run("delete from public.plan_limits where plan_id = 'free' and credit_type = 'message'")
    own_database.call("check_credits", user, "message")
    assert broken(own_database) == []


def test_what_a_plan_gives_later_does_not_excuse_what_was_granted(own_database: Database) -> None:
    user = own_database.new_user()
    own_database.run(FORGED.format(user=user, amount=5, words="plan allowance"))
    # Somebody raises the plan two hours after the period is over.
    own_database.run(
        "update credits.balances set period_start = period_start - interval '3 months', "
        "period_end = period_end - interval '3 months', settled_at = settled_at - interval '2 months', "
        "due_at = '-infinity' where kind = 'credit'"
    )
    own_database.run(
        "update public.credit_grants set starts_at = starts_at - interval '3 months', "
        "expires_at = expires_at - interval '3 months', period_start = period_start - interval '3 months' "
        "where source = 'plan' and expires_at is not null"
    )
    own_database.run("update credits.subscription_spells set started_at = started_at - interval '3 months'")
    limit(own_database, "free", 1000)
    assert 5 in broken(own_database)


def test_every_change_of_a_figure_is_written_down(own_database: Database) -> None:
    history = (
        "select v.plan_id, v.version, l.allowance, l.rollover_cap from credits.plan_versions v "
        "left join credits.plan_version_limits l on l.plan_id = v.plan_id and l.version = v.version "
        "where v.plan_id = any(%s) order by v.plan_id, v.version"
    )
    own_database.run("insert into public.plans (id, name, rank, price_cents) values ('tiny', 'Tiny', 5, 100)")
    own_database.run("insert into public.plan_limits (plan_id, credit_type, allowance) values ('tiny', 'message', 1)")
    limit(own_database, "tiny", None)
    own_database.run("update public.plan_limits set rollover_cap = 3 where plan_id = 'tiny'")
    own_database.run("update public.plans set id = 'small' where id = 'tiny'")
    own_database.run("delete from public.plans where id = 'small'")
    assert own_database.query(history, ["tiny", "small"]) == [
        ("small", 1, None, 3),
        ("tiny", 1, 1, 0),
        ("tiny", 2, None, 0),
        ("tiny", 3, None, 3),
    ]


def test_a_plan_change_is_dated_by_a_clock_that_was_held(own_database: Database) -> None:
    """The server's clock stepped back: the periods that were booked stay, and so do their plans."""
    user = own_database.new_user()
    own_database.call("change_plan", user, "pro")
    own_database.run("update credits.balances set settled_at = settled_at + interval '30 hours'")
    own_database.call("change_plan", user, "starter")
    ahead = own_database.value("select max(e.happened_at) - now() from credits.subscription_events e")
    assert ahead > timedelta(hours=29)
    assert broken(own_database) == []


def test_a_clock_that_came_later_accuses_nobody(database: Database) -> None:
    """What was booked before the account had a clock of its own is a moment apart, as time that goes by is."""
    user = database.new_user()
    database.call("change_plan", user, "elite")
    database.call("mark_test_account", user)
    database.call("set_test_clock", user, "2055-01-01T00:00:00Z")
    database.verify(user)
