"""import, export, forget: balances that move in, and people who ask for their data or leave."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from sonas_supabase import BalanceImport

from ._connect import AsJson, DbUrl, User, connect, options
from ._export import written
from ._guard import CHECK_FAILED, Stop
from ._import_files import is_file, read_file
from ._output import Output, table
from ._register import register as _register


def import_(
    name: Annotated[
        str,
        typer.Argument(
            metavar="TABLE", help="Table or view with one row per user, or a CSV or JSON file.", show_default=False
        ),
    ],
    user_column: Annotated[str, typer.Option("--user", help="Column with the user's id.")] = "user_id",
    balance_column: Annotated[
        str, typer.Option("--balance", help="Column with the balance, whole credits.")
    ] = "credits",
    credit_type: Annotated[str, typer.Option("--type", "-t", help="Credit type that the balances are of.")] = "message",
    source: Annotated[
        str, typer.Option("--source", help="Source of the opening grants: top_up, promotion, goodwill, …")
    ] = "top_up",
    expires_column: Annotated[
        str | None,
        typer.Option(
            "--expires", help="Column that says when a row's credits expire; a user may have several rows then."
        ),
    ] = None,
    source_column: Annotated[
        str | None, typer.Option("--source-column", help="Column with the source of each row.")
    ] = None,
    by: Annotated[str, typer.Option("--by", help="How the user column names users: id or email.")] = "id",
    rounding: Annotated[
        str | None,
        typer.Option("--round", help="What becomes of fractions: floor, ceil or round. Else they are refused."),
    ] = None,
    customers: Annotated[
        Path | None,
        typer.Option("--customers", help="CSV: the name in the file, the user's id or e-mail.", dir_okay=False),
    ] = None,
    feature: Annotated[str | None, typer.Option("--feature", help="The feature of an export from Autumn.")] = None,
    rate: Annotated[str, typer.Option("--rate", help="Credits for one of what a file counts (a cent, say).")] = "1",
    with_allowances: Annotated[
        bool, typer.Option("--with-allowances", help="Of an export from Autumn, take what is renewed, too.")
    ] = False,
    undo: Annotated[
        bool, typer.Option("--undo", help="Take the import back, as long as nothing of it was spent.")
    ] = False,
    expect: Annotated[
        int | None, typer.Option("--expect", help="The total that your own books say; any other is refused.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Do it all, prove it, and take it back.")] = False,
    db_url: DbUrl = None,
    as_json: AsJson = False,
) -> None:
    """Take balances over from a table, a view or a file of your own, as opening grants beside the plan's allowance.

    All rows or none: a row that cannot be used, or a total that differs, and nothing has changed (exit code 5). A
    second run adds nothing. To filter or rename, import from a view. A file is a CSV, JSON rows, Stripe's list of
    credit grants, or customers out of Autumn; `--undo` takes an import back that nobody has spent from.

    Example: sonas import profiles --user id --balance credits --type message --dry-run
    """
    output = Output(as_json)
    found = None
    if is_file(name):
        found = read_file(
            Path(name), user=user_column, balance=balance_column, expires=expires_column, source=source_column,
            customers=customers, feature=feature, rate=rate, with_allowances=with_allowances,
        )  # fmt: skip
        name = Path(name).name
        user_column, balance_column = found.user, found.balance
        expires_column, source_column = found.expires, found.source
    if undo:
        _undo(output, name, balance_column, credit_type, dry_run=dry_run, db_url=db_url)
        return
    with output.progress() as bar:
        task = bar.add_task("Importing", total=None)

        def notice(said: str) -> None:
            if counted := re.fullmatch(r"imported (\d+) of (\d+)", said):
                bar.update(task, completed=int(counted[1]), total=int(counted[2]))

        with connect(db_url, notice) as client:
            done = client.import_balances(
                name,
                user_column,
                balance_column,
                credit_type,
                source=source,
                dry_run=dry_run,
                user_key=by,
                **options(
                    expected_total=expect,
                    expires_column=expires_column,
                    source_column=source_column,
                    rounding=rounding,
                    rows=None if found is None else found.rows,
                ),
            )
    problems = [(found.problem, found.rows, ", ".join(map(str, found.users))) for found in done.problems]
    output.answer(
        done,
        table(("", "#rows", "#credits"), [
            ("in the table", done.rows, done.total),
            ("with a balance of 0", done.empty, 0),
            ("in the ledger", done.granted, done.granted_total),
            *([("imported before", done.replayed, "")] if done.replayed else []),
        ]),
        *([table(("cannot be used", "#rows", "users"), problems)] if problems else []),
        "",
        *(
            f"[yellow]{count:,} left out: {escape(what)}.[/]"
            for what, count in (found.left_out.items() if found else ())
        ),
        *(
            f"[yellow]{users:,} of these users have opening {done.credit_type} credits from {escape(origin)} already. "
            "If it is the same money, they get it twice.[/]"
            for origin, users in done.elsewhere.items()
        ),
        _outcome(done),
    )  # fmt: skip
    if not done.success:
        raise typer.Exit(CHECK_FAILED)


def _undo(
    output: Output, name: str, balance_column: str, credit_type: str, *, dry_run: bool, db_url: str | None
) -> None:
    with connect(db_url) as client:
        done = client.undo_import(name, balance_column, credit_type, dry_run=dry_run)
    users = ", ".join(str(user) for problem in done.problems for user in problem.users)
    taken = f"{done.grants:,} grants with {done.total:,} credits"
    output.answer(
        done,
        f"[bold red]Somebody has spent from it: {users}. Nothing has changed.[/]"
        if not done.success
        else f"[bold green]{taken} would be taken back.[/] It was a rehearsal: nothing has changed."
        if dry_run
        else f"[bold green]{taken} taken back.[/]",
    )
    if not done.success:
        raise typer.Exit(CHECK_FAILED)


def _outcome(done: BalanceImport) -> str:
    if done.code == "unusable_rows":
        return "[bold red]Nothing has changed.[/] Mend these rows, or import from a view that leaves them out."
    if not done.success:
        expected = done.granted_total if done.expected_total is None else done.expected_total
        return f"[bold red]The totals differ: {done.total:,} and {expected:,}. Nothing has changed.[/]"
    if done.dry_run:
        return "[bold green]The totals agree.[/] It was a rehearsal: nothing has changed."
    return "[bold green]The totals agree.[/]"


def export(
    user: User,
    to: Annotated[
        Path | None, typer.Option("--to", "-o", help="Write it there, not to the terminal.", dir_okay=False)
    ] = None,
    db_url: DbUrl = None,
    as_json: AsJson = False,
) -> None:
    """Write out everything that the credit system has stored about one user, as JSON.

    Also of a closed account. What they did in workspaces is in it; other tables of yours are not.

    Example: sonas export free@example.com --to user.json
    """
    output = Output(as_json)
    counts: dict[str, int] = {}
    with connect(db_url) as client:
        pieces = written(client, user, counts)
        if to is None:
            for piece in pieces:
                output.raw(piece)
            return
        # Only a whole export gets the name that was asked for.
        part = to.with_name(f"{to.name}.part")
        try:
            with part.open("w", encoding="utf-8") as file:
                file.writelines(pieces)
            part.replace(to)
        except OSError as error:
            raise Stop(f"{to} cannot be written: {error.strerror}.", "Choose another file.") from None
        finally:
            part.unlink(missing_ok=True)
    output.answer(
        {"success": True, "code": "ok", "file": str(to), "rows": counts},
        table(("table", "#rows"), counts.items()),
        f"[bold green]Written to {escape(str(to))}[/]",
    )


def forget(
    user: User,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask. It cannot be undone.")] = False,
    db_url: DbUrl = None,
    as_json: AsJson = False,
) -> None:
    """Close an account for good and remove the person's words from the books, which still balance.

    Descriptions, metadata, reasons and idempotency keys go; ids, times and figures stay. Export first. The row in
    auth.users is yours to delete, before or after.

    Example: sonas forget free@example.com --yes
    """
    output = Output(as_json)
    if not yes and (as_json or not typer.confirm(f"Close the account of {user} for good?")):
        raise Stop("Nothing has changed.", "Pass --yes to close the account for good.", code="usage")
    with connect(db_url) as client:
        done = client.forget_account(user)
    output.answer(
        done,
        table(("table", "#rows without words"), done.rows.items()),
        "[bold green]Forgotten.[/] Delete the user in Auth as well, if that has not been done.",
    )


def register(app: typer.Typer) -> None:
    """Adds the commands of this module."""
    _register(app, "Your project", {"import": import_})
    _register(app, "Accounts", {"export": export, "forget": forget})
