"""A workspace's plan and balance are every member's; what was done is one's own, or an overseer's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.support.api import Api
from tests.support.database import Database
from tests.support.people import acting_as, new_workspace

ACTS = ("public.credit_transactions", "public.usage", "public.credit_reservations")
SHARED = ("public.subscriptions", "public.credit_balances", "public.credit_grants", "public.credit_workspaces")
ROLES = ("owner", "admin", "member", "viewer")
OVERSEERS = ("owner", "admin")


@dataclass(frozen=True)
class Team:
    """One person of each role. Each of them has spent, been denied and holds something."""

    workspace: UUID
    people: dict[str, UUID]
    operations: dict[str, str]


@pytest.fixture(scope="module")
def team(database: Database) -> Team:
    people = {role: database.new_user() for role in ROLES}
    workspace = new_workspace(database, *people.values())
    operations = {}
    for role, user in people.items():
        spent = database.call("consume_credits", user, "integration", 1, f"by the {role}", workspace_id=workspace)
        operations[role] = spent["operation_id"]
        database.call("consume_credits", user, "integration", 9999, f"by the {role}", workspace_id=workspace)
        database.call("reserve_credits", user, "integration", 1, f"by the {role}", workspace_id=workspace)
        database.run(
            "update public.credit_workspace_members set role = %s where account_id = %s and user_id = %s",
            role,
            workspace,
            user,
        )
    return Team(workspace, people, operations)


def seen(database: Database, team: Team, actor: UUID, table: str) -> set[UUID | None]:
    query = f"select distinct user_id from {table} where account_id = %s".encode()
    with acting_as(database, "authenticated", actor) as connection:
        return {user for (user,) in connection.execute(query, [team.workspace])}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("table", ACTS)
def test_of_what_was_done_members_see_their_own_and_overseers_everybodys(
    database: Database, team: Team, table: str, role: str
) -> None:
    everybody = set(team.people.values())
    found = seen(database, team, team.people[role], table)
    # What time did by itself is nobody's, and an overseer's to see.
    assert found - {None} == (everybody if role in OVERSEERS else {team.people[role]})
    assert role in OVERSEERS or None not in found


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("table", SHARED)
def test_plan_and_balance_are_every_members(database: Database, team: Team, table: str, role: str) -> None:
    query = f"select count(*) from {table} where account_id = %s".encode()
    with acting_as(database, "authenticated", team.people[role]) as connection:
        [(count,)] = connection.execute(query, [team.workspace]).fetchall()
    assert count >= 1


@pytest.mark.parametrize("table", [*ACTS, *SHARED])
def test_an_outsider_sees_nothing(database: Database, team: Team, table: str) -> None:
    query = f"select count(*) from {table} where account_id = %s".encode()
    with acting_as(database, "authenticated", database.new_user()) as connection:
        assert connection.execute(query, [team.workspace]).fetchall() == [(0,)]


@pytest.mark.parametrize("table", ACTS)
def test_who_was_removed_or_demoted_sees_less_at_once(database: Database, table: str) -> None:
    owner, other = database.new_user(), database.new_user()
    workspace = new_workspace(database, owner, other)
    for user in (owner, other):
        database.call("reserve_credits", user, "integration", 1, workspace_id=workspace)
        database.call("consume_credits", user, "integration", 1, workspace_id=workspace)
    group = Team(workspace, {}, {})
    change = "update public.credit_workspace_members set role = %s where user_id = %s"
    database.run(change, "admin", other)
    assert seen(database, group, other, table) >= {owner, other}
    database.run(change, "member", other)
    assert seen(database, group, other, table) == {other}
    database.run("delete from public.credit_workspace_members where user_id = %s", other)
    assert seen(database, group, other, table) == set()


@pytest.mark.parametrize("role", ROLES)
def test_the_functions_keep_to_the_same_rule(database: Database, team: Team, role: str) -> None:
    actor = team.people[role]
    named = {"workspace_id": team.workspace}
    history = database.call("get_credit_history", actor, **named)
    words = {row["description"] for row in history["rows"] if row["kind"] == "consume"}
    assert words == {f"by the {r}" for r in (ROLES if role in OVERSEERS else (role,))}
    assert database.call("get_credit_summary", actor, **named)["account_id"] == str(team.workspace)
    story = database.call("explain_balance", actor, "integration", **named)
    assert {spend["description"] for spend in story["spends"]} - {None} == words
    assert len(story["holds"]) == (4 if role in OVERSEERS else 1)
    assert story["spent"] == 4
    for other, operation in team.operations.items():
        if other == role or role in OVERSEERS:
            explained = database.call("explain_operation", actor, operation, **named)
            assert explained["description"] == f"by the {other}"
        else:
            with pytest.raises(psycopg.Error, match="operation_not_found"):
                database.call("explain_operation", actor, operation, **named)


def test_a_member_reads_through_postgrest_what_they_did(database: Database, team: Team, api: Api) -> None:
    for role in ("member", "admin"):
        with api.client(api.user_token(team.people[role])) as client:
            rows: list[dict[str, Any]] = client.get(f"/usage?account_id=eq.{team.workspace}").json()
        assert len({row["user_id"] for row in rows}) == (4 if role in OVERSEERS else 1)
