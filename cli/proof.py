"""verify: are the books right, and does the guide's checklist hold?"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sonas_supabase import BookCheck, ChecklistLine

from ._connect import AsJson, DbUrl, Workspace, connect, options
from ._guard import CHECK_FAILED
from ._output import Output, table
from ._register import register as _register

NOT_HERE = "not installed here"


def verify(
    user: Annotated[str | None, typer.Argument(metavar="USER", help="One account alone.", show_default=False)] = None,
    workspace: Workspace = None,
    db_url: DbUrl = None,
    as_json: AsJson = False,
) -> None:
    """Check the always-true rules of the books, and the ten lines of the guide's checklist.

    The checklist is tried with a probe user of whom nothing stays. Exit code 5 when something does not hold.

    Example: sonas verify
    """
    output = Output(as_json)
    with connect(db_url) as client, output.progress() as bar:
        task = bar.add_task("Reading the books", total=2)
        books = client.verify_books(**options(user_id=user, workspace_id=workspace))
        bar.update(task, advance=1, description="Trying the checklist")
        checklist = client.verify_checklist() if user is None and workspace is None else None
        bar.advance(task)
    lines = checklist.checks if checklist else ()
    success = books.success and all(line.ok is not False for line in lines)
    shown: list[Any] = [table(("", "rule", "", "#checked"), map(_rule, books.checks), title="The books")]
    shown += [
        table(("", "where", ""), [("✗", check.name, str(found)) for found in check.violations])
        for check in books.checks
        if not check.ok
    ]
    if lines:
        shown += ["", table(("", "line", "", "seen"), map(_line, lines), title="The guide's checklist")]
    shown += ["", "[bold green]All of it holds.[/]" if success else "[bold red]Something does not hold.[/]"]
    output.answer({"success": success, "books": books.checks, "checklist": [_told(line) for line in lines]}, *shown)
    if not success:
        raise typer.Exit(CHECK_FAILED)


def _rule(check: BookCheck) -> tuple[Any, ...]:
    return ("✓" if check.ok else "✗", str(check.rule), check.name, check.checked)


def _line(line: ChecklistLine) -> tuple[Any, ...]:
    told = _told(line)
    return ({True: "✓", False: "✗", None: "-"}[line.ok], str(line.line), line.name, told["seen"])


def _told(line: ChecklistLine) -> dict[str, Any]:
    seen = line.seen if line.ok is not None else NOT_HERE
    return {"line": line.line, "name": line.name, "ok": line.ok, "seen": seen}


def register(app: typer.Typer) -> None:
    """Adds the commands of this module."""
    _register(app, "Proof", {"verify": verify})
