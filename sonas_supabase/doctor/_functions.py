"""Who can reach a write to a balance, a plan or a role: by which call, with which amount, past which guards."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from sonas_supabase import Finding

from ._amounts import Form, forms, leaves, may_be_negative, reads, same_amount
from ._catalog import DOCUMENTS, NUMBERS, TEXTS, UUID, Catalog, Relation
from ._code import Event
from ._doors import Doors
from ._finding import as_user, call_of, closing, finding, identifier, insert_into, revoke_call, whoever
from ._guards import (
    any_holds,
    bare,
    compared,
    is_argument,
    is_caller,
    is_floored,
    is_privileged,
    may_be_nobody,
    of_caller,
    ties,
)
from ._moves import Codes, Entry, figures_of_views, in_trigger
from ._tree import NOTHING, OR_NULL, Tree, parts_of, walk
from ._worth import OWNER, PERSONS, Worth, is_personal, snake

MOVING = {
    "consume_credits", "consume_credits_batch", "reserve_credits", "capture_credits", "release_credits",
    "refund_credits", "grant_credits", "revoke_grant", "change_plan", "reset_monthly_credits", "freeze_account",
    "unfreeze_account", "set_subscription_status", "extend_reservation",
}  # fmt: skip
"""Functions of the credit system that move something of the account that is named first."""

_GIVING = {"grant_credits", "refund_credits", "change_plan", "reset_monthly_credits", "set_subscription_status"}
_SPENDING = {"consume_credits", "reserve_credits"}
_LOWEST = {
    "free",
    "basic",
    "none",
    "inactive",
    "canceled",
    "cancelled",
    "expired",
    "user",
    "member",
    "default",
    "viewer",
    "guest",
}
_METADATA = re.compile(r"(raw_)?user_meta_?data")
_METADATA_KEYS = re.compile(
    r"^((is_|has_)?(plan|tier|subscription[a-z_]*|credits?|balance|roles?|super_?admin|admin|staff|moderator|operator|employee|"
    r"internal|tester|pro|premium|paid|vip|unlimited)|permissions?|entitlements?|[a-z_]*(quota|allowance|_limit|_credits))$"
)


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


class Functions:
    """Judges every way in."""

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

    # One way in

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
        moves += list(self._added_rows(events))
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

    def _added_rows(self, events: list[Event]) -> Iterator[Move]:
        return iter(())

    # Findings

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

    # Credits and plans for nothing

    def _gives(self, entry: Entry, moves: list[Move], events: list[Event]) -> None:
        gifts = [move for move in moves if move.gives() and move.worth != "plan" and self._is_gift(entry, move)]
        open_gifts = []
        for move in gifts:
            if any_holds(move.holds(), self.privileged):
                continue
            if self._is_paid(move, moves):
                continue
            open_gifts.append(move)
        if not open_gifts:
            return
        # How much a row says that callers write themselves is theirs to choose, also when each row counts once.
        chosen = [move for move in open_gifts if any(self._of_users(atom) for atom in move.gives())]
        free = chosen or [move for move in open_gifts if not self._is_used_up(entry, move, events)]
        move = (free or open_gifts)[0]
        what = f"{move.column} of {move.event.table}"
        does = "lowers" if move.worth == "used" else "raises"
        if not free:
            self._add(
                "credits_on_conditions", "low", entry,
                f"{self._how(entry)} {does} {what}: what keeps it from being called again and again are the "
                "conditions in it. Read them.",
                note="  -- twice", mend=self._close(entry) + "  -- or leave it, if it gives each thing once, also to two "
                "calls at the same time",
            )  # fmt: skip
            return
        if self._is_refund(move, events) and not self._is_used_up(entry, move, events):
            self._add(
                "refund_repeats", "critical", entry,
                f"{self._how(entry)} {does} {what} by what a row of the caller's says, and leaves the row as it is: "
                "each call gives the same credits again.",
                note="  -- twice", mend="Mark the row in the same call and go on only if that found one: update … set "
                "refunded_at = now() where id = … and refunded_at is null; if not found then raise exception …; end if;",
            )  # fmt: skip
            return
        paid = [
            other
            for other in moves
            if (other.takes() and other.event.table != move.event.table) or other.column != move.column
        ]
        paid = [other for other in paid if other.takes()]
        if paid and any(leaves(atom) for atom in move.gives()):
            self._add(
                "client_names_price", "critical", entry,
                f"{self._how(entry)} raises {what} by what the caller says, for a price that the caller says as well.",
                mend="Look amount and price up in a table by the id of what is bought.",
            )  # fmt: skip
            return
        does = "sets" if move.form is not None and move.form.old == "none" else does
        self._add(
            "anyone_gets_credits", "critical", entry,
            f"{self._how(entry)} {does} {what}, and does not ask for more than a signed-in user: the caller has credits for "
            "nothing.",
            mend=self._close(entry) + "  -- then call it with the secret key",
        )  # fmt: skip

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
                    found.append((relation, target, [*parts_of(where), *_checks_of(relation, target)]))
        return found

    def _is_gift(self, entry: Entry, move: Move) -> bool:
        event, form = move.event, move.form
        if form is None:
            return False
        relation = self.catalog.relation(event.table)
        amounts = move.gives()
        # A figure that its own conditions keep from being positive gives nothing.
        if all(is_floored(atom, move.holds(), below=True) for atom in amounts):
            return False
        if entry.relation is not None and all(self._is_left_out(entry, entry.relation, atom) for atom in amounts):
            return False
        if event.verb == "insert" and move.worth in ("counter", "used", "json") and relation is not None:
            if any(leaves(atom) for atom in amounts):
                return True
            # A first row with what everybody begins with: its key lets there be one.
            named = {column for column, value in event.sets if is_caller(value) or value[0] in ("new", "returned")}
            return not any(key and key <= named for key in relation.keys)
        return True

    def _is_left_out(self, entry: Entry, relation: Relation, atom: Tree) -> bool:
        """Whether an amount is a column of the user's row that a user cannot write and nothing else fills."""
        column = relation.columns.get(atom[1]) if atom[0] == "new" else None
        if column is None or column.default is not None or entry.verb != "insert":
            return False
        return not self.doors.may_write(relation, column, "insert")

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

    def _is_refund(self, move: Move, events: list[Event]) -> bool:
        """Whether the amount stands in a row of the caller's own, which a call names."""
        for atom in move.gives():
            if atom[0] == "sub" and any(node[0] == "argument" for node in walk(atom)):
                tables = [one[1] for one in atom[1][2] if one[0] == "table"]
                for table in tables:
                    relation = self.catalog.relation(table)
                    if (
                        relation is not None
                        and is_personal(relation)
                        and not re.search(r"(pack|package|product|price|plan|tier)s?$", relation.name)
                    ):
                        return True
        return False

    def _plans(self, entry: Entry, moves: list[Move], events: list[Event]) -> None:
        for move in moves:
            if move.worth not in ("plan", "role"):
                continue
            value = bare(move.value)
            if any_holds(move.holds(), self.privileged) or self._is_harmless_value(entry, move, value):
                continue
            if any(other.takes() for other in moves):
                continue
            what = "role" if move.worth == "role" else "plan"
            chosen = is_argument(value) and value[0] != "sub"
            if not chosen and self._is_used_up(entry, move, events):
                continue
            self._add(
                f"anyone_gets_{what}", "critical", entry,
                f"{self._how(entry)} sets {move.column} of {move.event.table} to "
                f"{'what it is passed' if chosen else 'what pays or may more'}: the caller has a {what} for nothing.",
                mend=self._close(entry) + "  -- then call it with the secret key",
            )  # fmt: skip

    def _is_harmless_value(self, entry: Entry, move: Move, value: Tree) -> bool:
        if value[0] == "either":
            return all(self._is_harmless_value(entry, move, bare(one)) for one in value[1:])
        if value[0] == "case":
            return all(self._is_harmless_value(entry, move, bare(one)) for one in (*(r for _, r in value[1]), value[2]))
        if value[0] == "const":
            return value[1] in (None, False) or str(value[1]).lower() in _LOWEST
        if value[0] in ("default", "c", "unknown"):
            return True
        if value[0] == "new":
            relation = entry.relation
            if relation is None or value[0] == "old":
                return True
            column = relation.columns.get(value[1])
            return column is None or not self.doors.may_write(relation, column, entry.verb)
        if value[0] == "call":
            return not any(node[0] in ("argument", "new") for node in walk(value))
        if value[0] == "sub":
            # Read from a table by something that the caller passes: a code, a pack, an invitation.
            return not any(node[0] == "argument" for node in walk(value))
        if value[0] == "argument":
            kept = [part for part in move.holds() if part[0] == "in" and bare(part[1]) == value]
            kept += [
                part
                for part in move.holds()
                if part[0] == "op" and part[1] == "=" and value in (bare(part[2]), bare(part[3]))
            ]
            for part in kept:
                allowed = part[2] if part[0] == "in" else (part[3] if bare(part[2]) == value else part[2],)
                if all(one[0] == "const" and str(one[1]).lower() in _LOWEST for one in allowed):
                    return True
            return False
        if value[0] in ("returned", "record", "field", "old"):
            return True
        return not is_argument(value)

    def _own_gifts(self, entry: Entry, calls: list[Event]) -> None:
        for event in calls:
            name = self._own(event.name)
            if name not in _GIVING or any_holds(event.holds(), self.privileged):
                continue
            given = self._given(event)
            if name == "grant_credits":
                key = given.get("p_idempotency_key", given.get(6))
                fixed = key is not None and key[0] not in ("default",) and key != ("const", None) and not any(
                    node[0] in ("argument", "new") or (node[0] == "call" and node[1] in ("gen_random_uuid", "now", "random", "clock_timestamp"))
                    for node in walk(key)
                )  # fmt: skip
                if fixed:
                    continue
            if name == "change_plan":
                plan = given.get("p_plan_id", given.get(1, NOTHING))
                if plan[0] == "const" and str(plan[1]).lower() in _LOWEST:
                    continue
                if entry.relation is not None and plan[0] == "new":
                    pass
            if name == "set_subscription_status":
                status = given.get("p_status", given.get(1, NOTHING))
                if status[0] == "const" and str(status[1]) not in ("active", "trialing"):
                    continue
            if (
                entry.relation is None
                and name in ("grant_credits",)
                and any(node[0] in ("took", "returned") for part in event.conditions for node in walk(part))
            ):
                continue
            does = {
                "grant_credits": "grants credits", "refund_credits": "refunds operations", "change_plan": "changes the plan",
                "reset_monthly_credits": "restarts the allowance", "set_subscription_status": "says that it is paid for",
            }[name]  # fmt: skip
            self._add(
                "anyone_gets_credits", "critical", entry,
                f"{self._how(entry)} {does}, and does not ask for more than a signed-in user: the caller has credits for nothing.",
                mend=self._close(entry) + "  -- then call it with the secret key",
            )  # fmt: skip

    @staticmethod
    def _given(event: Event) -> dict[Any, Tree]:
        given: dict[Any, Tree] = {}
        for nth, one in enumerate(event.arguments):
            if one[0] == "named":
                given[one[1]] = one[2]
            else:
                given[nth] = one
        return given

    # Whose

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
            if part[-1] == OR_NULL and any(may_be_nobody(side) for side in (part[2], part[3])):
                return False
            return self._ties(part, value=value)

        if any_holds(holds, is_sure):
            return
        labels = [one.label for one in entry.routine.arguments if ("argument", one.nth) in walk(value)]
        signed_in = [role for role in entry.routine.open_to if role != "anon"]
        again = f" grant execute on function {entry.routine.signature} to {', '.join(signed_in)};" if signed_in else ""
        if labels:
            self._add(
                "user_id_not_checked", "critical", entry,
                f"It compares with <> what the caller is or has, which is null for who is not signed in, and so stops nobody "
                f"there: anon may call it and act on the {labels[0]} of others.",
                note="  -- with a user's id, and without a sub in the claims",
                mend=f"revoke execute on function {entry.routine.signature} from public, anon;{again}  -- and write is distinct "
                "from in place of <>",
            )  # fmt: skip

    # How much

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

    def _checks(self, entry: Entry, atom: Tree) -> list[Tree]:
        """What the table's own checks say about a row that a trigger sees."""
        relation = entry.relation
        return [] if relation is None else _floors_of(relation, lambda name: ("new", name))

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

    # Twice at the same time

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

    # Which price

    def _prices(self, entry: Entry, moves: list[Move], calls: list[Event], is_strong: bool) -> None:
        if not is_strong or entry.relation is not None:
            return
        for move in moves:
            if any_holds(move.holds(), self.privileged) or any(other.gives() and not other.takes() for other in moves):
                continue
            for atom in move.takes():
                if atom[0] == "argument" or leaves(atom):
                    self._named_price(entry, leaves(atom) or [atom])
                    return
        for event in calls:
            if self._own(event.name) in _SPENDING:
                given = self._given(event)
                amount = given.get("p_amount", given.get(2))
                if amount is not None and leaves(amount):
                    self._named_price(entry, leaves(amount))
                    return

    def _named_price(self, entry: Entry, found: list[Tree]) -> None:
        labels = [
            one.label for one in entry.routine.arguments if any(("argument", one.nth) in walk(leaf) for leaf in found)
        ]
        if labels:
            self._add(
                "client_names_price", "low", entry,
                f"{whoever(entry.roles)} may call it over the API and say with {labels[0]} how much the work costs. A caller who "
                "says less, or calls it for nothing, pays less.",
                mend="Where the work is done by a backend, let the backend charge for it: "
                + revoke_call(entry.routine, self.catalog),
            )  # fmt: skip

    # What is run, and as whom

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


