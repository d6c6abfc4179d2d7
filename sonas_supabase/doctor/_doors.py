"""Through which tables API roles come in: which columns they may write, which rows a policy admits, which triggers run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ._catalog import Catalog, Column, Policy, Relation, Trigger
from ._event import Code
from ._guards import any_holds, is_caller, is_privileged
from ._tree import FALSE, NOTHING, TRUE, Tree, expression, parts_of, replaced, walk


@dataclass(frozen=True, slots=True)
class Door:
    """API roles that may insert or update rows of a table."""

    relation: Relation
    verb: str
    roles: tuple[str, ...]


class Doors:
    """What the policies and privileges of a project admit."""

    def __init__(self, catalog: Catalog, codes: dict[int, Code], inlined: Callable[[Tree, Relation], Tree]) -> None:
        self.catalog, self.codes, self._inlined = catalog, codes, inlined
        self._parsed: dict[tuple[int, str], list[Tree]] = {}

    def parts(self, relation: Relation, text: str | None) -> list[Tree]:
        """The conditions of a policy."""
        if text is None:
            return []
        key = (relation.oid, text)
        if key not in self._parsed:
            self._parsed[key] = parts_of(self._inlined(expression(text), relation))
        return self._parsed[key]

    def admitting(self, relation: Relation, role: str, commands: str) -> list[Policy]:
        """The permissive policies that let this role at rows, once those that restrict have had their say."""
        for policy in relation.policies:
            if not policy.permissive and role in policy.roles and policy.command in commands:
                if self.is_closed(relation, policy.using) or self.is_closed(relation, policy.check):
                    return []
        return [
            policy
            for policy in relation.policies
            if policy.permissive and role in policy.roles and policy.command in commands
            and not self.is_closed(relation, policy.using)
            # Who is not signed in is nobody's owner.
            and not (role == "anon" and any_holds(self.parts(relation, policy.check or policy.using), _asks_for_caller))
            and not (policy.check is not None and commands[0] != "r" and self.is_closed(relation, policy.check))
        ]  # fmt: skip

    def is_closed(self, relation: Relation, text: str | None) -> bool:
        """Whether a condition lets no ordinary user through."""
        parts = self.parts(relation, text)
        return FALSE in parts or any_holds(parts, is_privileged)

    def may_write(self, relation: Relation, column: Column, verb: str) -> list[str]:
        """The roles that may choose this column's value over the API."""
        if relation.is_own or column.generated or not self.catalog.is_served(relation.schema):
            return []
        named = column.updated_by if verb == "update" else column.inserted_by
        command = {"update": "w*", "insert": "a*"}[verb]
        roles = []
        for role in named:
            if role not in relation.reached_by:
                continue
            if not relation.rls or relation.kind in ("v", "m"):
                roles.append(role)
                continue
            policies = self.admitting(relation, role, command)
            if any(not self._keeps(relation, policy, column.name, verb) for policy in policies):
                restricting = [
                    p for p in relation.policies if not p.permissive and role in p.roles and p.command in command
                ]
                if not any(self._keeps(relation, policy, column.name, verb) for policy in restricting):
                    roles.append(role)
        return [] if roles and self._guarded(relation, column.name, verb) else roles

    def _keeps(self, relation: Relation, policy: Policy, column: str, verb: str) -> bool:
        """Whether WITH CHECK leaves the column no other value than it has, or than the policy names."""
        text = policy.check if policy.check is not None else (policy.using if verb == "update" else None)
        for part in self.parts(relation, text):
            if part[0] == "op" and part[1] == "=":
                for side, other in ((part[2], part[3]), (part[3], part[2])):
                    if side == ("c", relation.full, column) and (other[0] in ("sub", "const")):
                        return True
            if part == ("not", ("c", relation.full, column)) or (
                part[0] == "null" and part[1] == ("c", relation.full, column)
            ):
                return True
        return False

    def rows_are_tied(self, relation: Relation, column: str, verb: str) -> bool:
        """Whether each policy that admits rows makes sure that this column is the caller's id."""
        if not relation.rls:
            return False
        command = {"update": "w*", "insert": "a*"}[verb]
        for role in self.catalog.roles:
            for policy in self.admitting(relation, role, command):
                text = policy.check if policy.check is not None else policy.using
                if not any(
                    part[0] == "op" and part[1] == "=" and ("c", relation.full, column) in (part[2], part[3])
                    and (is_caller(part[2]) or is_caller(part[3]))
                    for part in self.parts(relation, text)
                ):  # fmt: skip
                    return False
        return True

    def guarded(self, relation: Relation, column: str) -> bool:
        """Whether a trigger keeps users from changing this column, by whatever way they come."""
        return self._guarded(relation, column, "update")

    def _guarded(self, relation: Relation, column: str, verb: str) -> bool:
        return any(
            trigger.is_before and trigger.runs_at(verb) and self._keeps_by_trigger(trigger, column)
            for trigger in relation.triggers
        )

    def _keeps_by_trigger(self, trigger: Trigger, column: str) -> bool:
        if trigger.columns and column not in trigger.columns:
            return False
        code = self.codes.get(trigger.function)
        if code is None:
            return False
        routine = self.catalog.routines.get(trigger.function)
        new, old = ("new", column), ("old", column)

        def passes(condition: Tree) -> bool:
            """Whether a user who changes the column meets this condition."""
            nodes = list(walk(condition))
            if condition[0] == "or":
                return any(all(passes(part) for part in parts_of(side)) for side in condition[1:])
            if condition[0] == "op" and condition[1] == "<>" and new in nodes:
                return True
            if condition[0] == "op" and condition[1] in (">", "<") and new in nodes and old in nodes:
                return False
            # Everybody but an administrator or the backend.
            opposite = parts_of(("not", condition))
            if any_holds(opposite, is_privileged):
                return True
            if any(node[0] == "call" and node[1] in ("current_user", "current_role") for node in nodes):
                return routine is not None and not routine.definer
            if any(node == ("col", ("tg_op",)) for node in nodes):
                return True
            return condition == TRUE or (
                any(node[0] == "call" and node[1].startswith("auth.") for node in nodes)
                and ("service_role" in str(nodes))
            )

        when = _when(trigger.definition)
        if when is not None and not all(passes(part) for part in parts_of(when)):
            return False
        for conditions, name, value in code.new:
            if name == column and all(passes(one) for one in conditions) and new not in list(walk(value)):
                return True
        return any(all(passes(one) for one in stop) for stop in code.stops)

    def doors(self, relation: Relation, verb: str) -> tuple[str, ...]:
        """The roles that may write rows at all."""
        if relation.is_own or not self.catalog.is_served(relation.schema) or not relation.is_table:
            return ()
        roles = set()
        command = {"update": "w*", "insert": "a*", "delete": "d*"}[verb]
        for role in self.catalog.roles:
            if role not in relation.reached_by:
                continue
            if verb == "delete":
                named = role in relation.deleted_by
            else:
                named = any(
                    role in (c.updated_by if verb == "update" else c.inserted_by) for c in relation.columns.values()
                )
            if named and (not relation.rls or self.admitting(relation, role, command)):
                roles.add(role)
        return tuple(sorted(roles))


def _asks_for_caller(part: Tree) -> bool:
    if part[0] == "op" and part[1] == "=":
        return is_caller(part[2]) or is_caller(part[3])
    if part[0] == "not" and part[1][0] == "null":
        return is_caller(part[1][1])
    return part[0] in ("exists", "in") and any(one[0] == "call" and one[1] == "auth.uid" for one in walk(part))


def _when(definition: str) -> Tree | None:
    _, found, rest = definition.partition(" WHEN (")
    if not found:
        return None
    text = rest.rpartition(") EXECUTE ")[0]
    condition = expression(text)

    def change(node: Tree) -> Tree | None:
        if node[0] == "col" and len(node[1]) == 2 and node[1][0].lower() in ("new", "old"):
            return (node[1][0].lower(), node[1][1])
        return None

    made: Tree = replaced(condition, change)
    return made if made != NOTHING else None
