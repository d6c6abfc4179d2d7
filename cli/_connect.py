"""What a command works on: the database that was named, the one in the environment, or the local stack here."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sonas_supabase import CreditsClient, NotConfigured

from ._guard import Stop

DbUrl = Annotated[
    str | None,
    typer.Option(
        "--db-url",
        metavar="URL",
        help="Postgres URL. Else DATABASE_URL, SUPABASE_URL and SUPABASE_SECRET_KEY, or the stack of `sonas up`.",
        rich_help_panel="Common",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.", rich_help_panel="Common")]
User = Annotated[str, typer.Argument(metavar="USER", help="Id of the user (auth.users).", show_default=False)]
Workspace = Annotated[
    str | None,
    typer.Option("--workspace", metavar="ID", help="The workspace that pays, instead of the user."),
]


def local_database_url() -> str | None:
    """The database of the stack that runs for this folder; None when none does, or when it cannot be told."""
    try:
        from sonas_supabase.local import LocalProblem, LocalStack
    except ModuleNotFoundError:
        return None
    try:
        stack = LocalStack()
        running = stack.running()
        return stack.cluster.url() if running and stack.cluster.start() is False else None
    except LocalProblem:
        return None


def connect(db_url: str | None) -> CreditsClient:
    """A client for the database that the command is about. To be used in a `with` block."""
    if db_url:
        return CreditsClient.from_url(db_url)
    try:
        return CreditsClient.from_env()
    except NotConfigured:
        url = local_database_url()
        if url is None:
            raise _nowhere() from None
        return CreditsClient.from_url(url)


def database_url(db_url: str | None) -> str:
    """The Postgres URL for what cannot go through the REST API."""
    import os

    from dotenv import dotenv_values

    found = db_url or os.environ.get("DATABASE_URL") or dotenv_values().get("DATABASE_URL") or local_database_url()
    if not found:
        raise _nowhere()
    return found


def options(**given: Any) -> dict[str, Any]:
    """The arguments that were given; the others keep the defaults of the SQL function."""
    return {name: value for name, value in given.items() if value is not None}


def _nowhere() -> Stop:
    return Stop(
        "There is no database to talk to.",
        "Start one with `sonas up`, pass --db-url, or set DATABASE_URL.",
        code="not_configured",
    )
