"""The commands, put together."""

from __future__ import annotations

from importlib.metadata import version as installed_version
from typing import Annotated

import typer

from . import (
    accounts,
    billing,
    call,
    check,
    data,
    demo,
    doctor,
    explain,
    mcp,
    metrics,
    prices,
    project,
    proof,
    spending,
    stack,
    support,
    teams,
    types,
    uninstall,
    why,
    worker,
)
from ._output import Output

app = typer.Typer(
    name="sonas",
    help="Credits on Supabase: plans, allowances, holds and an append-only ledger.\n\n"
    "Start with `sonas demo`, then `sonas up`. With a project of your own: `sonas init` and `sonas migrate`.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:
    if asked:
        Output().line(f"sonas {installed_version('sonas-supabase')}")
        raise typer.Exit


@app.callback()
def _sonas(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


_GROUPS = (
    *(stack, demo, project, check, data, accounts, support),
    *(explain, why, spending, teams, metrics, prices, mcp, worker, proof, doctor, billing, types, uninstall, call),
)
for _group in _GROUPS:
    _group.register(app)
