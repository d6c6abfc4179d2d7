"""doctor: what is wrong with a live project, and with the code around the credits?"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import typer

from sonas_supabase import Diagnosis, Finding

from ._connect import AsJson, DbUrl, connect
from ._guard import CHECK_FAILED
from ._output import Output
from ._register import register as _register
from ._versions import findings as version_findings
from ._versions import read_state

SHOWN = 5
"""How many of one kind are shown of those that can wait."""

STYLES = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan", "info": "dim"}


def doctor(db_url: DbUrl = None, as_json: AsJson = False) -> None:
    """Inspect a live project: is the credit system as it was made, and does anything else here hand out credits?

    Compares privileges, functions, views, columns, constraints, indexes, triggers and policies with what the
    migrations made; looks at owners, roles, jobs and versions; and reads the functions, tables, policies and views of
    the project itself. Each finding says what it means, how to try it and how to mend it. What looks at code is a
    heuristic: a finding is worth reading, and none is no promise. Changes nothing. Exit code 5 when a finding is
    critical or high.

    Example: sonas doctor --db-url "$DATABASE_URL"
    """
    output = Output(as_json)
    with connect(db_url) as client, output.progress() as bar:
        task = bar.add_task("Looking around", total=2)
        diagnosis = client.diagnose()
        bar.advance(task)
        state = read_state(db_url)
        findings = (*(version_findings(state) if state else ()), *diagnosis.findings)
        bar.advance(task)
    success = diagnosis.success and all(finding.severity not in ("critical", "high") for finding in findings)
    if as_json:
        output.json(replace(diagnosis, success=success, findings=findings))
    else:
        _tell_all(output, findings)
        output.show(_summary(diagnosis, findings))
    if not success:
        raise typer.Exit(CHECK_FAILED)


def _tell_all(output: Output, findings: tuple[Finding, ...]) -> None:
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


def _summary(diagnosis: Diagnosis, findings: tuple[Finding, ...]) -> str:
    seen = (
        f"Looked at the credit system, and at {diagnosis.functions:,} functions and {diagnosis.tables:,} tables "
        f"of the project itself. PostgreSQL {diagnosis.server_version}."
    )
    counts = Counter(finding.severity for finding in findings)
    if not counts.keys() - {"info"}:
        return f"[bold green]Nothing is wrong here.[/] {seen}"
    told = ", ".join(f"[{style}]{counts[name]} {name}[/]" for name, style in STYLES.items() if counts[name])
    return f"{told}. {seen}"


def register(app: typer.Typer) -> None:
    """Adds the commands of this module."""
    _register(app, "Proof", {"doctor": doctor})
