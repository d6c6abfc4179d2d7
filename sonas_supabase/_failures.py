"""What a database, a driver or a gateway reports, as an error of this library. Both transports end here."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from sonas_supabase.errors import (
    ERRORS,
    AccessDenied,
    CreditsError,
    CreditsUnavailable,
    InvalidArgument,
    NotConfigured,
    NotInstalled,
    UnexpectedAnswer,
)

# The database took it back: serialization failure, deadlock, no lock to be had, resources, operator intervention.
DATABASE_AWAY = {"PGRST000", "PGRST001", "PGRST002"}
"""PostgREST is there, and the database behind it is not."""
NO_SUCH_HOST = re.compile(
    r"name or service not known|nodename nor servname|no address associated|getaddrinfo failed|errno -[25]\b",
    re.IGNORECASE,
)
_TAKEN_BACK = ("40", "53", "55P03", "57")
# The statement timeout: over REST a few seconds.
_TOO_SLOW = "57014"
# PostgREST had no connection to the database: nothing was sent.
_NO_CONNECTION = {"PGRST000", "PGRST002", "PGRST003"}
# PostgREST lost the database, or a gateway lost PostgREST or its patience: the answer went with it.
_LOST = {"PGRST001", "502", "503", "504", "520", "521", "522", "523", "524"}
_LOST_CONNECTION = "08"
_BUSY = {"429"}
_MISSING = {"42883", "3F000", "PGRST106", "PGRST202"}
_NO_TABLE = "42P01"
_DENIED = {"42501", "28000", "28P01", "401", "403", "PGRST300", "PGRST301", "PGRST302", "PGRST303"}
_BAD_VALUE = "22"
_ADVICE = {
    "25P02": "A statement before this one has failed: roll your transaction back first.",
    "25006": "This is a replica or a read-only transaction: connect to the primary, and open one that may write.",
}


def reported(code: object, message: object, details: object, hint: object) -> CreditsError:
    """The error for a SQLSTATE, a PostgREST code or an HTTP status, with the texts that came along."""
    state = str(code or "")
    said = message if isinstance(message, str) else ""
    advice = hint if isinstance(hint, str) else ""
    slug = said if state.startswith("PT") else state
    if slug in ERRORS:
        text = advice if state.startswith("PT") else said
        return ERRORS[slug](text, details=_as_mapping(details), hint=advice)

    if state in _LOST or (len(state) == 5 and state.startswith(_LOST_CONNECTION)):
        return unreachable(said, may_have_taken_effect=True)
    kind, more_advice = _kind(state, said)
    return kind(said, details={"code": state, "details": details}, hint=more_advice or advice)


def _kind(state: str, said: str) -> tuple[type[CreditsError], str]:
    # A SQLSTATE has five characters, an HTTP status three.
    state_class = state if len(state) == 5 else ""
    if state == _TOO_SLOW:
        return CreditsUnavailable, "Long work needs a direct connection: DATABASE_URL, or --db-url for a command."
    if state_class.startswith(_TAKEN_BACK) or state in _NO_CONNECTION | _BUSY:
        return CreditsUnavailable, ""
    # Half of the migrations: a function that is there looks for a table that is not.
    if state in _MISSING or (state == _NO_TABLE and '"credits.' in said):
        return NotInstalled, "Apply the migrations: sonas migrate, or supabase db push."
    if state in _DENIED or (not state and "API key" in said):
        return AccessDenied, "Use the project's secret key, or a role that may call it."
    if state_class.startswith(_BAD_VALUE):
        return InvalidArgument, ""
    return UnexpectedAnswer, _ADVICE.get(state, "")


def of_driver(error: BaseException) -> CreditsError:
    """The error for one of a driver's: psycopg, psycopg2, asyncpg, pg8000, or SQLAlchemy over one of them."""
    said = _said_by_server(error)
    if said is not None:
        return reported(*said)
    # Without a SQLSTATE the server has said nothing: the connection is gone, and maybe the answer with it.
    return unreachable(str(error), may_have_taken_effect=True)


def error_of(error: BaseException) -> CreditsError | None:
    """What a statement of your own met in the credit system: the denial of a metered table, or a database that is away.

    ``error`` is an exception of psycopg, psycopg2, asyncpg, pg8000, SQLAlchemy or Django. None for any other mistake.
    """
    if isinstance(error, CreditsError):
        return error
    said = _said_by_server(error)
    if said is None:
        is_away = _ROOTS & {kind.__module__.partition(".")[0] for kind in type(error).__mro__}
        named = {kind.__name__ for kind in type(error).__mro__}
        return unreachable(str(error), may_have_taken_effect=True) if is_away and named & _AWAY else None
    found = reported(*said)
    is_ours = isinstance(found, CreditsUnavailable) or (said[0].startswith("PT") and said[1] in ERRORS)
    return found if is_ours else None


_ROOTS = {"psycopg", "psycopg_pool", "psycopg2", "asyncpg", "pg8000", "sqlalchemy", "django"}
_AWAY = {"OperationalError", "InterfaceError", "PostgresConnectionError"}


def _said_by_server(error: BaseException) -> tuple[str, object, object, object] | None:
    """SQLSTATE, message, detail and hint, out of a driver's exception or what it was raised from."""
    seen: BaseException | None = error
    while seen is not None:
        state = getattr(seen, "sqlstate", None) or getattr(seen, "pgcode", None)
        told = getattr(seen, "diag", None)
        if isinstance(state, str) and told is not None:
            return state, told.message_primary, told.message_detail, told.message_hint
        if isinstance(state, str) and hasattr(seen, "detail") and hasattr(seen, "message"):
            return state, seen.message, seen.detail, getattr(seen, "hint", None)
        fields = seen.args[0] if seen.args else None
        if isinstance(fields, dict) and "C" in fields:
            return fields["C"], fields.get("M"), fields.get("D"), fields.get("H")
        seen = getattr(seen, "orig", None) or seen.__cause__
    return None


def unusable(error: Exception) -> NotConfigured:
    """The error for a connection of the caller's that cannot be used as it is; the driver has said why."""
    return NotConfigured(
        f"This connection cannot be used: {str(error).partition(chr(10))[0]}",
        hint="Roll your transaction back, or open another connection.",
    )


def unreachable(message: str, *, may_have_taken_effect: bool) -> CreditsUnavailable:
    """The error for a connection that could not be made, or that broke before the answer came."""
    return CreditsUnavailable(
        message or "The database could not be reached.",
        details={"may_have_taken_effect": may_have_taken_effect},
        hint="Try again, with the same idempotency key.",
    )


def _as_mapping(details: object) -> Mapping[str, Any]:
    if isinstance(details, str):
        try:
            details = json.loads(details)
        except ValueError:
            return {"details": details}
    return details if isinstance(details, Mapping) else {}
