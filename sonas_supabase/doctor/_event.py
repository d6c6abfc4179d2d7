"""What a function does, as a list of events under conditions."""

from __future__ import annotations

from dataclasses import dataclass, field

from ._catalog import Relation
from ._tree import (
    NOTHING,
    Tree,
    parts_of,
)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a function does: `write`, `call`, `read`, `lock`, `dynamic` or `result`."""

    kind: str
    nth: int
    conditions: tuple[Tree, ...]
    table: str = ""
    verb: str = ""
    sets: tuple[tuple[str, Tree], ...] = ()
    where: Tree | None = None
    name: str = ""
    arguments: tuple[Tree, ...] = ()
    value: Tree = NOTHING
    yields: bool = True
    path: tuple[str, ...] = ()

    def holds(self) -> list[Tree]:
        """The conditions, and what its own WHERE asks."""
        return [*self.conditions, *parts_of(self.where)]


@dataclass(slots=True)
class Code:
    """What a function does, what holds when it has ended well, and what it answers."""

    events: list[Event] = field(default_factory=list)
    end: tuple[Tree, ...] = ()
    results: list[Tree] = field(default_factory=list)
    new: list[tuple[tuple[Tree, ...], str, Tree]] = field(default_factory=list)
    stops: list[tuple[Tree, ...]] = field(default_factory=list)
    readable: bool = True


@dataclass(slots=True)
class Scope:
    """Names that a statement can see."""

    tables: list[Tree] = field(default_factory=list)
    target: Relation | None = None
    target_alias: str = ""
    excluded: dict[str, Tree] = field(default_factory=dict)
