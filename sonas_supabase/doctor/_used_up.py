"""Whether a gift is used up: whether a second call finds that the first has been there."""

from __future__ import annotations

from ._amounts import leaves
from ._event import Event
from ._guards import (
    compared,
    is_caller,
)
from ._judging import Judging, Move
from ._moves import Entry
from ._tree import Tree, parts_of, walk


class UsedUp(Judging):
    """Looks for what a call leaves behind and asks for."""

    def _is_used_up(self, entry: Entry, move: Move, events: list[Event]) -> bool:
        """Whether a second call would find that the first has been there."""
        holds = move.holds()
        nodes = [node for part in holds for node in walk(part)]
        nodes += [node for atom in move.gives() for node in walk(atom)]
        changed: set[tuple[str, str]] = set()
        added: set[str] = set()
        for event in events:
            if event.kind != "write":
                continue
            for column, value in event.sets:
                if event.verb == "update" and self.worth.of(event.table, column) not in ("counter", "used", "json"):
                    if not (value[0] == "const" and ("c", event.table, column) == value):
                        changed.add((event.table, column))
            if event.verb in ("insert", "delete") and self.worth.of(event.table, "amount") is None:
                added.add(event.table)
            if event.verb == "insert":
                added.add(event.table)
            # A key that lets it be written once stops the second call.
            relation = self.catalog.relation(event.table)
            if event.verb == "insert" and event.yields and relation is not None and event.nth != move.event.nth:
                fixed = {
                    column for column, value in event.sets
                    if not any(node[0] == "call" and node[1].rpartition(".")[2] in ("gen_random_uuid", "uuid_generate_v4", "random", "now", "clock_timestamp") for node in walk(value))
                    and (is_caller(value) or value[0] in ("const", "new") or not self._is_free_key(value))
                }  # fmt: skip
                if any(key and key <= fixed for key in relation.keys):
                    return True
        # What was changed under a condition on what is changed.
        for event in events:
            if event.kind == "write" and event.verb in ("update", "delete") and event.where is not None:
                state = event.verb == "delete" or any(
                    node[0] == "c" and (node[1], node[2]) in changed and node[1] == event.table
                    and any(column == node[2] for column, _ in event.sets)
                    for part in parts_of(event.where) if not self._is_row(part, event, node_key=True)
                    for node in walk(part)
                )  # fmt: skip
                marks = any(node[0] in ("took", "returned") and node[1] == event.nth for node in nodes)
                marks = marks or any(
                    node == ("rows", one) for node in nodes for one in (("took", event.nth, event.table, event.verb),)
                )
                if state and (marks or event.nth == move.event.nth):
                    return True
        for part in holds:
            for node in walk(part):
                if node[0] == "c" and (node[1], node[2]) in changed and self._is_state(part, node):
                    return True
                if node[0] == "table" and node[1] in added and part[0] in ("not", "exists", "op", "in", "null"):
                    return True
                if node[0] == "took" and node[3] == "insert":
                    return True
        if entry.relation is not None:
            return self._happens_once(entry, move)
        return False

    def _is_free_key(self, value: Tree) -> bool:
        return any(node[0] == "argument" for node in walk(value)) and value[0] != "argument"

    def _is_state(self, part: Tree, node: Tree) -> bool:
        """A condition on a state, and not on whose row it is."""
        found = compared(part)
        if found is None:
            return True
        left, operator, right = found
        return not (
            operator == "=" and (is_caller(left) or is_caller(right) or left[0] == "argument" or right[0] == "argument")
        )

    def _is_row(self, part: Tree, event: Event, node_key: bool = False) -> bool:
        found = compared(part)
        if found is None or found[1] != "=":
            return False
        left, _, right = found
        return is_caller(left) or is_caller(right) or right[0] == "argument" or left[0] == "argument"

    def _happens_once(self, entry: Entry, move: Move) -> bool:
        """Whether the row that runs a trigger can be there once for each user."""
        relation = entry.relation
        if (
            relation is None
            or entry.verb != "insert"
            or any(leaf[0] == "new" for atom in move.gives() for leaf in leaves(atom))
        ):
            return False
        tied = {name for name in relation.columns if self.doors.rows_are_tied(relation, name, "insert")}
        return any(key and key <= tied for key in relation.keys)
