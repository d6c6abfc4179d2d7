"""The ways in which a client reaches the database, and what each failure on the way means."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Protocol

import httpx
import psycopg

from sonas_supabase.local import Keys
from tests.faults.journal import Operation
from tests.support.database import call


class Refused(Exception):
    """An error of the closed list, or a sentence of the server's that it has rolled back."""

    def __init__(self, slug: str, *, again: bool = False) -> None:
        super().__init__(slug)
        self.again = again


class Lost(Exception):
    """The connection went, and nobody knows whether the work was done."""


class Line(Protocol):
    """One client's way to the database; opens itself again after it was lost."""

    def send(self, operation: Operation) -> dict[str, Any]:
        """The answer. Raises Refused or Lost."""
        ...

    def close(self) -> None: ...


class PostgresLine:
    """psycopg on a connection of its own."""

    def __init__(self, connect: Callable[[], psycopg.Connection[Any]]) -> None:
        self._connect = connect
        self._connection: psycopg.Connection[Any] | None = None

    def send(self, operation: Operation) -> dict[str, Any]:
        try:
            if self._connection is None or self._connection.closed:
                self._connection = self._connect()
            answer: dict[str, Any] = call(
                self._connection, operation.function, operation.account, **operation.arguments
            )
        except psycopg.Error as error:
            state = error.sqlstate or ""
            if state.startswith("PT"):
                raise Refused(error.diag.message_primary or state) from error
            # 57P01 to 57P03: a server that goes, or is not there yet.
            if not state or state.startswith(("08", "57P0")):
                self.close()
                raise Lost(str(error)) from error
            # Deadlocks, timeouts, cancels, a full disk.
            if state[:2] in ("40", "53", "55", "57", "58"):
                raise Refused(state, again=True) from error
            raise
        return answer

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


class RestLine:
    """HTTP to PostgREST, as the service role."""

    def __init__(self, url: str, keys: Keys, *, timeout: float = 10) -> None:
        token = keys.token(role="service_role")
        self._client = httpx.Client(base_url=url, headers={"authorization": f"Bearer {token}"}, timeout=timeout)

    def send(self, operation: Operation) -> dict[str, Any]:
        arguments = {"p_user_id": operation.account} | {f"p_{k}": v for k, v in operation.arguments.items()}
        try:
            answer = self._client.post(
                f"/rpc/{operation.function}",
                content=json.dumps(arguments, default=str),
                headers={"content-type": "application/json"},
            )
        except httpx.TransportError as error:
            raise Lost(repr(error)) from error
        body: dict[str, Any] = answer.json()
        if answer.is_success or answer.status_code == 402:
            return body
        code = str(body.get("code"))
        if code.startswith("PT"):
            raise Refused(str(body["message"]))
        # No connection was to be had, or it went while the statement ran.
        if code.startswith(("PGRST", "57P0", "08")):
            raise Lost(code)
        if code[:2] in ("40", "53", "55", "57"):
            raise Refused(code, again=True)
        raise AssertionError(f"{answer.status_code} {body}")

    def close(self) -> None:
        self._client.close()
