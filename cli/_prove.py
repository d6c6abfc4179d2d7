"""Tries what the doctor found, as the role it names, and takes everything back."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import typer

from sonas_supabase import Finding

from ._guard import Stop
from ._output import Output

if TYPE_CHECKING:
    from psycopg import Connection

PROVEN = {
    "users_write_balance",
    "users_choose_plan",
    "users_choose_role",
    "users_delete_usage",
    "view_bypasses_rls",
    "balance_is_public",
    "table_without_rls",
}
"""Findings whose trial is one statement that needs no values but a user: the others are calls with arguments."""


def agree(output: Output, yes: bool) -> None:
    """Asks before anything is tried: triggers of the project run, and what they send out is not taken back."""
    if yes:
        return
    if output.as_json:
        raise Stop("--prove with --json needs --yes.", "Say so, on a copy of the database if you can.", code="usage")
    typer.confirm(
        "This runs updates as users would, in transactions that are rolled back. Triggers run, and what "
        "they send to other services is not taken back. Go on?",
        abort=True,
        err=True,
    )


def proven(connection: Connection[Any], findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """The findings with what a trial has shown: proven, or low where the database refused."""
    user = connection.execute("select id::text from auth.users order by id limit 1").fetchone()
    return tuple(
        _tried(connection, one, str(user[0]) if user else None) if one.code in PROVEN else one for one in findings
    )


def _tried(connection: Connection[Any], finding: Finding, user: str | None) -> Finding:
    import psycopg

    script = (finding.how_to_try or "").removeprefix("begin; ").rpartition(" rollback;")[0]
    script = script.replace("<id of some user>", user or "00000000-0000-4000-8000-000000000000")
    if not script or "<" in re.sub(r"'[^']*'", "", script):
        return finding
    try:
        with connection.transaction(force_rollback=True):
            connection.execute("set local statement_timeout = '5s'")
            connection.execute("set local lock_timeout = '1s'")
            # In one piece: a name with a semicolon in it is no statement of its own.
            cursor = connection.execute(script.encode())
            while cursor.nextset():
                pass
            touched = cursor.rowcount
    except psycopg.errors.InsufficientPrivilege as error:
        return replace(finding, severity="low", meaning=f"{finding.meaning} Tried: refused ({_first(error)}).")
    except psycopg.Error as error:
        return replace(finding, meaning=f"{finding.meaning} Tried: stopped by {_first(error)}.")
    return replace(finding, meaning=f"{finding.meaning} Tried: {touched} rows as {_role(script)}.")


def _first(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


def _role(script: str) -> str:
    found = re.search(r"set local role (\S+);", script)
    return found[1] if found else "that role"
