"""What a command works on: the database that was named, the one in the environment, or the local stack here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from sonas_supabase import CreditsClient, CreditsError
from sonas_supabase.settings import Settings

from . import _people
from ._guard import Stop

if TYPE_CHECKING:
    from psycopg import Connection

DbUrl = Annotated[
    str | None,
    typer.Option(
        "--db-url",
        metavar="URL",
        help="Postgres URL. Else DATABASE_URL, SUPABASE_URL and SUPABASE_SECRET_KEY, or the stack of `sonas up`.",
        rich_help_panel="Common",
    ),
]
DATA_DIR: ContextVar[Path | None] = ContextVar("data_dir", default=None)
"""Where the local stack has its data, if the command says so; see `_register`."""


def completed(values: Callable[[CreditsClient], list[str]]) -> Callable[[str], list[str]]:
    """A completion out of the database. One that cannot be worked out offers nothing."""

    def complete(incomplete: str) -> list[str]:
        try:
            with connect(None) as client:
                found = _people.accounts(client, incomplete) if values is _people.accounts else values(client)
        except Exception:  # a shell shows no errors while it completes
            return []
        return [value for value in found if value.startswith(incomplete)]

    return complete


def offered(*values: str) -> Callable[[str], list[str]]:
    """A completion out of what is always the same."""
    return lambda incomplete: [value for value in values if value.startswith(incomplete)]


AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.", rich_help_panel="Common")]
User = Annotated[
    str,
    typer.Argument(
        metavar="USER",
        help="The user, by e-mail or id.",
        autocompletion=completed(_people.accounts),
        show_default=False,
    ),
]
Workspace = Annotated[
    str | None,
    typer.Option(
        "--workspace",
        metavar="NAME",
        help="The workspace that pays, by name or id, instead of the user.",
        autocompletion=completed(_people.workspaces),
    ),
]


CreditType = Annotated[
    str,
    typer.Argument(
        metavar="TYPE",
        help="message, integration, project, …",
        autocompletion=completed(_people.credit_types),
        show_default=False,
    ),
]


OneType = Annotated[
    str | None,
    typer.Option("--type", "-t", help="One credit type alone.", autocompletion=completed(_people.credit_types)),
]


def local_database_url() -> str | None:
    """The database of the stack that runs for this folder; None when none does, or when it cannot be told."""
    try:
        from sonas_supabase.local import LocalProblem, LocalStack
    except ModuleNotFoundError:
        return None
    try:
        stack = LocalStack(DATA_DIR.get())
        running = stack.running()
        return stack.cluster.url() if running and stack.cluster.start() is False else None
    except LocalProblem:
        return None


@contextmanager
def connect(db_url: str | None, notice: Callable[[str], None] | None = None) -> Iterator[CreditsClient]:
    """A client for the database that the command is about, which knows people by their addresses.

    `notice` hears what the database says meanwhile, except over REST. A refusal says what would have been right.
    """
    with _connected(db_url, notice) as client:
        try:
            yield cast(CreditsClient, _people.ByName(client))
        except CreditsError as error:
            try:
                better = _people.explained(client, error)
            except CreditsError:
                better = None
            if better is None:
                raise
            raise better from error


@contextmanager
def _connected(db_url: str | None, notice: Callable[[str], None] | None) -> Iterator[CreditsClient]:
    if db_url is None and DATA_DIR.get() is None:
        settings = Settings.from_env()
        db_url = settings.database_url
        if db_url is None and settings.supabase_url and settings.supabase_secret_key:
            with CreditsClient.from_supabase(settings.supabase_url, settings.supabase_secret_key) as client:
                yield client
            return
    import psycopg

    # One command is one connection: a pool would wait and try again where a person wants to be told.
    with psycopg.connect(database_url(db_url), autocommit=True, connect_timeout=10) as connection:
        if notice:
            connection.add_notice_handler(lambda said: notice(said.message_primary or ""))
        yield CreditsClient.from_connection(connection)


@contextmanager
def direct(db_url: str | None) -> Iterator[Connection[Any]]:
    """A connection to Postgres, for what reads the catalog. Each statement is a transaction of its own."""
    import psycopg

    with psycopg.connect(database_url(db_url), autocommit=True, connect_timeout=10) as connection:
        yield connection


@contextmanager
def open_client(db_url: str | None) -> Iterator[CreditsClient]:
    """A client that has not connected yet: for a command that has something to say about a database that is down."""
    settings = Settings.from_env()
    if db_url is None and settings.database_url is None and settings.supabase_url:
        with connect(db_url) as client:
            yield client
        return
    with CreditsClient.from_url(database_url(db_url), pool_size=1) as client:
        yield client


def database_url(db_url: str | None) -> str:
    """The Postgres URL for what cannot go through the REST API."""
    named = local_database_url() if DATA_DIR.get() else None
    found = db_url or named or Settings.from_env().database_url or local_database_url()
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
