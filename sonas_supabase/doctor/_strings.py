"""Statements that are put together when they run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

from ._catalog import DOCUMENTS, TEXTS
from ._event import Event
from ._finding import identifier, revoke_call
from ._guards import (
    any_holds,
    bare,
    is_argument,
)
from ._judging import Judging
from ._moves import Entry
from ._tree import Tree, walk


class Strings(Judging):
    """Finds what of the caller's goes into them as SQL, or as a name."""

    def _dynamic(self, entry: Entry, events: list[Event]) -> None:
        for event in events:
            if event.kind != "dynamic" or any_holds(event.holds(), self.privileged):
                continue
            for leaf in _pasted(event.value):
                labels = [one for one in entry.routine.arguments if ("argument", one.nth) in walk(leaf)]
                if not labels or labels[0].type not in (*TEXTS, *DOCUMENTS, 1009, 1015):
                    continue
                if any_holds(event.holds(), lambda part: part[0] == "in" and any(n == leaf for n in walk(part[1]))):  # noqa: B023
                    continue
                self._add(
                    "anyone_runs_sql", "critical", entry,
                    f"{self._how(entry)} executes {labels[0].label} as SQL: every balance, and every table, is the caller's.",
                    mend=revoke_call(entry.routine, self.catalog)
                    + "  -- or quote what goes in: execute format('… %I … $1', name) using value",
                )  # fmt: skip
                return

    def _names(self, entry: Entry, events: list[Event]) -> None:
        """Tables and columns that a caller names in a statement that is put together."""
        for event in events:
            if event.kind != "dynamic" or any_holds(event.holds(), self.privileged) or not _writes(event.value):
                continue
            for leaf in _named_in(event.value):
                labels = [one for one in entry.routine.arguments if ("argument", one.nth) in walk(leaf)]
                if not labels or any_holds(event.holds(), partial(_is_listed, leaf)):
                    continue
                self._add(
                    "anyone_runs_sql", "critical", entry,
                    f"{self._how(entry)} writes to the table or column that {labels[0].label} names: every balance is the caller's.",
                    mend=revoke_call(entry.routine, self.catalog)
                    + f"  -- or begin it with: if {identifier(labels[0].label)} not in ('…') then raise exception 'no such name'; "
                    "end if;",
                )  # fmt: skip
                return


def _pasted(value: Tree) -> Iterator[Tree]:
    """What of the caller's goes into a statement as it is, neither as a name nor as a value."""
    if value[0] in ("argument", "element"):
        yield value
    elif value[0] == "op" and value[1] == "||":
        yield from _pasted(value[2])
        yield from _pasted(value[3])
    elif value[0] == "op" and value[1] in ("->", "->>") and is_argument(value):
        yield value
    elif value[0] in ("coalesce", "either"):
        for one in value[1:]:
            yield from _pasted(one)
    elif value[0] == "call":
        name = value[1].rpartition(".")[2]
        if name in ("quote_ident", "quote_literal", "quote_nullable"):
            return
        if name == "format" and value[2] and value[2][0][0] == "const":
            marks = re.findall(r"%(?:(\d+)\$)?-?\d*([sIL])", str(value[2][0][1]))
            for nth, (place, kind) in enumerate(marks):
                at = int(place) if place else nth + 1
                if kind == "s" and at < len(value[2]):
                    yield from _pasted(value[2][at])
            return
        for one in value[2]:
            yield from _pasted(one)


def _is_listed(leaf: Tree, part: Tree) -> bool:
    """Whether a condition leaves a name only what a list has."""
    if part[0] == "in":
        return any(one == leaf for one in walk(part[1]))
    return part[0] == "op" and part[1] == "=" and leaf in (bare(part[2]), bare(part[3]))


def _writes(value: Tree) -> bool:
    """Whether a statement that is put together begins as one that writes."""
    first = next((str(one[1]) for one in walk(value) if one[0] == "const" and isinstance(one[1], str)), "")
    return bool(re.match(r"\s*(insert|update|delete|merge|truncate|alter|drop|grant)\b", first, re.IGNORECASE))


def _named_in(value: Tree) -> Iterator[Tree]:
    """What of the caller's goes into a statement as a name."""
    for one in walk(value):
        if one[0] != "call":
            continue
        name = one[1].rpartition(".")[2]
        if name == "quote_ident" and one[2] and is_argument(one[2][0]):
            yield bare(one[2][0])
        if name == "format" and one[2] and one[2][0][0] == "const":
            for nth, (place, kind) in enumerate(re.findall(r"%(?:(\d+)\$)?-?\d*([sIL])", str(one[2][0][1]))):
                at = int(place) if place else nth + 1
                if kind == "I" and at < len(one[2]) and is_argument(one[2][at]):
                    yield bare(one[2][at])
