"""Act as a signed-in user, as nobody, or as the service role, the way PostgREST does for each request."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

import psycopg

from tests.support.database import Database


@contextmanager
def acting_as(database: Database, role: str, user_id: UUID | None = None) -> Iterator[psycopg.Connection[Any]]:
    """A transaction under an API role, rolled back at the end."""
    claims = {"role": role} | ({"sub": str(user_id)} if user_id else {})
    with database.connect(autocommit=False) as connection:
        connection.execute("select set_config('request.jwt.claims', %s, true)", [json.dumps(claims)])
        connection.execute(f"set local role {role}".encode())
        try:
            yield connection
        finally:
            connection.rollback()


def new_workspace(database: Database, *members: UUID, plan: str | None = None) -> UUID:
    """A workspace with these members, the first of them its owner, and with the credits of the free plan too."""
    database.run("update credits.settings set workspace_credits = 'free' where workspace_credits = 'none'")
    workspace_id: UUID = database.value(
        "insert into public.credit_workspaces (name) values ('Team') returning account_id"
    )
    for nth, member in enumerate(members):
        database.run(
            "insert into public.credit_workspace_members (account_id, user_id, role) values (%s, %s, %s)",
            workspace_id,
            member,
            "member" if nth else "owner",
        )
    if plan:
        database.call("change_plan", members[0], plan, workspace_id=workspace_id)
    return workspace_id


# Every table of an account's rows: what a user may read of it, and only of their own.
ACCOUNT_TABLES = (
    "public.subscriptions",
    "public.credit_balances",
    "public.credit_grants",
    "public.credit_transactions",
    "public.credit_reservations",
    "public.usage",
    "public.credit_workspaces",
    "public.credit_workspace_members",
    "public.credit_notifications",
    "public.credit_webhooks",
    "public.credit_invitations",
    "public.credit_budgets",
)

# What no API role may read at all, for the schema is closed to them.
CORE_TABLES = (
    "credits.accounts",
    "credits.balances",
    "credits.credit_types",
    "credits.channels",
    "credits.debt_payments",
    "credits.debts",
    "credits.deliveries",
    "credits.grant_sources",
    "credits.idempotency_keys",
    "credits.installed_objects",
    "credits.metered_rows",
    "credits.message_kinds",
    "credits.message_preferences",
    "credits.meters",
    "credits.outbox",
    "credits.reservation_slices",
    "credits.settings",
    "credits.webhook_secrets",
    "credits.invitation_secrets",
    "credits.api_keys",
    "credits.budget_uses",
)


def fingerprint(database: Database, *account_ids: UUID) -> str:
    """A digest of all that is stored about these accounts, but for when they were last seen: nothing has changed."""
    parts = [
        f"select '{table}' as name, (to_jsonb(t) - 'settled_at')::text as content from {table} t "
        "where t.account_id = any(%(ids)s)"
        for table in (
            *(table for table in ACCOUNT_TABLES if table != "public.credit_balances"),
            "credits.accounts",
            "credits.balances",
            "credits.debts",
            "credits.debt_payments",
            "credits.idempotency_keys",
            "credits.metered_rows",
            "credits.reservation_slices",
        )
    ]
    query = f"select md5(string_agg(name || content, '|' order by name, content)) from ({' union all '.join(parts)}) t"
    row = database.connection.execute(query.encode(), {"ids": list(account_ids)}).fetchone()
    assert row is not None
    return str(row[0])


def user_without_account(database: Database) -> UUID:
    """A user whom the sign-up trigger has missed, as if it had failed."""
    user_id = uuid4()
    with psycopg.connect(database.superuser_url) as connection:
        connection.execute("set local session_replication_role = replica")
        connection.execute("insert into auth.users (id) values (%s)", [user_id])
    return user_id


def all_due(database: Database, accounts: int) -> None:
    """That many new accounts, of which something has fallen due."""
    database.run("insert into auth.users (id) select gen_random_uuid() from generate_series(1, %s)", accounts)
    database.run("update credits.balances set due_at = '-infinity'")
