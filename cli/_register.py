"""Adds a guarded command to the app."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from ._connect import DATA_DIR
from ._guard import guarded

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        envvar="SONAS_DATA_DIR",
        help="Where the local stack has its data: `.sonas` in this folder by default.",
        rich_help_panel="Common",
    ),
]


def register(app: typer.Typer, panel: str, commands: dict[str, Callable[..., Any]]) -> None:
    """Adds `commands` by name. The last paragraph of each docstring is its example."""
    for name, command in commands.items():
        text, _, example = (command.__doc__ or "").rpartition("Example: ")
        app.command(
            name,
            help=text.strip().replace("\n    ", "\n"),
            epilog=f"Example: `{example.strip()}`",
            rich_help_panel=panel,
        )(with_data_dir(guarded(command)))


def with_data_dir(command: Callable[..., Any]) -> Callable[..., Any]:
    """Every command that may work on the local stack can be told which one."""
    signature = inspect.signature(command)
    if "data_dir" in signature.parameters or "db_url" not in signature.parameters:
        return command

    @functools.wraps(command)
    def run(*args: Any, data_dir: Path | None = None, **named: Any) -> Any:
        token = DATA_DIR.set(data_dir)
        try:
            return command(*args, **named)
        finally:
            DATA_DIR.reset(token)

    hints = get_type_hints(command, include_extras=True)
    parameters = [one.replace(annotation=hints[name]) for name, one in signature.parameters.items()]
    option = inspect.Parameter("data_dir", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=DataDir)
    run.__signature__ = signature.replace(parameters=[*parameters, option])  # type: ignore[attr-defined]
    run.__annotations__ = {**hints, "data_dir": DataDir}
    return run
