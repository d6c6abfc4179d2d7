"""`pin_plan`: one account keeps a version of its plan, whatever is published."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.database.test_publish_plan import set_allowance
from tests.support.database import Database
from tests.support.errors import raises
from tests.support.timed import Timed

START = datetime(2055, 3, 1, tzinfo=UTC)
PERIOD = timedelta(days=31)


def version(user: Timed) -> int:
    return int(user.database.value("select plan_version from public.subscriptions where account_id = %s", user.id))


def test_a_pinned_account_keeps_its_version_also_when_a_new_one_is_rolled_out(own_database: Database) -> None:
    pinned, other = (Timed(own_database, start=START, plan="starter") for _ in range(2))
    assert pinned.call("pin_plan", 1)["version"] == 1
    set_allowance(own_database, "starter", 300)
    set_allowance(own_database, "starter", 2, "project")
    assert own_database.call("publish_plan", "starter", "now")["accounts"] == 1
    for user in (pinned, other):
        user.at(START + PERIOD)
    assert (pinned.remaining, version(pinned), pinned.balance("project")["allowance"]) == (100, 1, None)
    assert (other.remaining, version(other), other.balance("project")["allowance"]) == (300, 3, 2)
    # Let go, it takes the newest at its next period.
    assert pinned.call("pin_plan")["version"] is None
    assert (pinned.remaining, version(pinned)) == (100, 1)
    assert (pinned.at(START + timedelta(days=61)).remaining, version(pinned)) == (300, 3)
    own_database.verify()


def test_on_another_plan_it_counts_for_nothing(own_database: Database) -> None:
    user = Timed(own_database, start=START, plan="starter")
    user.call("pin_plan", 1)
    set_allowance(own_database, "pro", 700)
    user.call("change_plan", "pro")
    assert (user.remaining, version(user)) == (700, 2)
    user.verify()


@pytest.mark.parametrize("missing", [0, 2, -1])
def test_a_version_that_the_plan_does_not_have_is_refused(database: Database, missing: int) -> None:
    with raises("invalid_argument", "PT422") as seen:
        database.call("pin_plan", database.new_user(), missing)
    assert seen.details["argument"] == "p_version"


def test_a_plan_that_is_left_keeps_the_figures_that_its_period_began_with(own_database: Database) -> None:
    left, stayed = (Timed(own_database, start=START, plan="starter") for _ in range(2))
    for user in (left, stayed):
        user.at(START + PERIOD).call("consume_credits", "message", 40)
    set_allowance(own_database, "starter", 300)
    for user in (left, stayed):
        user.wait(days=3)
    left.call("change_plan", "free")
    assert (left.remaining, stayed.remaining) == (60, 60)
    set_allowance(own_database, "starter", 50)
    assert left.wait(days=3).call("consume_credits", "message", 1)["remaining"] == 59
    left.verify()
