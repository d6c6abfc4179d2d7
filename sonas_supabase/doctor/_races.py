"""Two calls at the same time."""

from __future__ import annotations

import re

from ._amounts import reads
from ._catalog import Relation
from ._event import Event
from ._finding import call_of, finding, identifier
from ._judging import Judging, Move
from ._moves import Entry
from ._tree import Tree, parts_of, walk


class Races(Judging):
    """Finds figures that are read, judged and written without a lock."""

    def _races(self, entry: Entry, moves: list[Move], events: list[Event]) -> None:
        first_lock = min((event.nth for event in events if event.kind == "lock"), default=None)
        for move in moves:
            form = move.form
            if form is None or move.worth not in ("counter", "used", "json", "delta"):
                continue
            if first_lock is not None and first_lock < move.event.nth:
                continue
            table, column = move.event.table, move.column
            own = [
                part
                for part in [*parts_of(move.event.where), *form.conditions]
                if reads(part, table, column) and not self._is_stale(part, table, column)
            ]
            if own:
                continue
            if form.old == "stale" and form.terms and not self._is_locked(form.source):
                if not (form.takes_part()):
                    continue
                self._race(entry, move)
                return
            guards = [part for part in move.event.conditions if self._is_stale(part, table, column)]
            if not guards or not move.takes():
                continue
            if any(self._is_locked(node) for part in guards for node in walk(part) if node[0] == "sub"):
                continue
            relation = self.catalog.relation(table)
            if (
                form.old == "live"
                and relation is not None
                and any(re.search(rf"\b{re.escape(column)}\b.*>=", check) for check in relation.checks)
            ):
                continue
            if form.old == "live" or move.worth == "delta":
                if move.worth == "delta" and self._is_limited_by_trigger(relation):
                    continue
                self._race(entry, move)
                return

    def _is_limited_by_trigger(self, relation: Relation | None) -> bool:
        for trigger in relation.triggers if relation else ():
            code = self.codes.read.get(trigger.function)
            for event in code.events if code else ():
                if event.kind == "write":
                    for move in self._moves(event):
                        beside = self.catalog.relation(event.table)
                        if beside is not None and any(
                            move.column in check and ">=" in check for check in beside.checks
                        ):
                            return True
        return False

    @staticmethod
    def _is_locked(source: Tree | None) -> bool:
        return source is not None and source[0] == "sub" and bool(source[1][4])

    @staticmethod
    def _is_stale(part: Tree, table: str, column: str) -> bool:
        return any(node[0] == "sub" and reads(node, table, column) for node in walk(part))

    def _race(self, entry: Entry, move: Move) -> None:
        table, column = move.event.table, identifier(move.column)
        trial = call_of(entry.routine) if not entry.routine.is_trigger else "<the statement that runs the trigger>"
        self.findings.append(
            finding(
                "read_then_write", "high", entry.routine.title,
                f"It reads {column} of {table}, decides, and writes it, without a lock in between. Of two calls at the same time "
                "both see the same figure, and both spend it.",
                f"Call it from two sessions at once: begin; {trial}; in both, then commit; in both. Together they take one "
                "spend, or more than there is.",
                f"Do it in one statement: update {table} set {column} = {column} - … where … and {column} >= …; or read with: "
                "select … for update.",
            )
        )  # fmt: skip
