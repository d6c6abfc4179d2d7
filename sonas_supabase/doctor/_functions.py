"""Who can reach a write to a balance, a plan or a role: by which call, with which amount, past which guards."""

from __future__ import annotations

from typing import Any

from sonas_supabase import Finding

from ._client_prices import ClientPrices
from ._finding import finding, identifier
from ._gifts import Gifts
from ._judging import MOVING
from ._metadata import metadata_key, trusting
from ._moves import Entry, in_trigger
from ._races import Races
from ._spends import Spends
from ._strings import Strings
from ._tree import Tree
from ._whose import Whose


class Functions(Gifts, Whose, Spends, Races, ClientPrices, Strings):
    """Judges every way in."""

    def judge(self) -> list[Finding]:
        """All findings about code."""
        entered: set[int] = set()
        for entry in self.entries():
            entered.add(entry.routine.oid)
            self._judge(entry)
        for routine in self.catalog.routines.values():
            if routine.oid not in entered and not self._is_reached(routine.oid):
                self._judge(Entry(routine, ()))
        for routine in self.catalog.routines.values():
            self._text(routine)
        return self.findings

    def _is_reached(self, oid: int) -> bool:
        """Whether a function is judged as a part of what calls it."""
        if not hasattr(self, "_callees"):
            callees: set[int] = set()
            for routine in self.catalog.routines.values():
                code = self.codes.of(routine)
                for event in code.events if code else ():
                    callee = self.catalog.called(event.name, len(event.arguments)) if event.kind == "call" else None
                    if (
                        callee is not None
                        and (routine.definer or callee.definer)
                        and (routine.open_to or routine.is_trigger)
                    ):
                        callees.add(callee.oid)
            self._callees = callees
        return oid in self._callees

    def _judge(self, entry: Entry) -> None:
        events, readable = self.codes.reached(entry.routine)
        if entry.relation is not None:
            events = in_trigger(events, entry)
        if not readable and entry.roles and entry.routine.definer:
            self._add(
                "code_not_read", "info", entry,
                "Its text could not be read as SQL, so nothing is said about it.", mend="Read it.",
            )  # fmt: skip
        is_strong = self._is_strong(entry, events)
        moves = [move for event in events if event.kind == "write" for move in self._moves(event)]
        calls = [event for event in events if event.kind == "call" and self._own(event.name) in MOVING]
        if is_strong:
            self._gives(entry, moves, events)
            self._plans(entry, moves, events)
            self._own_gifts(entry, calls)
            self._anybody(entry, moves, calls)
            self._dynamic(entry, events)
            self._names(entry, events)
        self._amounts(entry, moves, is_strong)
        self._limits(entry, moves, events, is_strong)
        self._races(entry, moves, events)
        self._prices(entry, moves, calls, is_strong)

    def _text(self, routine: Any) -> None:
        code = self.codes.of(routine)
        trees: list[Tree] = []
        for event in code.events if code else ():
            trees += [*event.conditions, *(value for _, value in event.sets), event.value, *event.arguments]
            trees += [event.where] if event.where is not None else []
        for conditions, _, value in code.new if code else ():
            trees += [*conditions, value]
        for stop in code.stops if code else ():
            trees += stop
        key = metadata_key(trees)
        if key is not None:
            self.findings.append(trusting(routine.title, key))
        if routine.definer and not routine.has_search_path and (routine.open_to or routine.is_trigger):
            path = ", ".join(dict.fromkeys([identifier(routine.schema), "public", "extensions"]))
            kind = "procedure" if routine.kind == "p" else "function"
            self.findings.append(
                finding(
                    "definer_without_search_path", "medium", routine.title,
                    "It runs with its owner's rights and looks names up in the caller's search_path: a caller who can create a "
                    "table or function in a schema there decides what it does.",
                    f"select proconfig from pg_proc where oid = '{routine.signature}'::regprocedure;  -- no search_path in it",
                    f"alter {kind} {routine.signature} set search_path = {path}, pg_temp;  -- or '', once every name in it is "
                    "written with its schema",
                )
            )  # fmt: skip
