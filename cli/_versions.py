"""What a database has of our migrations, as commands show it: as data, as a line, and as findings of the doctor."""

from __future__ import annotations

from typing import Any

from sonas_supabase import Finding
from sonas_supabase.migrations import CannotMigrate, State, state
from sonas_supabase.settings import Settings

from ._connect import database_url
from ._guard import CHECK_FAILED, Stop


def read_state(db_url: str | None) -> State | None:
    """The state of the database; None where only the REST API can be reached."""
    settings = Settings.from_env()
    if db_url is None and settings.database_url is None and settings.supabase_url:
        return None
    try:
        import psycopg
    except ModuleNotFoundError:
        return None
    with psycopg.connect(database_url(db_url), autocommit=True, connect_timeout=10) as connection:
        return state(connection)


def as_data(found: State) -> dict[str, Any]:
    """The state for programs."""
    return {
        "pending": [f"{m.version}_{m.name}" for m in found.pending],
        "other_text": list(found.other_text),
        "newer": [f"{row.version}_{row.name}" for row in found.newer],
        "is_older_build": found.is_older_build,
        "is_lost": found.is_lost,
    }


def as_line(found: State) -> str:
    """The state in a few words."""
    if found.is_lost:
        return "the history is lost: run `sonas migrate --record`"
    if found.problem:
        return "another text than this library's: run `sonas doctor`"
    if found.pending:
        return f"{len(found.pending)} waiting: run `sonas migrate`"
    return "up to date" if not found.newer else "newer than this library"


def stop_for(problem: CannotMigrate, found: State) -> Stop:
    """Ends a command that cannot go on with this database."""
    return Stop(str(problem), problem.hint, code=problem.code, exit_code=CHECK_FAILED, details=as_data(found))


def findings(found: State) -> list[Finding]:
    """What the doctor says about it."""
    told = []
    if problem := found.problem:
        told.append(
            Finding(
                code=problem.code,
                severity="critical" if problem.code == "other_text" else "high",
                object=", ".join(f"{other.version}_{other.name}" for other in found.other_text) or "schema credits",
                meaning=str(problem),
                how_to_try="sonas migrate --dry-run",
                how_to_mend=problem.hint if problem.code == "other_text" else "sonas migrate --record",
            )
        )
    elif found.pending:
        names = [f"{m.version}_{m.name}" for m in found.pending]
        told.append(
            Finding(
                code="migrations_pending",
                severity="high",
                object=", ".join(names[:5]) + (" …" if len(names) > 5 else ""),
                meaning=f"This library has {len(names)} migrations that the database does not have. "
                "Calls that need them fail.",
                how_to_try="sonas migrate --dry-run",
                how_to_mend="sonas migrate  (or: sonas init, supabase db push)",
            )
        )
    if found.newer:
        told.append(
            Finding(
                code="library_is_older",
                severity="low",
                object=", ".join(row.version for row in found.newer[:5]),
                meaning="The database has migrations that this library does not know.",
                how_to_try="select version, name from supabase_migrations.schema_migrations;",
                how_to_mend="pip install --upgrade sonas-supabase",
            )
        )
    return told
