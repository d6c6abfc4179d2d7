"""What all judges of functions share: the ways in, the writes to something of worth, and how a finding is told."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sonas_supabase import Finding

from ._amounts import Form, forms, leaves, same_amount
from ._catalog import NUMBERS, Catalog, Relation
from ._doors import Doors
from ._event import Event
from ._finding import as_user, call_of, closing, finding, insert_into, revoke_call, whoever
from ._guards import (
    is_argument,
    is_privileged,
    of_caller,
    ties,
)
from ._moves import Codes, Entry, figures_of_views
from ._tree import Tree, parts_of, walk
from ._worth import PERSONS, Worth

MOVING = {
    "consume_credits", "consume_credits_batch", "reserve_credits", "capture_credits", "release_credits",
    "refund_credits", "grant_credits", "revoke_grant", "change_plan", "reset_monthly_credits", "freeze_account",
    "unfreeze_account", "set_subscription_status", "extend_reservation",
}  # fmt: skip
"""Functions of the credit system that move something of the account that is named first."""


@dataclass(frozen=True, slots=True)
class Move:
    """A write to something of worth, as one of the ways in which its value may come about."""

    event: Event
    column: str
    worth: str
    value: Tree
    form: Form | None

    def holds(self) -> list[Tree]:
        """What is sure when it happens."""
        return [*self.event.holds(), *(self.form.conditions if self.form else ())]

    def gives(self) -> list[Tree]:
        """The amounts by which the caller is better off."""
        if self.form is None:
            return []
        if self.worth == "used":
            # What was used, set back to nothing.
            is_reset = self.form.old == "none" and self.event.verb == "update" and not self.form.takes_part()
            return [("const", 1)] if is_reset else self.form.minus()
        return self.form.plus()

    def takes(self) -> list[Tree]:
        """The amounts by which the caller is worse off."""
        if self.form is None:
            return []
        return self.form.plus() if self.worth == "used" else self.form.minus()


class Judging:
    """What is known of the project, and what has been found."""

    def __init__(self, catalog: Catalog, codes: Codes, worth: Worth, doors: Doors) -> None:
        self.catalog, self.codes, self.worth, self.doors = catalog, codes, worth, doors
        self.findings: list[Finding] = []
        self.lists = self._lists()
        self.views = figures_of_views(catalog, codes)

    def privileged(self, part: Tree) -> bool:
        """Whether a condition lets through only who the project itself has set apart, a list of its own included."""
        if is_privileged(part):
            return True
        select = part[1] if part[0] == "exists" else None
        if part[0] == "not" and part[1][0] == "null" and part[1][1][0] == "sub":
            select = part[1][1][1]
        if select is None or select[0] != "select" or len(select[2]) != 1 or select[2][0][0] != "table":
            return False
        return select[2][0][1] in self.lists and of_caller(select[3]) and not is_argument(select)

    def _ties(self, part: Tree, *, value: Tree) -> bool:
        """Whether a condition says that a value is the caller's, or that the caller may act on all."""
        return ties(part, value) or self.privileged(part)

    def _lists(self) -> set[str]:
        """Small tables of people that neither API roles nor any function of the project write."""
        written = {event.table for code in self.codes.read.values() for event in code.events if event.kind == "write"}
        return {
            relation.full
            for relation in self.catalog.relations.values()
            if relation.is_table
            and relation.full not in written
            and len(relation.columns) <= 3
            and not PERSONS.search(relation.name)
            and not self.worth.columns(relation.full)
            and not any(self.doors.doors(relation, verb) for verb in ("insert", "update"))
        }

    def entries(self) -> Iterator[Entry]:
        """The functions that API roles call with an owner's rights, and the triggers that their rows run."""
        for routine in self.catalog.routines.values():
            if not routine.is_trigger and routine.open_to:
                yield Entry(routine, tuple(routine.open_to))
        for relation in self.catalog.relations.values():
            for trigger in relation.triggers:
                run = self.catalog.routines.get(trigger.function)
                if run is None:
                    continue
                for verb in ("insert", "update", "delete"):
                    roles = self.doors.doors(relation, verb) if trigger.runs_at(verb) else ()
                    if roles:
                        yield Entry(run, roles, relation, verb)

    def _is_strong(self, entry: Entry, events: list[Event]) -> bool:
        """Whether it does what its caller could not do without it."""
        if not entry.roles:
            return False
        if entry.routine.definer:
            return True
        return any(event.path and (r := self._routine(event.path[0])) is not None and r.definer for event in events)

    def _routine(self, name: str) -> Any:
        found = self.catalog.by_name.get(name)
        return found[0] if found else None

    def _own(self, name: str) -> str:
        schema, _, short = name.rpartition(".")
        known = short in self.catalog.own_functions and schema in ("", "public")
        return short if known else ""

    @staticmethod
    def _given(event: Event) -> dict[Any, Tree]:
        given: dict[Any, Tree] = {}
        for nth, one in enumerate(event.arguments):
            if one[0] == "named":
                given[one[1]] = one[2]
            else:
                given[nth] = one
        return given

    def _moves(self, event: Event) -> Iterator[Move]:
        for column, value in event.sets:
            kind = self.worth.of(event.table, column)
            if kind is None:
                continue
            if kind in ("plan", "role"):
                yield Move(event, column, kind, value, None)
                continue
            if kind == "json" and not self._touches_json(value):
                continue
            for form in forms(value, event.table, column):
                yield Move(event, column, kind, value, form)

    def _touches_json(self, value: Tree) -> bool:
        keys = [str(one[1]) for one in walk(value) if one[0] == "const" and isinstance(one[1], str)]
        return any(re.search(r"credits?|balance|coins|points|tokens|quota", key) for key in keys) or is_argument(value)

    def _of_users(self, atom: Tree) -> list[tuple[Relation, Tree, list[Tree]]]:
        """Columns of rows that API roles write and an amount is read from, with what is asked of each."""
        found = []
        for node in walk(atom):
            if node[0] == "sub":
                targets, where = node[1][1], node[1][3]
            elif node[0] == "returned":
                targets, where = node[3], None
            else:
                continue
            for target in (one for _, value in targets for one in walk(value) if one[0] == "c"):
                relation = self.catalog.relation(target[1])
                column = relation.columns.get(target[2]) if relation is not None else None
                if relation is None or column is None or not relation.is_table or column.type not in NUMBERS:
                    continue
                if any(self.doors.may_write(relation, column, verb) for verb in ("insert", "update")):
                    found.append((relation, target, [*parts_of(where), *checks_of(relation, target)]))
        return found

    def _is_paid(self, move: Move, moves: list[Move]) -> bool:
        """Whether somebody pays as much as is given: a transfer, or a pack for its price."""
        for other in moves:
            if (
                other is move
                or not other.takes()
                or (other.event.nth == move.event.nth and other.column == move.column)
            ):
                continue
            # What is paid under other conditions than it is given is not paid for this.
            held = {*move.event.conditions, *(move.form.conditions if move.form else ())}
            if not {*other.event.conditions, *(other.form.conditions if other.form else ())} <= held:
                continue
            for price in other.takes():
                for gift in move.gives():
                    if same_amount(price, gift):
                        return True
                    if (
                        price[0] == "sub"
                        and gift[0] in ("sub", "const")
                        and not leaves(gift)
                        and other.event.table != move.event.table
                    ):
                        return same_amount(price, gift)
                    if price[0] == gift[0] == "const":
                        return isinstance(price[1], int | float) and price[1] > 0
        return False

    def _checks(self, entry: Entry, atom: Tree) -> list[Tree]:
        """What the table's own checks say about a row that a trigger sees."""
        relation = entry.relation
        return [] if relation is None else floors_of(relation, lambda name: ("new", name))

    def _add(self, code: str, severity: str, entry: Entry, meaning: str, *, mend: str, note: str = "") -> None:
        self.findings.append(finding(code, severity, entry.routine.title, meaning, self._try(entry) + note, mend))

    def _try(self, entry: Entry) -> str:
        if not entry.roles:
            return f"begin; {call_of(entry.routine)}; rollback;" if not entry.routine.is_trigger else (
                f"select pg_get_functiondef('{entry.routine.signature}'::regprocedure);"
            )  # fmt: skip
        role = entry.roles[-1]
        if entry.relation is None:
            return as_user(role, call_of(entry.routine))
        if entry.verb == "insert":
            return as_user(role, insert_into(entry.relation, None, ""))
        if entry.verb == "delete":
            return as_user(role, f"delete from {entry.relation.title} where <a column> = <a value>")
        return as_user(role, f"update {entry.relation.title} set <a column> = <a value>")

    def _close(self, entry: Entry) -> str:
        if entry.relation is None:
            return revoke_call(entry.routine, self.catalog)
        return f"revoke {entry.verb} on table {entry.relation.title} from {closing(self.catalog)};"

    def _how(self, entry: Entry) -> str:
        if entry.relation is None:
            return f"{whoever(entry.roles)} may call it over the API. It runs with its owner's rights and"
        return (
            f"{whoever(entry.roles)} may {entry.verb} rows of {entry.relation.title} over the API, and each runs this "
            "trigger. It has its owner's rights and"
        )


def checks_of(relation: Relation, target: Tree) -> list[Tree]:
    return floors_of(relation, lambda name: ("c", target[1], name))


def floors_of(relation: Relation, made: Callable[[str], Tree]) -> list[Tree]:
    """What a table's checks say of how small a figure may be."""
    found = (re.search(r'\(*"?(\w+)"?\)*(?:::[\w ]+)? (>=?) \(?\'?(\d+)', text) for text in relation.checks)
    return [("op", one[2], made(one[1]), ("const", int(one[3]))) for one in found if one]
