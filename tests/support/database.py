"""Databases of a test run, each copied from one template with the Supabase shape and the migrations."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from sonas_supabase import local
from tests.support.server import Server

TEMPLATE = "sonas_template"


class Database:
    """One migrated database. `call` is any SQL function by name; the rest is for looking behind it."""

    def __init__(self, server: Server, name: str) -> None:
        self.server = server
        self.name = name
        self.url = server.url(name)
        self.superuser_url = server.superuser_url(name)
        self._connection: psycopg.Connection[Any] | None = None

    @property
    def connection(self) -> psycopg.Connection[Any]:
        """A connection as the role postgres, in autocommit mode, shared by the tests of this database."""
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(self.url, autocommit=True)
        return self._connection

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def connect(self, *, autocommit: bool = True, role: str | None = None) -> psycopg.Connection[Any]:
        """A connection of one's own, for races; `role` is an API role to act as."""
        connection = psycopg.connect(self.url, autocommit=autocommit)
        if role:
            connection.execute(sql.SQL("set role {}").format(sql.Identifier(role)))
            if not autocommit:
                connection.commit()
        return connection

    def query(self, text: str, *arguments: Any) -> list[tuple[Any, ...]]:
        return self.connection.execute(text.encode(), arguments or None).fetchall()

    def value(self, text: str, *arguments: Any) -> Any:
        """The only value of the only row."""
        [(value,)] = self.query(text, *arguments)
        return value

    def run(self, text: str, *arguments: Any) -> None:
        self.connection.execute(text.encode(), arguments or None)

    def call(self, function: str, *positional: Any, connection: Any = None, **named: Any) -> Any:
        """Calls public.<function>; named arguments without their p_. Dicts and lists travel as jsonb."""
        return call(connection or self.connection, function, *positional, **named)

    def new_user(self, *, email: str | None = None) -> UUID:
        """Signs a user up: the row in auth.users, with everything that its trigger does."""
        user_id = uuid4()
        self.run(
            "insert into auth.users (id, email, role, aud) values (%s, %s, 'authenticated', 'authenticated')",
            user_id,
            email or f"{user_id}@example.com",
        )
        return user_id

    def balance(self, user_id: UUID, credit_type: str = "message") -> dict[str, Any]:
        """The row of credit_balances."""
        return dict(
            self.value(
                "select to_jsonb(b) from public.credit_balances b where b.account_id = %s and b.credit_type = %s",
                user_id,
                credit_type,
            )
        )

    def verify(self, user_id: UUID | None = None) -> None:
        """Fails when a rule of the always-true list is broken, with the rule and where."""
        report = self.call("verify_books", user_id=user_id)
        broken = [check for check in report["checks"] if not check["ok"]]
        assert not broken, json.dumps(broken, indent=2)
        assert report["success"] is True


def call(connection: psycopg.Connection[Any], function: str, *positional: Any, **named: Any) -> Any:
    arguments: list[sql.Composable] = [sql.SQL("%s") for _ in positional]
    arguments += [sql.SQL("{} => %s").format(sql.Identifier(f"p_{name}")) for name in named]
    query = sql.SQL("select public.{}({})").format(sql.Identifier(function), sql.SQL(", ").join(arguments))
    values = [Jsonb(value) if isinstance(value, dict | list) else value for value in (*positional, *named.values())]
    row = connection.execute(query, values).fetchone()
    assert row is not None
    return row[0]


def make_template(server: Server, name: str = TEMPLATE) -> None:
    with psycopg.connect(server.superuser_url("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    local.shape(server.superuser_url(name))
    local.migrate(server.url(name))


@contextmanager
def copied_database(server: Server, *, template: str = TEMPLATE) -> Iterator[Database]:
    """A database of one's own, dropped at the end."""
    name = f"test_{uuid4().hex[:12]}"
    with psycopg.connect(server.superuser_url("postgres"), autocommit=True) as connection:
        connection.execute(
            sql.SQL("create database {} template {} owner postgres").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
        # The copy takes everything but the settings that are kept by name.
        connection.execute(
            sql.SQL('alter database {} set search_path to "$user", public, extensions').format(sql.Identifier(name))
        )
        database = Database(server, name)
        try:
            yield database
        finally:
            database.close()
            connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))
