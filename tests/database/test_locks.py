"""One lock order, shown with two connections: nobody who waits for a later lock keeps an earlier one from others."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.support.database import Database, call
from tests.support.races import Waiting, race, slugs, wait_until_blocked, weaken

Operation = Callable[[psycopg.Connection[Any], UUID], Any]

LOCK = "select 1 from credits.balances where account_id = %s and credit_type = %s for no key update"
BATCH = [{"credit_type": "message"}, {"credit_type": "project"}, {"credit_type": "integration"}]
LATER = datetime.now(UTC) + timedelta(days=3)

# Everything that locks more than one balance of an account.
MANY: dict[str, Operation] = {
    "consume_credits_batch": lambda c, u: call(c, "consume_credits_batch", u, BATCH),
    "consume_credits_batch, in reverse": lambda c, u: call(c, "consume_credits_batch", u, BATCH[::-1]),
    "change_plan": lambda c, u: call(c, "change_plan", u, "pro"),
    "change_plan at the period's end": lambda c, u: call(c, "change_plan", u, "pro", "period_end"),
    "reset_monthly_credits": lambda c, u: call(c, "reset_monthly_credits", u),
    "set_subscription_status": lambda c, u: call(c, "set_subscription_status", u, "past_due"),
    "set_time_zone": lambda c, u: call(c, "set_time_zone", u, "Europe/Paris"),
    "freeze_account": lambda c, u: call(c, "freeze_account", u),
    "unfreeze_account": lambda c, u: call(c, "unfreeze_account", u),
    "set_test_clock": lambda c, u: call(c, "set_test_clock", u, LATER),
}


@pytest.fixture
def test_user(database: Database) -> UUID:
    user = database.new_user()
    database.call("mark_test_account", user)
    return user


@pytest.mark.parametrize("operation", MANY)
def test_who_waits_for_one_type_keeps_no_later_one_locked(database: Database, test_user: UUID, operation: str) -> None:
    """The order is integration, message, project: held up at the first, it holds none of the others yet."""
    with database.connect(autocommit=False) as holder, database.connect() as third:
        holder.execute(LOCK, [test_user, "integration"])
        waiting = Waiting(database, MANY[operation], test_user)
        assert wait_until_blocked(database, waiting.connection) == [holder.info.backend_pid]
        for later in ("message", "project"):
            third.execute(f"{LOCK} nowait".encode(), [test_user, later])
        holder.rollback()
        outcome = waiting.finish()
    assert not isinstance(outcome, psycopg.Error), outcome


@pytest.mark.parametrize("operation", MANY)
def test_who_waits_for_a_later_type_has_locked_the_earlier_ones(
    database: Database, test_user: UUID, operation: str
) -> None:
    with database.connect(autocommit=False) as holder, database.connect() as third:
        holder.execute(LOCK, [test_user, "project"])
        waiting = Waiting(database, MANY[operation], test_user)
        assert wait_until_blocked(database, waiting.connection) == [holder.info.backend_pid]
        for earlier in ("integration", "message"):
            with pytest.raises(psycopg.errors.LockNotAvailable):
                third.execute(f"{LOCK} nowait".encode(), [test_user, earlier])
        holder.rollback()
        outcome = waiting.finish()
    assert not isinstance(outcome, psycopg.Error), outcome


def test_a_spend_of_one_type_waits_for_no_other_type(database: Database, test_user: UUID) -> None:
    with database.connect(autocommit=False) as holder:
        holder.execute(LOCK, [test_user, "integration"])
        holder.execute(LOCK, [test_user, "project"])
        database.run("set lock_timeout = '5s'")
        assert database.call("consume_credits", test_user, "message")["success"] is True
        hold = database.call("reserve_credits", test_user, "message")["reservation_id"]
        spend = database.call("capture_credits", test_user, hold)["operation_id"]
        assert database.call("refund_credits", test_user, spend)["success"] is True
        database.run("reset lock_timeout")
        holder.rollback()


def test_a_spend_of_one_account_waits_for_no_other_account(database: Database, test_user: UUID) -> None:
    with database.connect(autocommit=False) as holder:
        call(holder, "change_plan", test_user, "pro")
        database.run("set lock_timeout = '5s'")
        assert database.call("consume_credits", database.new_user(), "message")["success"] is True
        database.run("reset lock_timeout")
        holder.rollback()


def test_reading_waits_for_nobody(database: Database, test_user: UUID) -> None:
    with database.connect(autocommit=False) as holder:
        call(holder, "change_plan", test_user, "pro")
        database.run("set lock_timeout = '5s'")
        assert database.balance(test_user)["remaining"] == 10
        assert database.call("check_credits", test_user, "message")["success"] is True
        assert database.call("get_credit_summary", test_user)["plan"] == "free"
        assert database.call("reset_monthly_credits")["success"] is True
        database.verify(test_user)
        database.run("reset lock_timeout")
        holder.rollback()


def test_everything_at_once_on_one_account_never_deadlocks(database: Database, test_user: UUID) -> None:
    operations = [operation for name, operation in MANY.items() if name not in ("deleting the user", "freeze_account")]

    def contender(nth: int) -> Callable[[psycopg.Connection[Any]], Any]:
        def run(connection: psycopg.Connection[Any]) -> Any:
            for step in range(12):
                answer = operations[(nth + step) % len(operations)](connection, test_user)
                call(connection, "consume_credits", test_user, ("project", "message")[step % 2])
            return answer

        return run

    outcomes = race(database, [contender(nth) for nth in range(len(operations))])
    errors = [outcome for outcome in outcomes if isinstance(outcome, psycopg.Error)]
    assert not errors
    database.verify(test_user)


def spends_of_the_last_credit(
    database: Database, second_spend: Callable[[psycopg.Connection[Any], UUID], Any]
) -> list[str]:
    """One spend is not committed yet while the other one asks for the same, last credit."""
    user = database.new_user()
    database.call("consume_credits", user, "message", 9)
    with database.connect(autocommit=False) as first:
        outcomes = [call(first, "consume_credits", user, "message")]
        second = Waiting(database, second_spend, user)
        wait_until_blocked(database, second.connection)
        first.commit()
        outcomes.append(second.finish())
    return slugs(outcomes)


@pytest.mark.parametrize("key", [None, "order 7"])
def test_the_second_spend_of_the_last_credit_waits_and_is_denied(database: Database, key: str | None) -> None:
    outcomes = spends_of_the_last_credit(
        database, lambda c, u: call(c, "consume_credits", u, "message", idempotency_key=key)
    )
    assert outcomes == ["insufficient_credits", "ok"]


def test_a_batch_of_the_last_credit_waits_and_is_denied(database: Database) -> None:
    outcomes = spends_of_the_last_credit(
        database, lambda c, u: call(c, "consume_credits_batch", u, [{"credit_type": "message"}])
    )
    assert outcomes == ["insufficient_credits", "ok"]


def test_without_the_lock_the_second_spend_compares_what_has_been(own_database: Database) -> None:
    """The guard removed: only the ledger, which has that version, still stops it, with an error instead of a denial."""
    weaken(own_database, "credits.lock_balance(uuid, text)", "for no key update")
    outcomes = spends_of_the_last_credit(
        own_database, lambda c, u: call(c, "consume_credits_batch", u, [{"credit_type": "message"}])
    )
    assert "ok" in outcomes
    assert any("violates" in outcome for outcome in outcomes)


def test_without_the_sorted_order_two_batches_deadlock(own_database: Database) -> None:
    """The guard removed: batches lock in the order of their items, and wait for each other."""
    weaken(
        own_database,
        "credits.consume_batch(uuid, uuid, credits.batch_item[])",
        "select distinct i.credit_type from unnest(p_items) i\n    order by i.credit_type",
        "select i.credit_type from unnest(p_items) i order by i.nth",
    )
    user = own_database.new_user()
    batch = [{"credit_type": "message"}, {"credit_type": "integration"}]
    with own_database.connect(autocommit=False) as first:
        call(first, "consume_credits", user, "integration")
        # Locks message, then waits for integration.
        second = Waiting(own_database, lambda c, u: call(c, "consume_credits_batch", u, batch), user)
        wait_until_blocked(own_database, second.connection)
        outcomes = [_or_error(lambda: call(first, "consume_credits", user, "message"))]
        first.rollback()
        outcomes.append(second.finish())
    assert "deadlock detected" in slugs(outcomes)


def _or_error(operation: Callable[[], Any]) -> Any:
    try:
        return operation()
    except psycopg.Error as error:
        return error
