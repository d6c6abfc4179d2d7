"""A workspace made by the functions that anybody uses, with one person of each role."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from tests.support.database import Database
from tests.support.people import acting_as


@dataclass(frozen=True)
class Team:
    """A workspace and who is in it."""

    database: Database
    workspace: UUID
    owner: UUID
    admin: UUID
    member: UUID
    viewer: UUID
    outsider: UUID

    def call(self, function: str, actor: UUID, **named: Any) -> Any:
        """Calls a function about this workspace, for one of its people."""
        return self.database.call(function, user_id=actor, workspace_id=self.workspace, **named)

    def spend(self, actor: UUID, amount: int = 1, **named: Any) -> Any:
        """Spends messages of the workspace."""
        named = {"credit_type": "message", "amount": amount, **named}
        return self.call("consume_credits", actor, **named)

    def roles(self) -> dict[UUID, str]:
        """Who is in it, and as what."""
        return dict(
            self.database.query(
                "select user_id, role from credit_workspace_members where account_id = %s", self.workspace
            )
        )


def join(database: Database, workspace: UUID, owner: UUID, role: str) -> UUID:
    """Invites a new person and lets them accept."""
    email = f"{role}.{database.value('select gen_random_uuid()')}@example.com"
    user = database.new_user(email=email)
    invited = database.call("invite_to_workspace", owner, workspace, email, role)
    database.call("accept_workspace_invitation", user, invited["token"])
    return user


def new_team(database: Database, credits: int = 100) -> Team:
    """A workspace with one person of each role and this many messages."""
    owner = database.new_user()
    workspace = UUID(database.call("create_workspace", owner, "Team")["workspace_id"])
    admin, member, viewer = (join(database, workspace, owner, role) for role in ("admin", "member", "viewer"))
    if credits:
        database.call("grant_credits", owner, "message", credits, workspace_id=workspace)
    return Team(database, workspace, owner, admin, member, viewer, database.new_user())


def as_user(database: Database, user: UUID, function: str, **named: Any) -> Any:
    """What a signed-in user gets who calls a function; nothing of it stays."""
    arguments = ", ".join(f"p_{name} => %s" for name in named)
    with acting_as(database, "authenticated", user) as connection:
        row = connection.execute(f"select public.{function}({arguments})".encode(), list(named.values())).fetchone()
    assert row is not None
    return row[0]
