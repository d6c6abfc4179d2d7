"""The transport over a connection of asyncpg; there is no such thing for threads."""

from __future__ import annotations

import json
from contextlib import nullcontext
from typing import Any

import asyncpg

from sonas_supabase._breaker import Breaker
from sonas_supabase._call import Call
from sonas_supabase._deadline import Limits, remaining
from sonas_supabase._failures import of_driver, unreachable, unusable
from sonas_supabase._typed import typed_statement


class AsyncpgTransport:
    """Calls join the transaction of a connection that the caller has open, and commit or roll back with it."""

    autonomous = False
    breaker: Breaker | None = None

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def send(self, call: Call[Any], limits: Limits) -> Any:
        """Run the call once and return its JSON answer. Raises CreditsError."""
        connection = self._connection
        statement, values = typed_statement(call, "${}")
        try:
            # A savepoint keeps a call that fails from taking the caller's own writes with it.
            async with connection.transaction() if connection.is_in_transaction() else nullcontext():
                answer = await connection.fetchval(statement, *values.values(), timeout=remaining(limits.deadline))
                return json.loads(answer)
        except TimeoutError:
            raise unreachable("The database did not answer in time.", may_have_taken_effect=True) from None
        except asyncpg.InterfaceError as error:
            # It is closed, back in its pool, or at work for somebody else: nothing was sent.
            raise unusable(error) from error
        except (asyncpg.PostgresError, OSError) as error:
            raise of_driver(error) from error

    async def close(self) -> None:
        """Leave the connection to its owner."""
