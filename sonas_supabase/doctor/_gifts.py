"""Credits, plans and roles for nothing."""

from __future__ import annotations

import re

from ._amounts import leaves
from ._catalog import Relation
from ._event import Event
from ._guards import (
    any_holds,
    bare,
    is_argument,
    is_caller,
    is_floored,
)
from ._judging import Move
from ._moves import Entry
from ._tree import NOTHING, Tree, walk
from ._used_up import UsedUp
from ._worth import is_personal

_GIVING = {"grant_credits", "refund_credits", "change_plan", "reset_monthly_credits", "set_subscription_status"}


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


class Gifts(UsedUp):
    """Finds calls that leave the caller better off."""

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
