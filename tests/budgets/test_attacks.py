"""Budgets, keys and roles as someone tries them who wants more than the others."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.support.database import Database
from tests.support.errors import raises
from tests.support.races import calling, race, slugs
from tests.support.teams import Team, as_user, join, new_team


@pytest.fixture(scope="module")
def team(database: Database) -> Team:
    return new_team(database, 10_000)


@pytest.fixture
def fresh(database: Database) -> Team:
    return new_team(database, 1000)


def budget(team: Team, limit: Any = 10, window: str = "day", **named: Any) -> dict[str, Any]:
    named = {"credit_type": "message", "limit": limit, "window": window, **named}
    return dict(team.call("set_credit_budget", named.pop("actor", team.owner), **named))


Attempt = Callable[[Team, dict[str, Any]], Any]

ATTEMPTS: dict[str, tuple[str, Attempt]] = {
    "a viewer spends": ("forbidden", lambda t, _: t.spend(t.viewer)),
    "a viewer holds": ("forbidden", lambda t, _: t.call("reserve_credits", t.viewer, credit_type="message")),
    "a viewer makes a key": ("forbidden", lambda t, _: t.call("create_api_key", t.viewer, name="v")),
    "an outsider spends": ("account_not_found", lambda t, _: t.spend(t.outsider)),
    "a member raises the budget": ("forbidden", lambda t, _: budget(t, 999, actor=t.member)),
    "a viewer raises the budget": ("forbidden", lambda t, _: budget(t, 999, actor=t.viewer)),
    "a member deletes the budget": (
        "forbidden", lambda t, b: t.call("delete_credit_budget", t.member, budget_id=b["budget_id"]),
    ),
    "an outsider deletes the budget": (
        "account_not_found", lambda t, b: t.call("delete_credit_budget", t.outsider, budget_id=b["budget_id"]),
    ),
    "it is deleted as one's own": (
        "budget_not_found", lambda t, b: t.database.call("delete_credit_budget", t.owner, budget_id=b["budget_id"]),
    ),
    "a signed-in member names the owner": (
        "account_not_found",
        lambda t, _: as_user(t.database, t.member, "set_credit_budget", user_id=t.owner, workspace_id=t.workspace,
                             credit_type="message", limit=999, window="day"),
    ),
    "a signed-in member sets it for all": (
        "forbidden",
        lambda t, _: as_user(t.database, t.member, "set_credit_budget", workspace_id=t.workspace,
                             credit_type="message", limit=999, window="day"),
    ),
    "a signed-in viewer invites": (
        "forbidden", lambda t, _: as_user(t.database, t.viewer, "invite_to_workspace", workspace_id=t.workspace,
                                          email="x@example.com"),
    ),
    "the limit is negative": ("invalid_argument", lambda t, _: budget(t, -1)),
    "the limit is none": ("invalid_argument", lambda t, _: budget(t, None)),
    "the limit is beyond all numbers": ("invalid_argument", lambda t, _: budget(t, 2**53 + 1)),
    "there are no hours": ("invalid_argument", lambda t, _: budget(t, 5, "rolling", hours=0)),
    "there are hours of a day": ("invalid_argument", lambda t, _: budget(t, 5, "day", hours=3)),
    "the window is none": ("invalid_argument", lambda t, _: budget(t, 5, "fortnight")),
    "the scope is none": ("invalid_argument", lambda t, _: budget(t, 5, scope="everybody")),
    "the role is none": ("invalid_argument", lambda t, _: budget(t, 5, scope="role", scope_value="boss")),
    "the agent has no name": ("invalid_argument", lambda t, _: budget(t, 5, scope="metadata", scope_value="actor=")),
    "the agent's name is a book": (
        "invalid_argument", lambda t, _: budget(t, 5, scope="metadata", scope_value="actor=" + "x" * 400),
    ),
    "the credit type is none": ("unknown_credit_type", lambda t, _: budget(t, 5, credit_type="gold")),
    "the member is an outsider": (
        "invalid_argument", lambda t, _: budget(t, 5, scope="member", scope_value=str(t.outsider)),
    ),
    "a member invites": ("forbidden", lambda t, _: t.call("invite_to_workspace", t.member, email="x@example.com")),
    "an admin invites an owner": (
        "forbidden", lambda t, _: t.call("invite_to_workspace", t.admin, email="x@example.com", role="owner"),
    ),
    "an admin makes itself an owner": (
        "forbidden", lambda t, _: t.call("set_workspace_role", t.admin, member_id=t.admin, role="owner"),
    ),
    "an admin demotes the owner": (
        "forbidden", lambda t, _: t.call("set_workspace_role", t.admin, member_id=t.owner, role="viewer"),
    ),
    "an admin removes the owner": (
        "forbidden", lambda t, _: t.call("remove_from_workspace", t.admin, member_id=t.owner),
    ),
    "an admin transfers it to itself": (
        "forbidden", lambda t, _: t.call("transfer_workspace", t.admin, member_id=t.admin),
    ),
    "an admin deletes it": ("forbidden", lambda t, _: t.call("delete_workspace", t.admin)),
    "a member promotes itself": (
        "forbidden", lambda t, _: t.call("set_workspace_role", t.member, member_id=t.member, role="admin"),
    ),
    "the last owner leaves": ("last_owner", lambda t, _: t.call("leave_workspace", t.owner)),
    "the last owner steps down": (
        "last_owner", lambda t, _: t.call("set_workspace_role", t.owner, member_id=t.owner, role="member"),
    ),
    "the last owner removes itself": (
        "last_owner", lambda t, _: t.call("remove_from_workspace", t.owner, member_id=t.owner),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def limited(team: Team) -> dict[str, Any]:
    return budget(team, 500, "month")


@pytest.mark.parametrize("name", ATTEMPTS)
def test_what_is_refused_changes_nothing(team: Team, limited: dict[str, Any], name: str) -> None:
    slug, attempt = ATTEMPTS[name]
    before = team.roles(), team.database.query(BUDGETS, team.workspace)
    with raises(slug):
        attempt(team, limited)
    assert (team.roles(), team.database.query(BUDGETS, team.workspace)) == before


BUDGETS = "select id, credit_limit from credit_budgets where account_id = %s order by id"


def test_nothing_at_all_and_everything_there_is_are_limits(fresh: Team) -> None:
    budget(fresh, 0, scope="member", scope_value=str(fresh.member).upper())
    budget(fresh, 2**53)
    assert fresh.spend(fresh.member)["details"]["budget"]["limit"] == 0
    assert fresh.spend(fresh.admin, 900)["success"]


@pytest.mark.parametrize("actor", ["bob", ["bob"], ["eve", "bob"], {"bob": 1}])
def test_an_agent_is_itself_however_its_name_is_wrapped(fresh: Team, actor: Any) -> None:
    budget(fresh, 5, scope="metadata", scope_value="actor=bob")
    assert fresh.spend(fresh.member, 5, metadata={"actor": actor})["success"]
    assert fresh.spend(fresh.member, 1, metadata={"actor": actor})["code"] == "member_cap_reached"
    for other in ("Bob", "bob ", 5, None, "x" * 10_000):
        assert fresh.spend(fresh.member, 1, metadata={"actor": other})["success"]
    fresh.database.verify(fresh.workspace)


def test_who_leaves_and_comes_back_has_used_what_they_had(fresh: Team) -> None:
    email = f"back.{uuid4()}@example.com"
    user = fresh.database.new_user(email=email)
    for _ in range(2):
        token = fresh.call("invite_to_workspace", fresh.owner, email=email)["token"]
        fresh.database.call("accept_workspace_invitation", user, token)
        if not fresh.database.query("select from credit_budgets where account_id = %s", fresh.workspace):
            budget(fresh, 5, scope="member")
            assert fresh.spend(user, 5)["success"]
        assert fresh.spend(user)["code"] == "member_cap_reached"
        fresh.call("leave_workspace", user)
        with raises("account_not_found"):
            fresh.spend(user)


def test_a_key_opens_one_workspace_as_long_as_its_person_is_in_it(fresh: Team) -> None:
    other = new_team(fresh.database, 10)
    key = fresh.call("create_api_key", fresh.member, name="agent")["key"]
    holder = fresh.database.call("find_api_key", key)
    with raises("account_not_found"):
        other.spend(UUID(holder["user_id"]))
    forged = key[:6] + other.workspace.hex + key[38:]
    for wrong in (forged, key.upper(), f" {key}", key[:-1], key + "0", "sonas_", "inv_" + key[6:]):
        with raises("key_not_found"):
            fresh.database.call("find_api_key", wrong)
    fresh.call("delete_workspace", fresh.owner)
    with raises("key_not_found"):
        fresh.database.call("find_api_key", key)
    for call in (
        lambda: fresh.spend(fresh.member),
        lambda: budget(fresh),
        lambda: fresh.call("list_credit_budgets", fresh.owner),
        lambda: fresh.call("create_api_key", fresh.owner, name="late"),
        lambda: fresh.call("invite_to_workspace", fresh.owner, email="late@example.com"),
    ):
        with raises("account_not_found"):
            call()


def test_two_admins_who_demote_each_other_leave_one_of_them_at_least(fresh: Team) -> None:
    second = join(fresh.database, fresh.workspace, fresh.owner, "admin")
    named = {"workspace_id": fresh.workspace, "role": "member"}
    outcomes = race(
        fresh.database,
        [
            calling("set_workspace_role", user_id=a, member_id=b, **named)
            for a, b in ((fresh.admin, second), (second, fresh.admin))
        ],
    )
    assert slugs(outcomes) == ["forbidden", "ok"]
    assert sorted(fresh.roles().values()) == ["admin", "member", "member", "owner", "viewer"]


@pytest.mark.parametrize(
    ("start", "hours"),
    # The days on which Paris loses an hour and gets it back.
    [(datetime(2027, 3, 27, 23, tzinfo=UTC), 23), (datetime(2027, 10, 30, 22, tzinfo=UTC), 25)],
)
def test_a_day_has_as_many_hours_as_its_wall_clock(fresh: Team, start: datetime, hours: int) -> None:
    fresh.call("mark_test_account", fresh.owner)
    fresh.call("set_time_zone", fresh.owner, time_zone="Europe/Paris")
    budget(fresh, 5)
    end = start + timedelta(hours=hours)
    fresh.call("set_test_clock", fresh.owner, now=start)
    assert fresh.spend(fresh.member, 5)["success"]
    fresh.call("set_test_clock", fresh.owner, now=end - timedelta(microseconds=1))
    told = fresh.spend(fresh.member)["details"]["budget"]
    assert datetime.fromisoformat(told["frees_at"]) == end
    fresh.call("set_test_clock", fresh.owner, now=end)
    assert fresh.spend(fresh.member, 5)["success"]
    fresh.database.verify(fresh.workspace)
