"""The one statement of the Postgres transports, and what psycopg's errors mean. No I/O."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any

import psycopg
from psycopg import sql

from sonas_supabase._addresses import connection_parameters
from sonas_supabase._call import Call
from sonas_supabase._failures import unreachable
from sonas_supabase.errors import AccessDenied, CreditsError, NotConfigured

__all__ = ["connection_parameters", "not_connected", "statement"]


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


def not_connected(error: psycopg.Error) -> CreditsError:
    """Why no connection could be made: AccessDenied and NotConfigured, which waiting does not mend, or unavailable.

    Such errors have no SQLSTATE in psycopg; what the server has said is in the text.
    """
    said = " ".join(str(error).split())
    for words, kind, message, hint in _NEVER:
        if re.search(words, said, re.IGNORECASE):
            return kind(f"{message} ({_last_words(said)})", hint=hint)
    return unreachable(_last_words(said), may_have_taken_effect=False)


_NEVER: tuple[tuple[str, type[CreditsError], str, str], ...] = (
    (
        r"password authentication failed|no password supplied|authentication failed|28P01|SASL|SCRAM",
        AccessDenied,
        "The database refuses the user or the password.",
        "Look at user and password in DATABASE_URL; special characters in a password are percent-encoded.",
    ),
    (
        r"role .* does not exist|no pg_hba.conf entry|not permitted to log in|permission denied for database"
        r"|tenant or user not found|user not found",
        AccessDenied,
        "The database does not let this user in.",
        "Look at the user in DATABASE_URL; a pooler of Supabase wants postgres.<project>.",
    ),
    (
        r"database .* does not exist",
        NotConfigured,
        "There is no such database.",
        "Look at the name at the end of DATABASE_URL; in a Supabase project it is postgres.",
    ),
    (
        r"name or service not known|nodename nor servname|could not translate host name|no address associated"
        r"|getaddrinfo failed|no such host|errno -2\b|errno -5\b|errno 8\b",
        NotConfigured,
        "There is no such host.",
        "Look at the host in DATABASE_URL.",
    ),
    (
        r"invalid \S+ value|invalid port number|invalid value for|bad value for",
        NotConfigured,
        "DATABASE_URL has a value that Postgres does not know.",
        "Look at the port and at what stands behind the question mark in DATABASE_URL.",
    ),
    (
        r"does not support SSL|certificate verify failed|root certificate file .* does not exist"
        r"|no such file or directory",
        NotConfigured,
        "The connection cannot be made as DATABASE_URL asks for it.",
        "Look at the host and the SSL settings in DATABASE_URL.",
    ),
)


def _last_words(said: str) -> str:
    """What the server or the system said, without the prefixes of libpq and psycopg."""
    return said.rpartition("FATAL:")[2].strip() or said
