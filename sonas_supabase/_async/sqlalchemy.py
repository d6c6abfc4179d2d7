"""The transport over a connection or session of SQLAlchemy, whatever its driver."""

from __future__ import annotations

import json
from contextlib import nullcontext
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, InvalidRequestError

from sonas_supabase._async.waiting import cutting, within
from sonas_supabase._breaker import Breaker
from sonas_supabase._call import Call
from sonas_supabase._deadline import Limits, remaining
from sonas_supabase._failures import of_driver, unreachable, unusable
from sonas_supabase._typed import typed_statement


class AsyncSqlalchemyTransport:
    """Calls join the transaction of an ``AsyncConnection`` or ``AsyncSession``, and commit or roll back with it."""

    autonomous = False
    breaker: Breaker | None = None

    def __init__(self, connection: Any) -> None:
        self._given = connection

    async def send(self, call: Call[Any], limits: Limits) -> Any:
        """Run the call once and return its JSON answer. Raises CreditsError."""
        statement, values = typed_statement(call, ":{}")
        level = ""
        try:
            async with within(remaining(limits.deadline)):
                # A session hands out the connection of its transaction.
                is_session = hasattr(self._given, "sync_session") or hasattr(self._given, "get_bind")
                connection = await self._given.connection() if is_session else self._given
            async with cutting(remaining(limits.deadline), connection):
                level = await connection.get_isolation_level()
                # A savepoint keeps a call that fails from taking the caller's own writes with it.
                async with nullcontext() if level == "AUTOCOMMIT" else connection.begin_nested():
                    answer = await connection.execute(text(statement), values)
                    return json.loads(answer.scalar_one())
        except TimeoutError:
            raise unreachable(
                "The database did not answer in time.", may_have_taken_effect=level == "AUTOCOMMIT"
            ) from None
        except DBAPIError as error:
            raise of_driver(error) from error
        except InvalidRequestError as error:
            # It is closed, or waits to be rolled back: nothing was sent.
            raise unusable(error) from error

    async def close(self) -> None:
        """Leave the connection to its owner."""
