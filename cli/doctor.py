"""doctor: what is wrong with a live project, and with the code around the credits?"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sonas_supabase import CreditsClient, Finding
from sonas_supabase.settings import Settings

from ._connect import AsJson, DbUrl, connect, direct
from ._guard import CHECK_FAILED
from ._output import Output
from ._prove import agree, proven
from ._register import register as _register
from ._versions import findings as version_findings
from ._versions import read_state

if TYPE_CHECKING:
    from psycopg import Connection

    from sonas_supabase.doctor import HostReport

SHOWN = 5
"""How many of one kind are shown of those that can wait."""

STYLES = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan", "info": "dim"}


@dataclass(frozen=True, slots=True)
class Examination:
    """What was looked at and found. ``functions`` and ``tables`` of the project are None where none was read."""

    success: bool
    installed: bool
    functions: int | None
    tables: int | None
    server_version: str
    findings: tuple[Finding, ...]


def doctor(
    prove: Annotated[
        bool,
        typer.Option("--prove", help="Try what was found, as the role it names, in transactions that are rolled back."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before --prove.")] = False,
    db_url: DbUrl = None,
    as_json: AsJson = False,
) -> None:
    """Inspect a live project: is the credit system as it was made, and does anything else here hand out credits?

    Compares privileges, functions, views, columns, constraints, indexes, triggers and policies with what the
    migrations made; looks at owners, roles, jobs and versions; and reads the functions, tables, policies and views of
    the project itself, also where nothing is installed yet. Each finding says what it means, how to try it and how to
    mend it. What looks at code is a heuristic: a finding is worth reading, and none is no promise. Changes nothing.
    Exit code 5 when a finding is critical or high.

    Example: sonas doctor --db-url "$DATABASE_URL"
    """
    output = Output(as_json)
    with output.progress() as bar:
        task = bar.add_task("Looking around", total=2)
        found = _without_database(db_url) if _is_remote(db_url) else None
        bar.advance(task)
        if found is None:
            with direct(db_url) as connection:
                found = examined(connection, db_url)
                if prove:
                    bar.stop()
                    agree(output, yes)
                    found = replace(found, findings=proven(connection, found.findings))
        bar.advance(task)
    if as_json:
        output.json(found)
    else:
        tell_all(output, found.findings)
        output.show(_summary(found))
    if not found.success:
        raise typer.Exit(CHECK_FAILED)


def examined(connection: Connection[Any], db_url: str | None) -> Examination:
    """All findings of a database: of the credit system where it is installed, and of the project."""
    row = connection.execute(
        "select to_regprocedure('public.diagnose()') is not null and"
        " to_regclass('credits.installed_objects') is not null, current_setting('server_version')"
    ).fetchone()
    installed, version = bool(row and row[0]), str(row[1] if row else "")
    findings: list[Finding] = []
    if installed:
        findings += CreditsClient.from_connection(connection).diagnose().findings
    state = read_state(db_url)
    if state is not None and (installed or state.is_lost):
        findings += version_findings(state)
    report = _host(connection)
    if report is None:
        findings.append(PARSER_MISSING)
    else:
        findings += report.findings
    findings.sort(key=lambda one: (list(STYLES).index(one.severity), one.code, one.object or ""))
    return Examination(
        success=all(one.severity not in ("critical", "high") for one in findings),
        installed=installed,
        functions=report.functions if report else None,
        tables=report.tables if report else None,
        server_version=version,
        findings=tuple(findings),
    )


PARSER_MISSING = Finding(
    code="code_not_read",
    severity="info",
    object="the project's own code",
    meaning="The parser of SQL is not installed here: functions, policies and views of the project were not looked at.",
    how_to_try="python -c 'import pgparse'",
    how_to_mend='pip install "sonas-supabase[doctor]"',
)


def _host(connection: Connection[Any]) -> HostReport | None:
    try:
        from sonas_supabase.doctor import examine
    except ModuleNotFoundError as error:
        if error.name != "pgparse":
            raise
        return None
    return examine(connection)


def _is_remote(db_url: str | None) -> bool:
    """Whether there is only the REST API to ask."""
    settings = Settings.from_env()
    return (
        db_url is None
        and settings.database_url is None
        and bool(settings.supabase_url and settings.supabase_secret_key)
    )


def _without_database(db_url: str | None) -> Examination:
    with connect(db_url) as client:
        diagnosis = client.diagnose()
    missing = replace(
        PARSER_MISSING,
        meaning="Over the REST API only the credit system is looked at, not the functions and policies of the project.",
        how_to_try='psql "$DATABASE_URL"',
        how_to_mend='sonas doctor --db-url "$DATABASE_URL"',
    )
    return Examination(diagnosis.success, True, None, None, diagnosis.server_version, (*diagnosis.findings, missing))


def tell_all(output: Output, findings: tuple[Finding, ...]) -> None:
    """Shows findings, of each kind that can wait a few."""
    shown: Counter[str] = Counter()
    left: Counter[str] = Counter()
    for finding in findings:
        if shown[finding.code] < SHOWN or finding.severity in ("critical", "high"):
            shown[finding.code] += 1
            _tell(output, finding)
        else:
            left[finding.code] += 1
    for code, count in left.items():
        output.line(f"{count:,} more of {code}: sonas doctor --json lists them all.\n", style="dim")


def _tell(output: Output, finding: Finding) -> None:
    output.line(f"{finding.severity}: {finding.object} ({finding.code})", style=STYLES[finding.severity])
    output.paragraph(finding.meaning, indent=2)
    # These are to be copied, so nothing folds them.
    output.line(f"  try:  {finding.how_to_try}", style="dim")
    output.line(f"  mend: {finding.how_to_mend}")
    output.line("")


def _summary(found: Examination) -> str:
    seen = (
        [] if found.functions is None else [f"{found.functions:,} functions and {found.tables:,} tables of the project"]
    )
    seen = (["the credit system"] if found.installed else []) + seen
    looked = f"Looked at {' and at '.join(seen)}. PostgreSQL {found.server_version}."
    if not found.installed:
        looked += " The credit system is not installed here: `sonas check` says what would be in its way."
    counts = Counter(finding.severity for finding in found.findings)
    if not counts.keys() - {"info"}:
        return f"[bold green]Nothing is wrong here.[/] {looked}"
    told = ", ".join(f"[{style}]{counts[name]} {name}[/]" for name, style in STYLES.items() if counts[name])
    return f"{told}. {looked}"


def register(app: typer.Typer) -> None:
    """Adds the commands of this module."""
    _register(app, "Proof", {"doctor": doctor})