def _checks_of(relation: Relation, target: Tree) -> list[Tree]:
    return _floors_of(relation, lambda name: ("c", target[1], name))


def _floors_of(relation: Relation, made: Callable[[str], Tree]) -> list[Tree]:
    """What a table's checks say of how small a figure may be."""
    found = (re.search(r'\(*"?(\w+)"?\)*(?:::[\w ]+)? (>=?) \(?\'?(\d+)', text) for text in relation.checks)
    return [("op", one[2], made(one[1]), ("const", int(one[3]))) for one in found if one]


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


def metadata_key(trees: list[Tree]) -> str | None:
    """The plan, role or balance that is read from what users write about themselves."""
    for item in trees:
        for node in walk(item):
            if node[0] == "op" and node[1] in ("->", "->>", "#>>") and node[3][0] == "const":
                key = str(node[3][1]).strip("{}").split(",")[-1]
                inside = [str(one[1]) for one in walk(node[2]) if one[0] == "const"]
                inside += [
                    str(one[-1] if one[0] != "col" else one[1][-1])
                    for one in walk(node[2])
                    if one[0] in ("c", "col", "new", "field")
                ]
                inside += [str(node[3][1])] if "{" in str(node[3][1]) else []
                if _METADATA_KEYS.match(key) and any(_METADATA.search(one) for one in inside):
                    return key
    return None


def trusting(title: str, key: str) -> Finding:
    """A finding about what users write about themselves."""
    return finding(
        "trusts_user_metadata", "high", title,
        f"It reads {key} from what users write about themselves: any of them may change it with one call to Auth.",
        'curl -X PUT "$SUPABASE_URL/auth/v1/user" -H "apikey: $SUPABASE_PUBLISHABLE_KEY" -H "Authorization: Bearer <token of '
        f"some user>\" -H \"Content-Type: application/json\" -d '{{\"data\": {{\"{key}\": \"…\"}}}}'",
        "Read it from app_metadata (raw_app_meta_data), which only the secret key can write, or from a table of yours that users "
        "cannot write.",
    )  # fmt: skip
