"""How much a call takes, and whether there is enough."""

from __future__ import annotations

import re

from ._amounts import may_be_negative
from ._event import Event
from ._finding import identifier
from ._guards import (
    any_holds,
    compared,
    is_floored,
)
from ._judging import Judging, Move
from ._moves import Entry
from ._tree import Tree, walk


class Spends(Judging):
    """Finds amounts that may be negative, and spends without a limit."""

    def _amounts(self, entry: Entry, moves: list[Move], is_strong: bool) -> None:
        for move in moves:
            if any_holds(move.holds(), self.privileged) and is_strong:
                continue
            for atom in move.takes():
                conditions = [*move.holds(), *self._checks(entry, atom)]
                found = may_be_negative(atom, conditions)
                if found is None:
                    self._amounts_of_users(entry, move, atom, conditions, is_strong)
                    continue
                if found[0] in ("new", "old"):
                    if entry.relation is None or found[0] == "old":
                        continue
                    column = entry.relation.columns.get(found[1])
                    if column is None or not self.doors.may_write(entry.relation, column, entry.verb):
                        continue
                    label = found[1]
                else:
                    labels = [one for one in entry.routine.arguments if ("argument", one.nth) in walk(found)]
                    if not labels or labels[0].is_positive:
                        continue
                    label = labels[0].label
                verb, link = ("adds", "to") if move.worth == "used" else ("takes", "off")
                quoted = label if label.startswith("$") else identifier(label)
                self._add(
                    "amount_not_checked", "critical" if is_strong else "medium", entry,
                    f"It {verb} {label} {link} {move.column} of {move.event.table} without asking whether it is positive: a "
                    "negative one gives credits.",
                    note=f"  -- with -1000 for {label}",
                    mend=f"Begin it with: if {quoted} is null or {quoted} <= 0 then raise exception 'invalid amount'; end if;"
                    if found[0] == "argument" or entry.relation is None else
                    f"alter table {entry.relation.title} add check ({quoted} > 0);",
                )  # fmt: skip

    def _amounts_of_users(self, entry: Entry, move: Move, atom: Tree, conditions: list[Tree], is_strong: bool) -> None:
        """An amount that stands in a row which callers write, where it may be below zero."""
        if not is_strong or is_floored(atom, conditions):
            return
        for relation, target, asked in self._of_users(atom):
            if is_floored(target, [*conditions, *asked]):
                continue
            column = identifier(target[2])
            verb, link = ("adds", "to") if move.worth == "used" else ("takes", "off")
            self._add(
                "amount_not_checked", "critical", entry,
                f"It {verb} {target[2]} of {relation.title} {link} {move.column} of {move.event.table}, and callers write "
                f"{target[2]} themselves: a negative one gives credits.",
                note=f"  -- with -1000 for {target[2]}",
                mend=f"alter table {relation.title} add check ({column} > 0);",
            )  # fmt: skip
            return

    def _limits(self, entry: Entry, moves: list[Move], events: list[Event], is_strong: bool) -> None:
        if entry.relation is None and not entry.roles and not any(one.type for one in entry.routine.arguments):
            return
        for move in moves:
            if not move.takes() or move.worth not in ("counter", "json", "delta") or move.form is None:
                continue
            if move.worth == "counter" and move.form.old == "none" and move.event.verb == "update":
                continue
            if any_holds(move.holds(), self.privileged) or self._is_limited(entry, move, events, moves):
                continue
            severity = "medium" if not is_strong or move.form.floored else "high"
            self._add(
                "no_limit", severity, entry,
                f"It takes {move.column} of {move.event.table} and never asks whether there is enough: "
                + ("what lacks is given for nothing." if move.form.floored else "the balance goes below zero, and work goes on."),
                mend=f"Ask in the statement itself: … where … and {identifier(move.column)} >= …; and refuse when it found no "
                "row (if not found then raise exception …; end if;).",
            )  # fmt: skip
            return

    def _is_limited(self, entry: Entry, move: Move, events: list[Event], moves: list[Move]) -> bool:
        table, column = move.event.table, move.column
        relation = self.catalog.relation(table)
        keys = {(table, column)}
        if relation is not None:
            if any(re.search(rf"\b{re.escape(column)}\b.*?>=? ", check) for check in relation.checks):
                return True
            for trigger in relation.triggers:
                code = self.codes.read.get(trigger.function)
                if code is None:
                    continue
                if any(
                    self._asks_figure(part, keys) or any(n == ("new", column) for n in walk(part))
                    for stop in code.stops
                    for part in stop
                ):
                    return True
                for event in code.events:
                    if event.kind == "write":
                        for inner in self._moves(event):
                            if inner.event.table != table and self._is_limited(entry, inner, code.events, []):
                                return True
        # A balance kept beside a ledger is asked for both.
        for other in self.worth.kinds:
            if self.worth.kinds[other] in ("counter", "json", "delta", "used"):
                keys.add(other)
        keys |= {shown for shown, made_of in self.views.items() if made_of & keys}
        routine_code = self.codes.of(entry.routine)
        stops = [part for stop in (routine_code.stops if routine_code else ()) for part in stop]
        for part in [*move.holds(), *stops]:
            if self._asks_figure(part, keys) or any(
                node[0] == "returned" and node[1] == move.event.nth for node in walk(part)
            ):
                return True
        # Another spend of the same call has asked.
        return any(
            other.event.nth < move.event.nth and other.takes() and other.event.table != table
            and self._is_limited(entry, other, events, [])
            for other in moves
        )  # fmt: skip

    def _asks_figure(self, part: Tree, keys: set[tuple[str, str]]) -> bool:
        for node in walk(part):
            found = compared(node) if node[0] == "op" else None
            if found is not None and found[1] in ("<", "<=", ">", ">=", "<>"):
                if any(one[0] == "c" and (one[1], one[2]) in keys for one in walk(node)):
                    return True
            if node[0] == "call" and re.search(r"(has|check|enough|within|can)_", node[1]):
                return True
        return False
