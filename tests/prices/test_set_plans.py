"""Plans as code: all or none, with every figure that changes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.database import Database
from tests.support.errors import raises


def test_plans_become_what_they_should_be_and_a_dry_run_only_says_so(own_database: Database) -> None:
    plans: list[dict[str, Any]] = [
        {"id": "starter", "price_cents": 2500, "limits": {"message": {"allowance": 120, "rollover_cap": 20}}},
        {"id": "team", "name": "Team", "rank": 77, "price_cents": 9900, "limits": {"project": {"allowance": None}}},
    ]
    version = own_database.value("select credits.latest_version('starter')")
    dry = own_database.call("set_plans", plans, dry_run=True)
    assert {(c["plan_id"], c["what"]): (c["before"], c["after"]) for c in dry["changes"]}[("starter", "message")] == (
        "100",
        "120, rollover 20",
    )
    assert own_database.value("select count(*) from plans where id = 'team'") == 0
    assert own_database.call("set_plans", plans)["changes"] == dry["changes"]
    assert own_database.call("set_plans", plans)["changes"] == []
    assert own_database.value("select credits.latest_version('starter')") == version + 1
    shown = {plan["id"]: plan for plan in own_database.call("list_plans")["plans"]}
    assert (shown["starter"]["price_cents"], shown["team"]["name"]) == (2500, "Team")
    own_database.verify()


@pytest.mark.parametrize(
    "wrong",
    [
        *({"id": "starter", "price_cents": -1}, {"id": "No slug"}, {"id": "new"}, {"name": "no id"}),
        *({"id": "starter", "rank": 10**12}, {"id": "starter", "color": "red"}, {"id": "starter", "limits": []}),
        {"id": "starter", "limits": {"message": {"allowance": "many"}}},
    ],
    ids=str,
)
def test_a_plan_that_cannot_be_stops_all(database: Database, wrong: dict[str, Any]) -> None:
    with raises("invalid_argument", "PT422"):
        database.call("set_plans", [{"id": "builder", "name": "Changed"}, wrong])
    assert database.value("select name from plans where id = 'builder'") == "Builder"
    with raises("unknown_credit_type", "PT404"):
        database.call("set_plans", [{"id": "builder", "limits": {"gold": {"allowance": 1}}}])
