"""`publish_plan`: the newest figures count from each account's next period, or now for all who are on the plan."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.support.database import Database
from tests.support.errors import raises
from tests.support.timed import Timed

START = datetime(2055, 3, 1, tzinfo=UTC)
PERIOD = timedelta(days=31)


def set_allowance(database: Database, plan: str, allowance: int | None, credit_type: str = "message") -> None:
    database.run(
        "update public.plan_limits set allowance = %s where plan_id = %s and credit_type = %s",
        allowance,
        plan,
        credit_type,
    )


def test_now_it_moves_everybody_on_the_plan_under_the_rules_of_a_plan_change(own_database: Database) -> None:
    grown, shrunk = (Timed(own_database, start=START, plan=plan) for plan in ("starter", "pro"))
    for user in (grown, shrunk):
        user.at(START + PERIOD / 2).call("consume_credits", "message", 30)
    set_allowance(own_database, "starter", 300)
    set_allowance(own_database, "pro", 50)
    assert own_database.call("publish_plan", "starter", "now")["accounts"] == 1
    answer = own_database.call("publish_plan", "pro", "now")
    assert (answer["plan"], answer["version"], answer["accounts"], answer["more"]) == ("pro", 2, 1, False)
    # Half of the 200 more; nothing that was granted is clawed back.
    assert (grown.remaining, grown.balance()["allowance"]) == (70 + 100, 300)
    assert (shrunk.remaining, shrunk.balance()["allowance"]) == (470, 50)
    assert (grown.at(START + PERIOD).remaining, shrunk.at(START + PERIOD).remaining) == (300, 50)
    assert own_database.call("publish_plan", "pro", "now")["accounts"] == 0
    own_database.verify()


def test_otherwise_each_account_takes_it_at_its_next_period(own_database: Database) -> None:
    user = Timed(own_database, start=START, plan="starter")
    set_allowance(own_database, "starter", 300)
    answer = own_database.call("publish_plan", "starter")
    assert (answer["version"], answer["accounts"]) == (2, 0)
    assert (user.remaining, user.balance()["allowance"]) == (100, 100)
    assert user.at(START + PERIOD).remaining == 300
    user.verify()


def test_a_busy_account_is_not_waited_for_and_comes_with_the_next_call(own_database: Database) -> None:
    busy, idle = (Timed(own_database, start=START, plan="starter") for _ in range(2))
    set_allowance(own_database, "starter", 300)
    with own_database.connect(autocommit=False) as connection:
        own_database.call("consume_credits", busy.id, "message", 1, connection=connection)
        own_database.run("set lock_timeout = '5s'")
        answer = own_database.call("publish_plan", "starter", "now")
        assert (answer["accounts"], answer["more"]) == (1, True)
        connection.commit()
    answer = own_database.call("publish_plan", "starter", "now")
    assert (answer["accounts"], answer["more"]) == (1, False)
    assert (busy.remaining, idle.remaining) == (299, 300)
    own_database.verify()


def test_a_plan_or_a_time_that_does_not_exist_is_refused(database: Database) -> None:
    for arguments, argument in ((("gold",), "p_plan_id"), ((None,), "p_plan_id"), (("pro", "soon"), "p_apply")):
        with raises("invalid_argument", "PT422") as seen:
            database.call("publish_plan", *arguments)
        assert seen.details["argument"] == argument


def test_a_change_that_is_heard_of_late_takes_the_figures_that_were_on_sale_then(own_database: Database) -> None:
    user, later = own_database.new_user(), own_database.new_user()
    before = own_database.value("select clock_timestamp()")
    set_allowance(own_database, "pro", 600)
    own_database.call("change_plan", user, "pro", at=before)
    own_database.call("change_plan", later, "pro")
    assert (own_database.balance(user)["allowance"], own_database.balance(later)["allowance"]) == (500, 600)
    assert own_database.balance(user)["remaining"] == 500
    own_database.verify()
