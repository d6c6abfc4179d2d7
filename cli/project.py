"""init and migrate: the way into somebody's own Supabase project."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sonas_supabase import migrations

from ._connect import AsJson, DbUrl, database_url
from ._guard import Stop
from ._output import Output, table
from ._register import register as _register


def init(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="The project's supabase folder.", file_okay=False)
    ] = Path("supabase"),
    as_json: AsJson = False,
) -> None:
    """Copy the migrations into your own supabase/migrations, for `supabase db push` to apply.

    Files that are there already are left alone, so it may be run again after an upgrade.

    Example: sonas init
    """
    output = Output(as_json)
    try:
        new = migrations.copy_into(folder)
    except FileExistsError as error:
        raise Stop(
            f"{error} exists already, with another text.",
            "It is from another release, or was edited. Move it away and run this again. Nothing has been copied.",
            code="exists",
        ) from None
    except OSError as error:
        raise Stop(f"{folder} cannot be written: {error.strerror}.", "Choose another folder.", code="cannot") from None
    output.answer(
        {"success": True, "code": "ok", "folder": str(folder), "copied": [path.name for path in new]},
        f"[bold green]{len(new)} migrations copied into {folder / 'migrations'}.[/]"
        if new
        else f"{folder / 'migrations'} has them all already.",
        "Next: `supabase db push`, or `sonas migrate --db-url URL`.",
    )


def migrate(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be applied, and stop.")] = False,
    db_url: DbUrl = None,
    as_json: AsJson = False,
) -> None:
    """Apply the migrations that a database does not have yet.

    Keeps the same history table as the Supabase CLI, so that both agree. Each file is one transaction; it may be
    interrupted and run again.

    Example: sonas migrate --db-url "$DATABASE_URL"
    """
    import psycopg

    output = Output(as_json)
    done = []
    with psycopg.connect(database_url(db_url), autocommit=True, connect_timeout=10) as connection:
        waiting = migrations.pending(connection)
        if dry_run:
            output.answer(
                {"success": True, "code": "ok", "pending": [f"{m.version}_{m.name}" for m in waiting]},
                table(("version", "name"), [(m.version, m.name) for m in waiting]) if waiting else "Up to date.",
            )
            return
        with output.progress() as bar:
            task = bar.add_task("Applying migrations", total=len(waiting))
            for migration in migrations.apply(connection):
                done.append(f"{migration.version}_{migration.name}")
                bar.advance(task)
    output.answer(
        {"success": True, "code": "ok", "applied": done},
        f"[bold green]{len(done)} migrations applied.[/]" if done else "Up to date.",
    )


def register(app: typer.Typer) -> None:
    """Adds the commands of this module."""
    _register(app, "Your project", {"init": init, "migrate": migrate})
