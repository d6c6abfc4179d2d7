"""init and migrate: the way into somebody's own Supabase project."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sonas_supabase import migrations

from ._connect import AsJson, DbUrl, database_url
from ._guard import Stop
from ._output import Output, table
from ._register import register as _register
from ._versions import stop_for

DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and stop.")]


def init(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="The project's supabase folder.", file_okay=False)
    ] = Path("supabase"),
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Copy the migrations into your own supabase/migrations, for `supabase db push` to apply.

    They go behind everything that is there: where your newest migration is younger than ours, the copy gets a later
    stamp. A copy that is there already is known by its name and left alone, so it may be run again after an upgrade.

    Example: sonas init
    """
    output = Output(as_json)
    try:
        copies = migrations.plan_copies(folder)
        if not dry_run:
            migrations.copy_into(folder)
    except migrations.CannotCopy as problem:
        raise Stop(str(problem), problem.hint, code="exists") from None
    except OSError as error:
        raise Stop(f"{folder} cannot be written: {error.strerror}.", "Choose another folder.", code="cannot") from None
    new = [copy for copy in copies if copy.is_new]
    output.answer(
        {
            "success": True,
            "code": "ok",
            "folder": str(folder),
            "dry_run": dry_run,
            "copied": [] if dry_run else [copy.path.name for copy in new],
            "migrations": [_described(copy) for copy in copies],
        },
        *_told(folder, new, dry_run=dry_run),
    )


def _described(copy: migrations.Copy) -> dict[str, Any]:
    return {"name": copy.migration.name, "file": copy.path.name, "is_new": copy.is_new, "is_renamed": copy.is_renamed}


def _told(folder: Path, new: list[migrations.Copy], *, dry_run: bool) -> list[Any]:
    if not new:
        return [f"{folder / 'migrations'} has them all already.", "Next: `supabase db push`, if you have not yet."]
    files = "1 migration" if len(new) == 1 else f"{len(new)} migrations"
    verb = "would be copied" if dry_run else "copied"
    told = [f"[bold green]{files} {verb} into {folder / 'migrations'}.[/]"]
    told += [
        f"{copy.path.name}: a later stamp than {copy.migration.version}, to come after your own migrations."
        for copy in new
        if copy.is_renamed
    ]
    return [*told, "Next: `sonas init`." if dry_run else "Next: `supabase db push`, or `sonas migrate --db-url URL`."]


def migrate(
    dry_run: DryRun = False,
    record: Annotated[
        bool,
        typer.Option("--record", help="Record the migrations as applied, where a restore has lost their history."),
    ] = False,
    folder: Annotated[
        Path,
        typer.Option("--folder", help="Your supabase folder: copies that `init` made keep their stamps."),
    ] = Path("supabase"),
    db_url: DbUrl = None,
    as_json: AsJson = False,
) -> None:
    """Apply the migrations that a database does not have yet.

    Keeps the same history table as the Supabase CLI, so that both agree. Each file is one transaction; it may be
    interrupted and run again. A database with another text of the same migrations is left alone, with exit code 5 and
    what to do about it.

    Example: sonas migrate --db-url "$DATABASE_URL"
    """
    import psycopg

    output = Output(as_json)
    done: list[str] = []
    with psycopg.connect(database_url(db_url), autocommit=True, connect_timeout=10) as connection:
        found = migrations.state(connection)
        if (problem := found.problem) and not (record and found.is_lost):
            raise stop_for(problem, found)
        waiting = [f"{migrations.stamp_in(folder, m)}_{m.name}" for m in found.pending]
        if dry_run:
            output.answer(
                {"success": True, "code": "ok", "pending": waiting},
                table(("version", "name"), [name.split("_", 1) for name in waiting]) if waiting else "Up to date.",
            )
            return
        if record:
            done = [f"{migrations.stamp_in(folder, m)}_{m.name}" for m in migrations.record(connection, folder=folder)]
        else:
            with output.progress() as bar:
                task = bar.add_task("Applying migrations", total=len(waiting))
                for migration in migrations.apply(connection, folder=folder):
                    done.append(f"{migrations.stamp_in(folder, migration)}_{migration.name}")
                    bar.advance(task)
    verb = "recorded" if record else "applied"
    output.answer(
        {"success": True, "code": "ok", "applied": [] if record else done, "recorded": done if record else []},
        f"[bold green]{len(done)} {'migration' if len(done) == 1 else 'migrations'} {verb}.[/]"
        if done
        else "Nothing to record: run `sonas migrate`."
        if record and waiting
        else "Up to date.",
    )


def register(app: typer.Typer) -> None:
    """Adds the commands of this module."""
    _register(app, "Your project", {"init": init, "migrate": migrate})
