"""Which transport goes over a connection that the caller has open."""

from __future__ import annotations

from typing import Any

from sonas_supabase._async.transport import AsyncTransport
from sonas_supabase._async.waiting import OVER_ASYNCPG, is_mine
from sonas_supabase._extras import needs_postgres
from sonas_supabase.errors import NotConfigured


def transport_over(connection: Any) -> AsyncTransport:
    """The transport over a connection of psycopg, SQLAlchemy or asyncpg. Raises NotConfigured for another."""
    origins = {kind.__module__.partition(".")[0] for kind in type(connection).__mro__}
    if "sqlalchemy" in origins and is_mine(connection):
        from sonas_supabase._async.sqlalchemy import AsyncSqlalchemyTransport

        return AsyncSqlalchemyTransport(connection)
    # A pool is none: it has no transaction that a spend could join.
    if "asyncpg" in origins and OVER_ASYNCPG is not None and hasattr(connection, "is_in_transaction"):
        transport: AsyncTransport = OVER_ASYNCPG(connection)
        return transport
    with needs_postgres():
        import psycopg

        from sonas_supabase._async.postgres import AsyncConnectionTransport
    if isinstance(connection, psycopg.AsyncConnection):
        return AsyncConnectionTransport(connection)
    raise NotConfigured(
        f"A spend cannot go over a {type(connection).__name__} here.",
        hint="CreditsClient takes connections of psycopg and SQLAlchemy, AsyncCreditsClient their asynchronous "
        "kinds and asyncpg's.",
    )
