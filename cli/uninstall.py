"""uninstall: the way out, with everything written out first and nothing of the project's own touched."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from sonas_supabase import migrations

from ._connect import AsJson, DbUrl, direct
from ._guard import Stop
from ._output import Output, table
from ._register import register as _register


def uninstall(
    to: Annotated[
        Path, typer.Option("--to", "-o", help="Folder for the export; made if it is not there.", file_okay=False)
    ] = Path("sonas-export"),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be lost, try it, and take it back.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask. It cannot be undone.")] = False,
    db_url: DbUrl = None,
    as_json: AsJson = False,
) -> None:
    """Take the credit system out of a database: write everything out, say what is lost, drop what is ours.

    Your own tables, functions and policies stay as they are, and so do the columns of a usage table that you had
    before. When one of them depends on the credit system, it is named and nothing is changed. Delete our file from
    supabase/migrations afterwards, or `supabase db push` brings it back.

    Example: sonas uninstall --dry-run
    """
    output = Output(as_json)
    with direct(db_url) as connection:
        try:
            found = migrations.belongings(connection)
        except migrations.CannotMigrate as problem:
            raise Stop(str(problem), problem.hint, code=problem.code) from None
        if not as_json:
            _tell(output, found)
        if not (dry_run or yes) and (as_json or not typer.confirm("Write all of it out and drop it for good?")):
            raise Stop("Nothing has changed.", "Pass --yes to take it out for good.", code="usage")
        written: dict[str, int] = {}
        try:
            if not dry_run:
                written = migrations.write_out(connection, to)
            done = migrations.remove(connection, dry_run=dry_run)
        except migrations.CannotMigrate as problem:
            raise Stop(str(problem), problem.hint, code=problem.code) from None
        except OSError as error:
            raise Stop(
                f"{to} cannot be written: {error.strerror}. Nothing has changed.",
                "Choose another folder.",
                code="cannot",
            ) from None
    output.answer(
        {
            "success": True,
            "code": "ok",
            "dry_run": dry_run,
            "lost": found,
            "written": written,
            "folder": None if dry_run else str(to),
            "removed": [] if dry_run else done,
        },
        f"[bold green]{'Would be dropped' if dry_run else 'Dropped'}:[/]",
        *(f"  {escape(one)}" for one in done),
        "It was a rehearsal: nothing has changed."
        if dry_run
        else f"Everything is in {escape(str(to))}. Next: delete our file from supabase/migrations.",
    )


def _tell(output: Output, found: migrations.Belongings) -> None:
    output.show(
        table(
            ("would be lost", "#"),
            [
                *((f"credits: {name}", amount) for name, amount in found.credits.items()),
                ("accounts on a paid plan", found.paid_plans),
                ("open holds", found.open_holds),
                *((f"rows of {name}", count) for name, count in found.rows.items()),
            ],
        )
    )
    for name in found.metered:
        output.line(f"{name} is metered: its rows stay, and are neither charged nor limited any more.")
    for name in found.callers:
        output.line(f"{name} calls the credit system, and would fail.")


def register(app: typer.Typer) -> None:
    """Adds the command."""
    _register(app, "Your project", {"uninstall": uninstall})
