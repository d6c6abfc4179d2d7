"""Whose account a call acts on."""

from __future__ import annotations

from functools import partial

from ._catalog import DOCUMENTS, TEXTS, UUID
from ._event import Event
from ._finding import as_user, call_of, finding, identifier
from ._guards import (
    any_holds,
    bare,
    claim,
    compared,
    is_argument,
    is_caller,
    may_be_nobody,
)
from ._judging import Judging, Move
from ._moves import Entry
from ._tree import OR_NULL, Tree, parts_of, walk
from ._worth import OWNER, snake


class Whose(Judging):
    """Finds calls that act on the account of another user."""

    def _anybody(self, entry: Entry, moves: list[Move], calls: list[Event]) -> None:
        for move in moves:
            value = self._foreign_row(move)
            if value is not None and not self._is_pay_to(move, moves):
                self._acts_on(entry, value, move.holds())
        for event in calls:
            given = self._given(event)
            account = given.get("p_user_id", given.get(0))
            if account is None or (not is_argument(account) and account[0] != "sub"):
                continue
            if is_argument(account) and not any_holds(event.holds(), partial(self._ties, value=account)):
                self._acts_on(entry, account, event.holds())

    def _is_pay_to(self, move: Move, moves: list[Move]) -> bool:
        """Whether it gives another person what the caller loses."""
        return bool(move.gives()) and not move.takes() and self._is_paid(move, moves)

    def _foreign_row(self, move: Move) -> Tree | None:
        """What the caller passes to say whose row it is; None where the row is the caller's own."""
        event = move.event
        if event.verb == "insert":
            relation = self.catalog.relation(event.table)
            if any(is_caller(value) for _, value in event.sets):
                return None
            for column, value in event.sets:
                known = relation.columns.get(column) if relation is not None else None
                is_owner = OWNER.search(snake(column)) or (known is not None and known.type == UUID and not (
                    known.name == "id" and relation is not None and any(OWNER.search(snake(n)) for n in relation.columns if n != "id")
                ))  # fmt: skip
                if column != move.column and is_owner and is_argument(value) and value[0] != "sub":
                    return value
            return None
        chosen: Tree | None = None
        for part in parts_of(event.where):
            if (
                part[0] == "in"
                and part[1][0] == "c"
                and part[1][1] == event.table
                and any(is_argument(one) for one in part[2])
            ):
                chosen = chosen or next(one for one in part[2] if is_argument(one))
                continue
            if part[0] == "op" and part[1] == "= any" and part[2][0] == "c" and is_argument(part[3]):
                chosen = chosen or part[3]
                continue
            found = compared(part)
            if found is None or found[1] != "=":
                continue
            for side, other in ((found[0], found[2]), (found[2], found[0])):
                own = bare(side)
                if own[0] == "c" and own[1] == event.table and own[2] != move.column:
                    if is_caller(other):
                        return None
                    if is_argument(other):
                        chosen = chosen or other
        return chosen

    def _acts_on(self, entry: Entry, value: Tree, holds: list[Tree]) -> None:
        if any_holds(holds, partial(self._ties, value=value)):
            if "anon" in entry.roles and entry.relation is None:
                self._passes_null(entry, value, holds)
            return
        if value[0] == "new" or (any(node[0] == "new" for node in walk(value)) and entry.relation is not None):
            relation = entry.relation
            named = next(node[1] for node in walk(value) if node[0] == "new")
            if relation is None or named not in relation.columns or entry.verb == "delete":
                return
            if self.doors.rows_are_tied(relation, named, entry.verb) or not self.doors.may_write(
                relation, relation.columns[named], entry.verb
            ):
                return
        arguments = [one for one in entry.routine.arguments if ("argument", one.nth) in walk(value)]
        label = arguments[0].label if arguments else "row"
        if arguments and arguments[0].type not in (2950, 20, 21, 23, 1700, *TEXTS, *DOCUMENTS, 2951, 1009, 1015):
            return
        quoted = label if label.startswith("$") else identifier(label)
        self._add(
            "user_id_not_checked", "critical", entry,
            f"{self._how(entry)} acts on the {label} that it is passed, without comparing it with auth.uid(): callers can "
            "act on other people's.",
            note="  -- with another user's id",
            mend=self._close(entry) + f"  -- or begin it with: if {quoted} is distinct from auth.uid() then raise exception "
            "'not yours'; end if;",
        )  # fmt: skip

    def _passes_null(self, entry: Entry, value: Tree, holds: list[Tree]) -> None:
        """A comparison with auth.uid() that is null for who is not signed in, and then stops nobody."""

        def is_sure(part: Tree) -> bool:
            if part[0] == "not" and part[1][0] == "null" and is_caller(part[1][1]):
                return True
            if part[0] == "op" and part[1] == "=" and ("const", "authenticated") in (part[2], part[3]):
                return "role" in (claim(part[2]), claim(part[3]))
            if part[-1] == OR_NULL and any(may_be_nobody(side) for side in (part[2], part[3])):
                return False
            return self._ties(part, value=value)

        if any_holds(holds, is_sure):
            return
        labels = [one.label for one in entry.routine.arguments if ("argument", one.nth) in walk(value)]
        signed_in = [role for role in entry.routine.open_to if role != "anon"]
        again = f" grant execute on function {entry.routine.signature} to {', '.join(signed_in)};" if signed_in else ""
        if labels:
            trial = as_user("anon", call_of(entry.routine)).replace('"sub": "<id of some user>"', '"role": "anon"')
            self.findings.append(
                finding(
                    "user_id_not_checked", "critical", entry.routine.title,
                    "It compares with <> what the caller is or has, which is null for who is not signed in, and so stops nobody "
                    f"there: anon may call it and act on the {labels[0]} of others.",
                    f"{trial}  -- with a user's id",
                    f"revoke execute on function {entry.routine.signature} from public, anon;{again}  -- and write is distinct "
                    "from in place of <>",
                )
            )  # fmt: skip
