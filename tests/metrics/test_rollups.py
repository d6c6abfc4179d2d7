"""The rollups are the ledger at every moment: whatever commits late, whoever leaves them, whoever else is at it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.support.database import Database
from tests.support.errors import raises
from tests.support.people import acting_as

ROLLUPS = {
    "hourly_flows": "hour, credit_type, plan_id, source, flow, amount, operations",
    "daily_owed": "day, credit_type, source, amount",
    "daily_accounts": "account_id, day, credit_type, plan_id, spent, operations",
    "monthly_accounts": "account_id, month, credit_type, plan_id, spent",
    "daily_segments": "day, segment, value, credit_type, plan_id, spent, operations",
    "account_periods": "account_id, credit_type, version, started_at, plan_id, ended_at::text, crossed_80_at, "
    "ran_dry_at",
}
METRICS = [
    ("metrics_consumption", {}),
    ("metrics_breakage", {}),
    ("metrics_active_accounts", {}),
    ("metrics_liability", {}),
    ("metrics_conversion", {}),
    ("metrics_exhaustion", {}),
    *(("metrics_usage", {"by": by}) for by in ("plan", "account", "cohort", "hour")),
    ("metrics_usage", {"by": "metadata", "metadata_key": "model"}),
]


def rolled(database: Database) -> dict[str, list[Any]]:
    found = {
        table: sorted(database.query(f"select {columns} from credits.{table}"), key=str)
        for table, columns in ROLLUPS.items()
    }
    # Which bit stands for whom depends on who came first; whom the bits stand for does not.
    found["daily_active"] = sorted(
        database.query(
            "select d.day, d.credit_type, d.plan_id, n.account_id from credits.daily_active d "
            "join credits.account_numbers n on n.number / 4096 = d.chunk "
            "where get_bit(d.accounts, (n.number % 4096)::integer) = 1"
        ),
        key=str,
    )
    return found


def rolled_anew(database: Database) -> dict[str, list[Any]]:
    """What the rollups are when all of the ledger is read at once."""
    database.run(
        "truncate "
        + ", ".join(f"credits.{table}" for table in (*ROLLUPS, "daily_active", "account_numbers", "rolled_up"))
    )
    assert database.call("roll_up_metrics")["finished"]
    return rolled(database)


def equal_to_the_ledger(database: Database) -> None:
    until = database.value("select now() + interval '1 minute'")
    for metric, more in METRICS:
        arguments = {"bucket": "hour", "until": until} | more
        assert database.call(metric, **arguments) == database.call(metric, raw=True, **arguments), (metric, more)


def spent(database: Database) -> int:
    rows = database.call("metrics_consumption", bucket="all")["rows"]
    return sum(row["spent"] for row in rows)


def test_what_commits_late_is_counted_once(own_database: Database) -> None:
    database = own_database
    early, other = database.new_user(), database.new_user()
    with database.connect(autocommit=False) as late:
        database.call("consume_credits", early, "message", 3, connection=late)
        database.call("consume_credits", other, "message", 4)
        assert database.call("roll_up_metrics")["finished"]
        assert spent(database) == 4
        late.commit()
    # Its time is before what has been rolled up; its version is not.
    assert spent(database) == 7
    equal_to_the_ledger(database)
    assert database.call("roll_up_metrics")["balances"] == 1
    assert spent(database) == 7
    assert database.call("roll_up_metrics")["balances"] == 0
    assert rolled(database) == rolled_anew(database)


def test_any_number_of_steps_ends_in_the_same_sums(own_database: Database) -> None:
    database = own_database
    database.call("track_metadata_key", "model")
    users = [database.new_user() for _ in range(5)]
    for step in range(6):
        for nth, user in enumerate(users):
            answer = database.call(
                "consume_credits", user, "message", 1 + (step + nth) % 3, metadata={"model": "small"}
            )
            if answer["success"] and nth == step:
                database.call("refund_credits", user, answer["operation_id"])
            if nth == step:
                database.call("change_plan", user, "starter")
        while not database.call("roll_up_metrics", 2)["finished"]:
            pass
        equal_to_the_ledger(database)
    assert rolled(database) == rolled_anew(database)


def test_an_account_that_becomes_a_test_account_leaves_the_rollups(own_database: Database) -> None:
    database = own_database
    database.call("track_metadata_key", "model")
    stays, leaves = database.new_user(), database.new_user()
    for user in (stays, leaves):
        database.call("consume_credits", user, "message", 5, metadata={"model": "small"})
    database.call("roll_up_metrics")
    assert spent(database) == 10
    database.call("mark_test_account", leaves)
    assert spent(database) == 5
    equal_to_the_ledger(database)
    assert rolled(database) == rolled_anew(database)
    everybody = database.call("metrics_consumption", bucket="all", include_test=True)["rows"]
    assert sum(row["spent"] for row in everybody) == 10


def test_a_key_that_is_tracked_later_answers_the_same(own_database: Database) -> None:
    database = own_database
    user = database.new_user()
    database.call("consume_credits", user, "message", 2, metadata={"model": "small"})
    database.call("consume_credits", user, "message", 3, metadata={"model": "large"})
    database.call("roll_up_metrics")
    ask = {"by": "metadata", "metadata_key": "model", "until": database.value("select now()")}
    before = database.call("metrics_usage", **ask)
    assert [(row["value"], row["spent"]) for row in before["rows"]] == [("large", 3), ("small", 2)]
    assert database.call("track_metadata_key", "model")["tracked"] == ["model"]
    assert database.call("metrics_usage", **ask) == before
    assert rolled(database) == rolled_anew(database)
    assert database.call("track_metadata_key", "model", tracked=False)["tracked"] == []
    assert database.call("metrics_usage", **ask) == before


def test_the_metadata_of_a_forgotten_person_leaves_the_rollups(own_database: Database) -> None:
    database = own_database
    database.call("track_metadata_key", "model")
    for _ in range(2):
        user = database.new_user()
        database.call("consume_credits", user, "message", 5, metadata={"model": "small"})
    database.call("roll_up_metrics")
    database.call("forget_account", user)
    [row] = database.call("metrics_usage", by="metadata", metadata_key="model")["rows"]
    assert row["spent"] == 5
    assert spent(database) == 10
    equal_to_the_ledger(database)


def test_two_at_once_do_not_count_twice(own_database: Database) -> None:
    database = own_database
    database.call("consume_credits", database.new_user(), "message", 5)
    with database.connect(autocommit=False) as first:
        assert database.call("roll_up_metrics", connection=first)["balances"] == 3
        busy = database.call("roll_up_metrics")
        assert (busy["balances"], busy["finished"]) == (0, False)
        first.commit()
    assert spent(database) == 5


@pytest.mark.parametrize("role", ["anon", "authenticated"])
@pytest.mark.parametrize("metric", sorted({name for name, _ in METRICS} | {"roll_up_metrics"}))
def test_nobody_but_the_service_role_sees_them(database: Database, user: UUID, role: str, metric: str) -> None:
    with acting_as(database, role, user) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        database.call(metric, connection=connection)


@pytest.mark.parametrize(
    ("metric", "arguments"),
    [
        ("metrics_consumption", {"since": "2026-02-01", "until": "2026-01-01"}),
        ("metrics_consumption", {"since": "-infinity"}),
        ("metrics_consumption", {"bucket": "fortnight"}),
        ("metrics_consumption", {"bucket": "1 month"}),
        ("metrics_consumption", {"bucket": "1 second"}),
        ("metrics_consumption", {"bucket": "1 minute"}),
        ("metrics_consumption", {"time_zone": "Europe/Atlantis"}),
        ("metrics_usage", {"by": "shoe size"}),
        ("metrics_usage", {"by": "metadata"}),
        ("metrics_usage", {"limit": 0}),
        ("roll_up_metrics", {"limit": 0}),
        ("track_metadata_key", {"metadata_key": ""}),
    ],
)
def test_what_cannot_be_used_is_named(database: Database, metric: str, arguments: dict[str, Any]) -> None:
    with raises("invalid_argument"):
        database.call(metric, **arguments)


def test_an_unknown_credit_type_is_named(database: Database) -> None:
    with raises("unknown_credit_type"):
        database.call("metrics_breakage", credit_type="karma")


def test_the_history_of_plans_cannot_miss_a_change(database: Database) -> None:
    user = database.new_user()
    database.call("change_plan", user, "starter")
    database.call("change_plan", user, "free", effective="period_end")
    database.call("change_plan", user, "starter")
    database.call("change_plan", user, "pro")
    history = database.query(
        "select plan_id, next_plan from credits.plan_spells where account_id = %s order by started_at", user
    )
    assert history == [("free", "starter"), ("starter", "pro"), ("pro", None)]
