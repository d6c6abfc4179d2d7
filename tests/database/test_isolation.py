"""Users see their own rows and their workspaces', nobody else's, and change none of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.support.api import Api
from tests.support.database import Database
from tests.support.edge import EDGE, FOR_USERS, OPERATIONS
from tests.support.people import ACCOUNT_TABLES, acting_as, fingerprint, new_workspace


@dataclass(frozen=True)
class People:
    """Two users who have done the same things; the first one is in a workspace with a colleague."""

    me: UUID
    colleague: UUID
    outsider: UUID
    workspace: UUID
    operations: dict[UUID, str]


@pytest.fixture(scope="module")
def people(database: Database) -> People:
    me, colleague, outsider = (database.new_user() for _ in range(3))
    workspace = new_workspace(database, me, colleague)
    operations = {}
    for user, payer in ((me, None), (outsider, None), (me, workspace)):
        named = {"workspace_id": payer}
        operations[payer or user] = database.call("consume_credits", user, "message", 1, **named)["operation_id"]
        database.call("reserve_credits", user, "message", 1, idempotency_key="key", **named)
        database.call("consume_credits", user, "message", 1000, **named)
        database.call("grant_credits", user, "message", 1, **named)
        database.call("set_credit_budget", user, credit_type="message", limit=5000, window="day", **named)
        # More than half is used, of which its people are told.
        database.call("consume_credits", user, "message", 6, **named)
        database.call("add_credit_webhook", user, url="https://example.com/credits", **named)
    database.call("invite_to_workspace", me, workspace, "somebody@example.com")
    return People(me, colleague, outsider, workspace, operations)


@pytest.mark.parametrize("table", ACCOUNT_TABLES)
def test_users_see_their_own_rows_and_their_workspaces(database: Database, people: People, table: str) -> None:
    query = f"select distinct account_id from {table}".encode()
    # Only workspaces have a name and members.
    own = set() if "workspace" in table or "invitation" in table else {people.me}
    with acting_as(database, "authenticated", people.me) as connection:
        assert {row[0] for row in connection.execute(query)} == own | {people.workspace}
    with acting_as(database, "authenticated", people.outsider) as connection:
        assert {row[0] for row in connection.execute(query)} == ({people.outsider} if own else set())
    with acting_as(database, "authenticated", people.colleague) as connection:
        seen = {row[0] for row in connection.execute(query)}
    # What the owner did is nothing that a member reads; plan, balance and grants are everybody's.
    acts = table in (
        *("public.credit_transactions", "public.credit_reservations", "public.usage"),
        *("public.credit_invitations", "public.credit_notifications", "public.credit_webhooks"),
    )
    assert (people.workspace in seen) is not acts
    assert not seen & {people.me, people.outsider}


@pytest.mark.parametrize("table", ACCOUNT_TABLES)
def test_who_is_nobody_sees_nothing(database: Database, people: People, table: str) -> None:
    with (
        acting_as(database, "anon") as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(f"select 1 from {table}".encode())
    # A token without a user: signed in as nobody.
    with acting_as(database, "authenticated") as connection:
        assert connection.execute(f"select 1 from {table}".encode()).fetchall() == []


@pytest.mark.parametrize("table", ["plans", "plan_limits"])
@pytest.mark.parametrize("role", ["anon", "authenticated"])
def test_everybody_may_read_a_pricing_page(database: Database, table: str, role: str) -> None:
    with acting_as(database, role) as connection:
        assert len(connection.execute(f"select 1 from public.{table}".encode()).fetchall()) >= 5


def reads(name: str) -> bool:
    """Whether a function of an account needs to be told nothing but whose, and which operation."""
    asked = {argument.name for argument in EDGE[name].arguments if argument.required}
    return EDGE[name].takes("workspace_id") and asked <= {"user_id", "operation_id"}


@pytest.mark.parametrize("function", [name for name in FOR_USERS if name in OPERATIONS and reads(name)])
def test_a_signed_in_user_reads_their_own_and_nobody_elses(database: Database, people: People, function: str) -> None:
    def read(actor: UUID | None, user: UUID | None, operation: UUID, workspace: UUID | None = None) -> Any:
        arguments = "p_user_id => %s, p_workspace_id => %s"
        values: list[Any] = [user, workspace]
        if EDGE[function].takes("operation_id"):
            arguments += ", p_operation_id => %s"
            values.append(people.operations[operation])
        with acting_as(database, "authenticated", actor) as connection:
            row = connection.execute(f"select public.{function}({arguments})".encode(), values).fetchone()
        assert row is not None
        return row[0]["account_id"]

    assert read(people.me, None, people.me) == str(people.me)
    assert read(people.me, people.me, people.me) == str(people.me)
    assert read(people.me, None, people.workspace, people.workspace) == str(people.workspace)
    if function != "explain_operation":  # The operation is the owner's.
        assert read(people.colleague, None, people.workspace, people.workspace) == str(people.workspace)
    for actor, user, operation, workspace in (
        (people.outsider, people.me, people.me, None),
        (people.outsider, None, people.workspace, people.workspace),
        (people.outsider, people.me, people.workspace, people.workspace),
        (people.colleague, people.me, people.me, None),
        (None, None, people.me, None),
        (None, people.me, people.me, None),
    ):
        with pytest.raises(psycopg.Error, match="account_not_found"):
            read(actor, user, operation, workspace)


def test_an_operation_of_somebody_else_is_not_found(database: Database, people: People) -> None:
    with (
        acting_as(database, "authenticated", people.outsider) as connection,
        pytest.raises(psycopg.Error, match="operation_not_found"),
    ):
        connection.execute("select explain_operation(p_operation_id => %s)", [people.operations[people.me]])


class TestOverHttp:
    @pytest.fixture
    def me(self, api: Api, people: People) -> Iterator[Any]:
        with api.client(api.user_token(people.me)) as client:
            yield client

    @pytest.mark.parametrize("table", ACCOUNT_TABLES)
    def test_the_same_rows_come_through_postgrest(
        self, database: Database, api: Api, me: Any, people: People, table: str
    ) -> None:
        answer = me.get(f"/{table.removeprefix('public.')}")
        assert answer.status_code == 200
        accounts = {UUID(row["account_id"]) for row in answer.json()}
        assert accounts == (
            {people.workspace} if "workspace" in table or "invitation" in table else {people.me, people.workspace}
        )
        with api.client() as nobody:
            assert nobody.get(f"/{table.removeprefix('public.')}").status_code == 401

    @pytest.mark.parametrize("table", ACCOUNT_TABLES)
    def test_users_change_none_of_their_rows(self, database: Database, me: Any, people: People, table: str) -> None:
        before = fingerprint(database, people.me, people.workspace)
        path = f"/{table.removeprefix('public.')}?account_id=eq.{people.me}"
        for attempt in (
            me.patch(path, json={"account_id": str(people.me)}),
            me.delete(path),
            me.post(path.partition("?")[0], json={"account_id": str(people.me)}),
            me.post(
                path.partition("?")[0],
                json={"account_id": str(people.me)},
                headers={"prefer": "resolution=merge-duplicates"},
            ),
        ):
            assert attempt.json()["code"] == "42501", attempt.text
        assert fingerprint(database, people.me, people.workspace) == before

    @pytest.mark.parametrize(
        ("function", "arguments"),
        [
            ("grant_credits", {"p_credit_type": "message", "p_amount": 1000}),
            ("reset_monthly_credits", {}),
            ("change_plan", {"p_plan_id": "elite"}),
            ("refund_credits", {"p_operation_id": "00000000-0000-0000-0000-000000000000"}),
            ("consume_credits", {"p_credit_type": "message"}),
            ("set_subscription_status", {"p_status": "active"}),
            ("mark_test_account", {}),
            ("unfreeze_account", {}),
            ("set_test_clock", {"p_now": "2055-01-01T00:00:00Z"}),
            ("verify_books", {}),
        ],
    )
    def test_users_call_nothing_that_moves_credits(
        self, database: Database, me: Any, people: People, function: str, arguments: dict[str, Any]
    ) -> None:
        before = fingerprint(database, people.me, people.workspace)
        answer = me.post(f"/rpc/{function}", json={"p_user_id": str(people.me), **arguments})
        assert (answer.status_code, answer.json()["code"]) == (403, "42501")
        assert fingerprint(database, people.me, people.workspace) == before

    @pytest.mark.parametrize("path", ["/balances", "/accounts", "/rpc/consume", "/rpc/open_account", "/rpc/grant_to"])
    @pytest.mark.parametrize("profile", ["public", "credits"])
    def test_the_core_cannot_be_reached(self, api: Api, path: str, profile: str) -> None:
        headers = {"accept-profile": profile, "content-profile": profile}
        with api.service() as service:
            answer = (
                service.get(path, headers=headers)
                if "rpc" not in path
                else service.post(path, json={}, headers=headers)
            )
        assert answer.status_code in (404, 406)

    def test_a_user_reads_their_summary(self, me: Any, people: People) -> None:
        answer = me.post("/rpc/get_credit_summary", json={})
        assert (answer.status_code, answer.json()["account_id"]) == (200, str(people.me))
        stranger = me.post("/rpc/get_credit_summary", json={"p_user_id": str(people.outsider)})
        assert (stranger.status_code, stranger.json()["message"]) == (404, "account_not_found")


def test_without_its_policy_a_table_shows_everybodys_rows(own_database: Database) -> None:
    """The guard removed: an open policy beside the right one, and the test above would see it."""
    me, other = own_database.new_user(), own_database.new_user()
    query = b"select count(distinct account_id) from public.credit_grants"
    with acting_as(own_database, "authenticated", me) as connection:
        assert connection.execute(query).fetchone() == (1,)
    own_database.run("create policy open on public.credit_grants for select to authenticated using (true)")
    with acting_as(own_database, "authenticated", me) as connection:
        assert connection.execute(query).fetchone() == (2,)
    assert other
