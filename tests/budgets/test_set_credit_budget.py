"""A budget denies what does not fit, by whom and in which window, and says so."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from sonas_supabase import CreditsClient
from tests.support.database import Database
from tests.support.errors import raises
from tests.support.people import acting_as
from tests.support.races import calling, race, slugs
from tests.support.teams import Team, as_user, join, new_team


@pytest.fixture
def team(database: Database) -> Team:
    return new_team(database, 1000)


def budget(team: Team, limit: int, window: str = "day", actor: UUID | None = None, **named: Any) -> dict[str, Any]:
    named = {"credit_type": "message", "limit": limit, "window": window, **named}
    return dict(team.call("set_credit_budget", actor or team.owner, **named))


def test_the_denial_says_which_budget_and_when_it_frees_up(team: Team) -> None:
    made = budget(team, 50, scope="member")
    assert team.spend(team.member, 12)["success"]
    denied = team.spend(team.member, 39)
    assert (denied["success"], denied["code"], denied["details"]["available"]) == (False, "member_cap_reached", 38)
    told = denied["details"]["budget"]
    tomorrow = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    assert datetime.fromisoformat(told.pop("frees_at")) == tomorrow
    assert told == {
        "id": made["budget_id"], "scope": "member", "scope_value": None, "window": "day", "hours": None,
        "limit": 50, "used": 12, "frees": 12,
    }  # fmt: skip
    assert denied["message"] == "The budget of 50 message credits a day is used up: 12 used, 39 required."
    assert "12 are free again" in denied["hint"]
    assert denied["hint"].endswith("or ask an owner or an admin of the workspace to raise it.")
    assert team.spend(team.admin, 39)["success"]
    on_record = team.call("explain_operation", team.member, operation_id=denied["operation_id"])
    assert on_record["metadata"]["budget"]["id"] == made["budget_id"]
    assert on_record["required"] == 39
    with raises("member_cap_reached", "PT402") as seen:
        team.spend(team.member, 39, strict=True)
    assert seen.details["budget"]["id"] == made["budget_id"]
    team.database.verify(team.workspace)


def test_a_budget_of_ones_own_account_is_ones_own_to_raise(team: Team) -> None:
    user = team.database.new_user()
    made = team.database.call("set_credit_budget", user, credit_type="message", limit=2, window="draw")
    denied = team.database.call("consume_credits", user, "message", 3)
    assert (denied["code"], denied["hint"]) == ("member_cap_reached", "Raise it.")
    with CreditsClient.from_url(team.database.url) as credits:
        advice = credits.check_credits(user, "message", 3)
    assert advice.details
    assert advice.details.budget
    assert advice.details.budget["id"] == made["budget_id"]


def test_every_way_to_spend_keeps_it(team: Team) -> None:
    budget(team, 10)
    assert team.spend(team.member, 4)["success"]
    held = team.call("reserve_credits", team.member, credit_type="message", amount=4)
    assert held["success"]
    for spend, used in (
        (team.spend(team.admin, 3), 8),
        (team.call("reserve_credits", team.admin, credit_type="message", amount=3), 8),
        # The items before it are counted.
        (team.call("consume_credits_batch", team.admin, items=[{"credit_type": "message"}] * 3), 10),
        (team.call("check_credits", team.admin, credit_type="message", amount=3), 8),
    ):
        assert (spend["code"], spend["details"]["budget"]["used"]) == ("member_cap_reached", used)
    # Above the hold, what the budget leaves.
    captured = team.call("capture_credits", team.member, reservation_id=held["reservation_id"], amount=9)
    assert (captured["captured"], captured["shortfall"]) == (6, 3)
    assert team.spend(team.owner)["code"] == "member_cap_reached"
    team.database.verify(team.workspace)


def test_a_refund_and_a_release_give_room_back(team: Team) -> None:
    budget(team, 10)
    spent = team.spend(team.member, 10)
    assert not team.spend(team.member)["success"]
    team.call("refund_credits", team.member, operation_id=spent["operation_id"], amount=4)
    held = team.call("reserve_credits", team.member, credit_type="message", amount=4)
    assert not team.spend(team.member)["success"]
    team.call("release_credits", team.member, reservation_id=held["reservation_id"])
    assert team.spend(team.member, 4)["success"]


def test_a_denied_batch_counts_nothing(team: Team) -> None:
    budget(team, 10, scope="metadata", scope_value="actor=bob")
    items = [{"credit_type": "message", "amount": 6, "metadata": {"actor": "bob"}}] * 2
    denied = team.call("consume_credits_batch", team.member, items=items)
    assert (denied["code"], denied["item"], denied["details"]["budget"]["used"]) == ("member_cap_reached", 1, 6)
    assert team.spend(team.member, 10, metadata={"actor": "bob"})["success"]
    assert team.spend(team.member, 10, metadata={"actor": "eve"})["success"]


def test_the_same_again_changes_it_in_place_and_keeps_what_it_has_counted(team: Team) -> None:
    team.spend(team.member, 3)
    first = budget(team, 10, scope="member", scope_value=str(team.member))
    assert (first["used"], first["remaining"]) == (3, 7)
    team.spend(team.member, 3)
    second = budget(team, 5, scope="member", scope_value=str(team.member))
    assert (second["budget_id"], second["used"], second["remaining"]) == (first["budget_id"], 6, 0)
    third = budget(team, 5, window="rolling", hours=24, scope="member", scope_value=str(team.member))
    assert (third["used"], third["budget_id"] != first["budget_id"]) == (6, True)


def test_all_levels_must_have_room(team: Team) -> None:
    budget(team, 100)
    budget(team, 20, scope="role", scope_value="member")
    budget(team, 15, scope="member")
    budget(team, 5, window="draw")
    other = join(team.database, team.workspace, team.owner, "member")
    assert team.spend(team.member, 6)["details"]["budget"]["window"] == "draw"
    for _ in range(3):
        assert team.spend(team.member, 5)["success"]
    assert team.spend(team.member)["details"]["budget"]["scope"] == "member"
    assert team.spend(other, 5)["success"]
    assert team.spend(other)["details"]["budget"]["scope"] == "role"
    assert team.spend(team.admin)["success"]
    team.call("set_workspace_role", team.owner, member_id=other, role="admin")
    assert team.spend(other)["success"]
    team.database.verify(team.workspace)


def test_rolling_hours_free_up_as_they_pass(team: Team) -> None:
    team.call("mark_test_account", team.owner)
    start = datetime(2027, 5, 3, 10, tzinfo=UTC)
    budget(team, 10, window="rolling", hours=2)
    for minutes, amount in ((0, 6), (30, 4)):
        team.call("set_test_clock", team.owner, now=start + timedelta(minutes=minutes))
        assert team.spend(team.member, amount)["success"]
    told = team.spend(team.member, 1)["details"]["budget"]
    assert (datetime.fromisoformat(told["frees_at"]), told["frees"]) == (start + timedelta(hours=2), 6)
    told = team.spend(team.member, 8)["details"]["budget"]
    assert (datetime.fromisoformat(told["frees_at"]), told["frees"]) == (start + timedelta(hours=2, minutes=30), 10)
    team.call("set_test_clock", team.owner, now=start + timedelta(hours=2) - timedelta(microseconds=1))
    assert not team.spend(team.member, 6)["success"]
    team.call("set_test_clock", team.owner, now=start + timedelta(hours=2))
    assert team.spend(team.member, 6)["success"]
    team.database.verify(team.workspace)


@pytest.mark.parametrize(
    ("window", "before", "after"),
    [
        # Monday in Paris is two hours before Monday in UTC.
        ("day", datetime(2027, 7, 3, 21, 59, tzinfo=UTC), datetime(2027, 7, 3, 22, tzinfo=UTC)),
        ("week", datetime(2027, 7, 4, 21, 59, tzinfo=UTC), datetime(2027, 7, 4, 22, tzinfo=UTC)),
        ("month", datetime(2027, 7, 31, 21, 59, tzinfo=UTC), datetime(2027, 7, 31, 22, tzinfo=UTC)),
    ],
)
def test_calendar_windows_follow_the_wall_clock_of_the_account(
    team: Team, window: str, before: datetime, after: datetime
) -> None:
    team.call("mark_test_account", team.owner)
    team.call("set_time_zone", team.owner, time_zone="Europe/Paris")
    budget(team, 5, window=window)
    team.call("set_test_clock", team.owner, now=before)
    assert team.spend(team.member, 5)["success"]
    told = team.spend(team.member)["details"]["budget"]
    assert (datetime.fromisoformat(told["frees_at"]), told["frees"]) == (after, 5)
    team.call("set_test_clock", team.owner, now=after)
    assert team.spend(team.member, 5)["success"]


def test_what_is_in_flight_is_what_holds_have_pinned(team: Team) -> None:
    budget(team, 10, window="in_flight")
    held = team.call("reserve_credits", team.member, credit_type="message", amount=10, ttl_seconds=60)
    denied = team.call("reserve_credits", team.admin, credit_type="message", amount=1)
    told = denied["details"]["budget"]
    assert (told["used"], told["frees"], told["frees_at"]) == (10, 10, held["expires_at"])
    assert team.spend(team.member, 20)["success"]
    team.call("capture_credits", team.member, reservation_id=held["reservation_id"])
    assert team.call("reserve_credits", team.admin, credit_type="message", amount=10)["success"]


def test_a_person_has_budgets_of_their_own(database: Database) -> None:
    user = database.new_user()
    database.call("change_plan", user, "pro")
    made = as_user(
        database, user, "set_credit_budget", credit_type="message", limit=5, window="day", scope="metadata",
        scope_value="actor=bob",
    )  # fmt: skip
    assert (made["workspace_id"], made["limit"]) == (None, 5)
    named = {"credit_type": "message", "limit": 5, "window": "period", "scope": "metadata", "scope_value": "actor=bob"}
    database.call("set_credit_budget", user, **named)
    assert database.call("consume_credits", user, "message", 5, metadata={"actor": "bob"})["success"]
    held = database.call("reserve_credits", user, "message", 1, metadata={"actor": "bob"})
    assert held["code"] == "member_cap_reached"
    assert database.call("consume_credits", user, "message", 5)["success"]
    database.verify(user)


def test_who_may_set_them(team: Team) -> None:
    for actor in (team.member, team.viewer):
        with raises("forbidden", "PT403"):
            budget(team, 5, actor=actor)
    with raises("account_not_found", "PT404"):
        budget(team, 5, actor=team.outsider)
    assert budget(team, 5, actor=team.admin)["success"]
    with raises("invalid_argument", "PT422"):
        budget(team, 5, scope="member", scope_value=str(team.outsider))
    with raises("invalid_argument", "PT422"):
        budget(team, 5, window="rolling")
    for actor, sees in ((team.viewer, 1), (team.outsider, 0)):
        with acting_as(team.database, "authenticated", actor) as connection:
            query = b"select count(*) from credit_budgets where account_id = %s"
            assert connection.execute(query, [team.workspace]).fetchone() == (sees,)


def test_twenty_at_once_spend_exactly_what_fits(team: Team) -> None:
    budget(team, 30)
    budget(team, 12, scope="member")
    named = {"credit_type": "message", "amount": 3, "workspace_id": team.workspace}
    held = calling("reserve_credits", user_id=team.admin, **named)
    spent = calling("consume_credits", user_id=team.member, **named)
    keyed = calling("consume_credits", user_id=team.owner, idempotency_key="once", **named)
    outcomes = race(team.database, [held, spent, keyed, spent] * 5)
    assert Counter(slugs(outcomes)) == {"ok": 4 + 4 + 1, "replayed": 4, "member_cap_reached": 7}
    used = team.call("list_credit_budgets", team.owner)["budgets"]
    assert [b["used"] for b in used] == [27, 3]
    team.database.verify(team.workspace)


def test_a_metered_row_counts_for_the_workspace_that_owns_it(team: Team) -> None:
    from tests.support.tables import metered_projects

    team.call("set_credit_budget", team.owner, credit_type="project", limit=1, window="period")
    table = metered_projects(team.database)
    team.database.run(f"insert into {table} (owner_id) values (%s)", team.workspace)
    with raises("member_cap_reached", "PT402"):
        team.database.run(f"insert into {table} (owner_id) values (%s)", team.workspace)
    team.database.run(f"delete from {table} where owner_id = %s", team.workspace)
    team.database.run(f"insert into {table} (owner_id) values (%s)", team.workspace)
    team.database.verify(team.workspace)
