"""The edge as it was described beside each function: who may call it, what it takes. Written by generate_edge.py."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

CATALOG = Path(__file__).with_name("edge.json")

CHAPTERS_OF_ACCOUNTS = ("plans", "accounts", "ledger", "spending", "holds", "prices", "calendar")
"""What an app calls for one of its users, in story order; later chapters look at everything, or move in and out."""


CHAPTERS_OF_TEAMS = ("workspaces", "budgets", "keys")
"""What people do with the accounts that they share: they answer about the workspace, and change who may what in it."""


@dataclass(frozen=True)
class Argument:
    """An argument without its p_: its SQL type, its default in SQL, and whether it is asked for all the same."""

    name: str
    type: str
    default: str | None
    asked_for: bool

    @property
    def required(self) -> bool:
        return self.default is None or self.asked_for

    @property
    def may_be_null(self) -> bool:
        return not self.required and (self.default or "").upper().startswith("NULL")


@dataclass(frozen=True)
class EdgeFunction:
    """One public function."""

    name: str
    chapter: str
    description: str
    callers: tuple[str, ...]
    reads_only: bool
    arguments: tuple[Argument, ...]

    @property
    def of_an_account(self) -> bool:
        """Whether it names the account that it is about."""
        return bool(self.arguments) and self.arguments[0].name == "user_id"

    def takes(self, name: str) -> bool:
        return any(argument.name == name for argument in self.arguments)


EDGE = {
    row["name"]: EdgeFunction(
        name=row["name"],
        chapter=row["chapter"],
        description=row["description"],
        callers=tuple(row["callers"]),
        reads_only=row["reads_only"],
        arguments=tuple(Argument(*argument) for argument in row["arguments"]),
    )
    for row in json.loads(CATALOG.read_text())
}
"""Every public function by name."""

FOR_USERS = tuple(name for name, function in EDGE.items() if "authenticated" in function.callers)
"""What signed-in users may call, for themselves."""

OPERATIONS = tuple(
    name
    for name, function in EDGE.items()
    if function.of_an_account
    and (function.chapter in CHAPTERS_OF_ACCOUNTS or name in FOR_USERS)
    and function.chapter not in CHAPTERS_OF_TEAMS
)
"""What an app calls for one of its users."""

OF_TEAMS = tuple(name for name, function in EDGE.items() if function.chapter in CHAPTERS_OF_TEAMS)
"""What people do with the accounts that they share."""
