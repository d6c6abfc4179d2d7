"""verify: are the books right, and does the guide's checklist hold?"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from sonas_supabase import BookCheck, ChecklistLine, CreditsClient

from ._connect import DATA_DIR, AsJson, DbUrl, Workspace, connect, options
from ._dashboard import check, is_installed
from ._digest import Saved, account_of, compare, count_rows, named, refuse_to_overwrite, save
from ._guard import CHECK_FAILED, Stop
from ._output import Output, table
from ._people import account_named, is_id
from ._register import register as _register
from .stack import DEMO_USERS

RULES = 11
CHAIN = 2
NOT_HERE = "not installed here"
NOT_RUNNING = "no app is running here: `sonas up`, or --app-url"


def verify(
    user: Annotated[str | None, typer.Argument(metavar="USER", help="One account alone.", show_default=False)] = None,
    workspace: Workspace = None,
    app_url: Annotated[
        str | None, typer.Option("--app-url", metavar="URL", help="Your app, to see whether its dashboard is right.")
    ] = None,
    token: Annotated[str | None, typer.Option("--token", help="A user's token for --app-url.")] = None,
    save_digest: Annotated[
        Path | None, typer.Option("--save-digest", metavar="FILE", help="Write down what the history is now.")
    ] = None,
    digest: Annotated[
        Path | None, typer.Option("--digest", metavar="FILE", help="Prove that the history is what was written down.")
    ] = None,
    db_url: DbUrl = None,
    as_json: AsJson = False,
) -> None:
    """Check the always-true rules of the books, and the ten lines of the guide's checklist.

    A digest is a SHA-256 per account, credit type and 10,000 versions of the ledger. Keep it where who can change the
    database cannot change it; with --digest, rows that were changed or are missing, as in a restored backup, are named.

    The checklist is tried with a probe user of whom nothing stays; its line about the dashboard is checked on the app
    of `sonas up`, or on yours with --app-url and --token. Exit code 5 when something does not hold.

    Example: sonas verify
    """
    output = Output(as_json)
    user, workspace = _by_id(db_url, user), _by_id(db_url, workspace, "workspace")
    account = account_of(user, workspace)
    if save_digest:
        refuse_to_overwrite(save_digest)
    digest_rows = count_rows(digest, account) if digest else 0
    saved: Saved | None = None
    with connect(db_url) as client, output.progress() as bar:
        task = bar.add_task("", total=RULES + 1)
        books: list[BookCheck] = []
        for rule in range(1, RULES + 1):
            bar.update(task, description=f"Reading the books, rule {rule}")
            books += client.verify_books(rule=rule, **options(user_id=user, workspace_id=workspace)).checks
            bar.advance(task)
        bar.update(task, description="Trying the checklist")
        lines = client.verify_checklist().checks if user is None and workspace is None else ()
        lines = tuple(_with_dashboard(client, line, app_url, token) for line in lines)
        bar.advance(task)
        if digest:
            task = bar.add_task("Comparing the history", total=digest_rows)
            books.append(compare(client, digest, account, partial(bar.advance, task)))
        if save_digest:
            total = max(book.checked for book in books if book.rule == CHAIN)
            task = bar.add_task("Writing the history down", total=total)
            saved = save(client, save_digest, named(user, workspace), partial(bar.advance, task))
    success = all(book.ok for book in books) and all(line.ok is not False for line in lines)
    shown: list[Any] = [table(("", "rule", "", "#checked"), map(_rule, books), title="The books")]
    shown += [
        table(("", "where", ""), [("✗", book.name, str(found)) for found in book.violations])
        for book in books
        if not book.ok
    ]
    if lines:
        shown += ["", table(("", "line", "", "seen"), map(_line, lines), title="The guide's checklist")]
    if saved:
        shown += [
            "",
            f"{saved.rows:,} ledger rows are written down in {escape(saved.file)}. Its SHA-256 is",
            saved.sha256,
        ]
    shown += ["", "[bold green]All of it holds.[/]" if success else "[bold red]Something does not hold.[/]"]
    told: dict[str, Any] = {"success": success, "books": books, "checklist": [_told(line) for line in lines]}
    output.answer(told | ({"digest": saved} if saved else {}), *shown)
    if not success:
        raise typer.Exit(CHECK_FAILED)


def _by_id(db_url: str | None, name: str | None, kind: str = "person") -> str | None:
    """The id behind a name; nothing is asked where it is one already."""
    if name is None or is_id(name):
        return name
    with connect(db_url) as client:
        return str(account_named(client, name, kind))


def _with_dashboard(
    client: CreditsClient, line: ChecklistLine, app_url: str | None, token: str | None
) -> ChecklistLine:
    """The line that only a running app can answer."""
    if line.ok is not None or line.seen:
        return line
    if app_url:
        user = _user_of(token)
    else:
        app_url, user, token = _local_app()
    if not app_url or not user or not token:
        return line
    seen = check(client, app_url, user, token)
    return replace(line, ok=seen.ok, seen=seen.seen)


def _user_of(token: str | None) -> str:
    """Whose token it is. The app verifies it; this only has to know whom to compare with."""
    import jwt

    try:
        return str(jwt.decode(token or "", options={"verify_signature": False})["sub"])
    except (jwt.InvalidTokenError, KeyError):
        raise Stop(
            "--app-url needs the token of a user.", "Pass --token, such as that of your own session.", code="usage"
        ) from None


def _local_app() -> tuple[str | None, str, str | None]:
    user = DEMO_USERS["free@example.com"]
    if not is_installed():
        return None, user, None
    from sonas_supabase.local import LocalProblem, LocalStack

    with suppress(LocalProblem):
        stack = LocalStack(DATA_DIR.get())
        running = stack.running()
        if running and running.api_port:
            return (
                f"http://127.0.0.1:{running.api_port}",
                user,
                stack.keys.token(role="authenticated", user_id=user),
            )
    return None, user, None


def _rule(rule: BookCheck) -> tuple[Any, ...]:
    return ("✓" if rule.ok else "✗", str(rule.rule), rule.name, rule.checked)


def _line(line: ChecklistLine) -> tuple[Any, ...]:
    told = _told(line)
    return ({True: "✓", False: "✗", None: "-"}[line.ok], str(line.line), line.name, told["seen"])


def _told(line: ChecklistLine) -> dict[str, Any]:
    seen = line.seen or (NOT_RUNNING if is_installed() else NOT_HERE)
    return {"line": line.line, "name": line.name, "ok": line.ok, "seen": seen}


def register(app: typer.Typer) -> None:
    """Adds the commands of this module."""
    _register(app, "Proof", {"verify": verify})
