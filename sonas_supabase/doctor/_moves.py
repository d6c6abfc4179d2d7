"""What a caller sets in motion: all writes that a function or trigger leads to, with the guards on the way there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ._calls import within
from ._catalog import Catalog, Relation, Routine
from ._code import Reader, read_code
from ._event import Code, Event, Scope
from ._tree import TRUE, NotReadable, Tree, replaced, select, statements, walk

DEEP = 5
"""How many functions a call may lead through."""

MOST_EVENTS = 500
"""What one call may lead to. Ten functions that each call ten others go five deep to 100,000 of them."""

HEAVIEST = 20_000
"""Conditions of all events that one call leads to."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A way in: a function that API roles call, or a trigger on rows that they write."""

    routine: Routine
    roles: tuple[str, ...]
    relation: Relation | None = None
    verb: str = ""
    sign_up: bool = False


class Codes:
    """The code of each function, read once."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.read: dict[int, Code] = {}
        self._at_work: set[int] = set()
        for routine in catalog.routines.values():
            self.of(routine)

    def of(self, routine: Routine) -> Code | None:
        """What a function does; None while it is being read, for functions that call themselves."""
        if routine.oid in self._at_work:
            return None
        if routine.oid not in self.read:
            self._at_work.add(routine.oid)
            try:
                self.read[routine.oid] = read_code(routine, self.catalog, self.of)
            finally:
                self._at_work.discard(routine.oid)
        return self.read[routine.oid]

    def expression_for(self, node: Tree, relation: Relation) -> Tree:
        """An expression of a policy with columns and functions as they are in code."""
        reader = Reader(self.shell(relation), self.catalog, self.of)
        return reader.value(node, (), Scope(target=relation, target_alias=relation.name))

    def view(self, view: Relation) -> Tree | None:
        """The query of a view, with columns and functions as they are in code; None where it cannot be read."""
        reader = Reader(self.shell(view), self.catalog, self.of)
        try:
            body = statements(view.definition or "")[0].get("SelectStmt")
            return None if body is None else reader.value(select(body), ())
        except (NotReadable, IndexError, RecursionError):
            return None

    @staticmethod
    def shell(relation: Relation) -> Routine:
        """A function without a body, in whose place a policy or a view is read."""
        return Routine(-1, relation.schema, "", "", "", "f", False, False, "sql", [], [], True, "select 1", False)

    def reached(self, entry: Routine) -> tuple[list[Event], bool]:
        """All that a call leads to, as if it stood in one body, and whether all of it could be read."""
        code = self.of(entry)
        if code is None:
            return [], False
        events: list[Event] = []
        weight = 0
        for event in self._expanded(code, entry.definer, 0, (entry.oid,)):
            weight += len(event.conditions)
            if len(events) == MOST_EVENTS or weight > HEAVIEST:
                return events, False
            events.append(event)
        return events, code.readable

    def _expanded(self, code: Code, definer: bool, depth: int, path: tuple[int, ...]) -> Iterator[Event]:
        offset = 0
        for event in code.events:
            shifted = _shifted(event, offset)
            yield shifted
            if event.kind != "call" or depth >= DEEP:
                continue
            callee = self.catalog.called(event.name, len(event.arguments))
            if callee is None or callee.oid in path or callee.is_trigger:
                continue
            inner = self.of(callee)
            if inner is None or not (definer or callee.definer):
                continue
            count = 0
            for one in self._expanded(inner, definer or callee.definer, depth + 1, (*path, callee.oid)):
                count = max(count, one.nth + 1)
                yield within(one, shifted, callee, shifted.nth + 1)
            offset += count


def figures_of_views(catalog: Catalog, codes: Codes) -> dict[tuple[str, str], set[tuple[str, str]]]:
    """Which columns of tables each column of a view is made of."""
    found: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for view in catalog.relations.values():
        tree = codes.view(view) if view.kind in ("v", "m") and not view.is_own and not view.of_extension else None
        for name, value in tree[1] if tree is not None and tree[0] == "select" else ():
            made_of = {(one[1], one[2]) for one in walk(value) if one[0] == "c"}
            if made_of:
                found[view.full, name] = made_of
    return found


def _shifted(event: Event, offset: int) -> Event:
    if not offset:
        return event

    def change(node: Tree) -> Tree | None:
        if node[0] in ("took", "returned") and isinstance(node[1], int):
            return (node[0], node[1] + offset, *node[2:])
        return None

    return replace(
        event,
        nth=event.nth + offset,
        conditions=tuple(replaced(one, change) for one in event.conditions),
        sets=tuple((column, replaced(value, change)) for column, value in event.sets),
        where=replaced(event.where, change) if event.where is not None else None,
        value=replaced(event.value, change),
        arguments=tuple(replaced(one, change) for one in event.arguments),
    )


def in_trigger(events: list[Event], entry: Entry) -> list[Event]:
    """The events of a trigger under the statement that runs it, with what a user cannot choose named as such."""

    def change(node: Tree) -> Tree | None:
        if node == ("col", ("tg_op",)):
            return ("const", entry.verb.upper())
        return None

    made = []
    for event in events:
        conditions = tuple(replaced(one, change) for one in event.conditions)
        if any(_is_false(one) for one in conditions):
            continue
        made.append(replace(event, conditions=conditions))
    return made


def _is_false(condition: Tree) -> bool:
    if condition[0] == "op" and condition[1] in ("=", "<>") and condition[2][0] == condition[3][0] == "const":
        return bool((condition[2] == condition[3]) is (condition[1] == "<>"))
    if condition[0] == "in" and condition[1][0] == "const" and all(one[0] == "const" for one in condition[2]):
        return condition[1] not in condition[2]
    if condition[0] == "or":
        return all(_is_false(one) for one in condition[1:])
    if condition[0] == "and":
        return any(_is_false(one) for one in condition[1:])
    return condition == ("not", TRUE)
