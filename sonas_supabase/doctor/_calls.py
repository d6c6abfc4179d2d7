"""A called function's trees in the place of the call."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ._catalog import Routine
from ._event import Event
from ._tree import (
    NOTHING,
    Tree,
    replaced,
)


def either(*values: Tree | None) -> Tree:
    """One of these values."""
    flat: list[Tree] = []
    for value in values:
        for one in value[1:] if value is not None and value[0] == "either" else (value,):
            if one is not None and one not in flat:
                flat.append(one)
    if len(flat) > 6:
        return NOTHING
    return ("either", *flat) if len(flat) > 1 else flat[0] if flat else NOTHING


def in_order(given: tuple[Tree, ...], callee: Routine) -> tuple[Tree, ...]:
    """The arguments of a call in the order of the function's own, named ones too."""
    places = {one.name: one.nth - 1 for one in callee.arguments}
    ordered: list[Tree] = [("default",)] * len(callee.arguments)
    for nth, one in enumerate(given):
        if one[0] == "named":
            if one[1] in places:
                ordered[places[one[1]]] = one[2]
        elif nth < len(ordered):
            ordered[nth] = one
    return tuple(ordered)


def filled(node: Any, given: tuple[Tree, ...], callee: Routine) -> Any:
    """A tree of the called function with what the caller passes in place of its arguments."""

    def change(one: Tree) -> Tree | None:
        if one[0] == "argument":
            nth = one[1] - 1
            if nth < len(given):
                value = given[nth]
                if callee.arguments[nth].is_positive:
                    return ("greatest", value, ("const", 1))
                return value
            return ("default",)
        return None

    return replaced(node, change)


def within(event: Event, call: Event, callee: Routine, offset: int) -> Event:
    """An event of a called function, as the caller's own."""
    given = call.arguments

    def change(node: Any) -> Any:
        found = filled(node, given, callee)

        def shifted(one: Tree) -> Tree | None:
            if one[0] in ("took", "returned") and isinstance(one[1], int):
                return (one[0], one[1] + offset, *one[2:])
            return None

        return replaced(found, shifted) if given or offset else found

    return replace(
        event,
        nth=event.nth + offset,
        conditions=(*call.conditions, *(change(one) for one in event.conditions)),
        sets=tuple((column, change(value)) for column, value in event.sets),
        where=change(event.where) if event.where is not None else None,
        arguments=tuple(change(one) for one in event.arguments),
        value=change(event.value),
        path=(callee.name, *event.path),
    )
