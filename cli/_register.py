"""Adds a guarded command to the app."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer

from ._guard import guarded


def register(app: typer.Typer, panel: str, commands: dict[str, Callable[..., Any]]) -> None:
    """Adds `commands` by name. The last paragraph of each docstring is its example."""
    for name, command in commands.items():
        text, _, example = (command.__doc__ or "").rpartition("Example: ")
        app.command(
            name,
            help=text.strip().replace("\n    ", "\n"),
            epilog=f"Example: `{example.strip()}`",
            rich_help_panel=panel,
        )(guarded(command))
