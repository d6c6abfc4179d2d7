"""The one statement of the Postgres transports, and what psycopg's errors mean. No I/O."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from sonas_supabase._call import Call
from sonas_supabase._failures import reported, unreachable
from sonas_supabase.errors import CreditsError, NotConfigured


def statement(call: Call[Any]) -> tuple[bytes, dict[str, str]]:
    """The generic call and its values. They travel as untyped text, so Postgres reads them as it declared them."""
    params = call.params
    return _function_call(call.function, tuple(params)), {
        name: value if isinstance(value, str) else json.dumps(value) for name, value in params.items()
    }


@lru_cache(maxsize=256)
def _function_call(function: str, names: tuple[str, ...]) -> bytes:
    arguments = (sql.SQL("{} => {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in names)
    query = sql.SQL("select {}({})::text").format(sql.Identifier("public", function), sql.SQL(", ").join(arguments))
    return query.as_bytes()


# Else a call to a host that has vanished would hang for a quarter of an hour.
_DEFAULTS = {
    "application_name": "sonas_supabase",
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}


def connection_parameters(database_url: str) -> dict[str, Any]:
    """What a connection string says, and our defaults. Raises NotConfigured for what is no connection string."""
    try:
        return {**_DEFAULTS, **conninfo_to_dict(database_url)}
    except psycopg.ProgrammingError:
        # The string and what libpq says of it may hold the password.
        raise NotConfigured(
            "DATABASE_URL is not a Postgres connection string.",
            hint="It looks like postgresql://user:password@host:5432/postgres.",
        ) from None


def translated(error: psycopg.Error) -> CreditsError:
    """The error of this library for one of psycopg's."""
    if error.sqlstate is None:
        # Without a SQLSTATE the server has said nothing: the connection is gone, and maybe the answer with it.
        return unreachable(str(error), may_have_taken_effect=True)
    diag = error.diag
    return reported(error.sqlstate, diag.message_primary, diag.message_detail, diag.message_hint)
