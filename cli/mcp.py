"""mcp: credits for agents, on stdin and stdout."""

from __future__ import annotations

from typing import Annotated

import typer

from ._connect import DbUrl, connect
from ._register import register as _register


def mcp(
    allow_writes: Annotated[
        bool, typer.Option("--allow-writes", help="Also grants, refunds and plan changes, each confirmed by a token.")
    ] = False,
    db_url: DbUrl = None,
) -> None:
    """Serve balances, histories, prices and metrics to an agent, by the Model Context Protocol on stdin and stdout.

    Read-only unless told otherwise. Needs the extra: pip install "sonas-supabase[mcp]"

    Example: sonas mcp
    """
    from sonas_supabase.mcp import make_server

    with connect(db_url) as client:
        user = "an id of auth.users, or an e-mail address wherever user_id is asked for"
        make_server(client, allow_writes=allow_writes, user=user).run("stdio")


def register(app: typer.Typer) -> None:
    """Add the command."""
    _register(app, "Prices", {"mcp": mcp})
