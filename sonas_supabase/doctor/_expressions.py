"""Expressions with variables, columns and small functions replaced by what they stand for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ._calls import either, filled, in_order
from ._catalog import Catalog, Routine
from ._event import Code, Event, Scope
from ._tree import (
    NOTHING,
    NotReadable,
    Tree,
    expression,
    is_bigger,
    plain,
)

TOO_BIG = 600
"""A tree with more nodes says nothing that could be told to anybody."""


HEAVIEST = 20_000
"""Conditions of all events of a body together: what code that people write never comes near to."""


class Expressions:
    """Reads expressions of one function."""

    def __init__(self, routine: Routine, catalog: Catalog, known: Callable[[Routine], Code | None]) -> None:
        self.routine, self.catalog, self.known = routine, catalog, known
        self.code = Code()
        self.columns_first = routine.language == "sql"
        self.names: dict[int, str] = {}
        self.variables: dict[str, Tree] = {}
        for one in routine.arguments:
            value: Tree = ("argument", one.nth)
            if one.name:
                self.variables[one.name] = value
            self.variables[f"${one.nth}"] = value
        self.found: Tree = NOTHING
        self.exits: list[tuple[Tree, ...]] = []
        self.weight = 0

    def text(self, node: dict[str, Any], conditions: tuple[Tree, ...]) -> Tree:
        """The value of an expression of plpgsql."""
        return self.value(expression(node["PLpgSQL_expr"]["query"]), conditions)

    def condition(self, node: dict[str, Any] | None, conditions: tuple[Tree, ...]) -> Tree:
        """A condition, with FOUND as what it stands for."""
        return plain(self.text(node, conditions)) if node else NOTHING

    def value(self, node: Tree, conditions: tuple[Tree, ...], scope: Scope | None = None) -> Tree:
        """The expression with variables, columns and small functions replaced by what they stand for."""
        made = self._resolved(node, [scope] if scope else [], conditions)
        if is_bigger(made, TOO_BIG):
            return NOTHING
        found: Tree = made
        return found

    def _resolved(self, node: Any, scopes: list[Scope], conditions: tuple[Tree, ...]) -> Any:
        if not isinstance(node, tuple) or not node:
            return node
        if not isinstance(node[0], str):
            return tuple(self._resolved(child, scopes, conditions) for child in node)
        kind = node[0]
        if kind == "col":
            return self._column(node[1], scopes)
        if kind == "select":
            froms = tuple(self._resolved(one, scopes, conditions) for one in node[2])
            inner = [*scopes, Scope(tables=list(froms))]
            # A query in the select list that asks nothing of a table is its value.
            targets = tuple((name, self._resolved(value, inner, conditions)) for name, value in node[1])
            where = self._resolved(node[3], inner, conditions) if node[3] is not None else None
            for one in froms:
                if one[0] == "function":
                    for call in one[1]:
                        self._note_call(call, conditions)
            return ("select", targets, froms, where, node[4], node[5])
        if kind == "table":
            relation = self.catalog.relation(node[1])
            return ("table", relation.full if relation else node[1], node[2])
        if kind == "function":
            return ("function", tuple(self._arguments(call, scopes, conditions) for call in node[1]), node[2])
        if kind == "call":
            made = self._arguments(node, scopes, conditions)
            self._note_call(made, conditions)
            return self._inlined(made)
        if kind == "field":
            inner_value = self._resolved(node[1], scopes, conditions)
            return self._field(inner_value, node[2][-1]) if node[2] else inner_value
        made = tuple(self._resolved(child, scopes, conditions) if isinstance(child, tuple) else child for child in node)
        if kind == "op" and made[1] in ("=", "<>") and made[2][0] == "record":
            return NOTHING
        return made

    def _arguments(self, call: Tree, scopes: list[Scope], conditions: tuple[Tree, ...]) -> Tree:
        if call[0] != "call":
            return tuple(self._resolved(child, scopes, conditions) for child in call)
        given = tuple(self._resolved(one, scopes, conditions) for one in call[2])
        return ("call", call[1], tuple(NOTHING if is_bigger(one, TOO_BIG) else one for one in given))

    def _note_call(self, call: Tree, conditions: tuple[Tree, ...]) -> None:
        if call[0] != "call":
            return
        short = call[1].rpartition(".")[2]
        if short.startswith("pg_advisory"):
            self.add("lock", conditions, name="advisory")
        elif self.catalog.called(call[1], len(call[2])) or short in self.catalog.own_functions or "." not in call[1]:
            callee = self.catalog.called(call[1], len(call[2]))
            arguments = in_order(call[2], callee) if callee else call[2]
            self.add("call", conditions, name=call[1], arguments=arguments)

    def _inlined(self, call: Tree) -> Tree:
        """What a small function of the project answers, in place of the call."""
        callee = self.catalog.called(call[1], len(call[2]))
        if callee is None or callee is self.routine:
            return call
        code = self.known(callee)
        if code is None or not code.results or len(code.results) > 4 or any(e.kind == "write" for e in code.events):
            return call
        if is_bigger(call, TOO_BIG):
            return NOTHING
        made: Tree | None = None
        for result in code.results:
            value = result
            if value[0] == "select":
                if len(value[1]) != 1:
                    return call
                value = ("sub", value) if value[2] else value[1][0][1]
                if value[0] == "sub" and value[1][1][0][1][0] == "exists":
                    value = value[1][1][0][1]
            value = filled(value, in_order(call[2], callee), callee)
            made = value if made is None else either(made, value)
        return made if made is not None else call

    def _column(self, parts: tuple[str, ...], scopes: list[Scope]) -> Tree:
        if parts[-1] == "*":
            return ("col", parts)
        if len(parts) > 1:
            owner, name = parts[-2], parts[-1]
            found = self._of_alias(owner, name, scopes)
            if found is not None:
                return found
            if self.routine.is_trigger and owner in ("new", "old"):
                if owner == "new" and f"new.{name}" in self.variables:
                    return self.variables[f"new.{name}"]
                return (owner, name)
            if owner == self.routine.name and name in self.variables:
                return self.variables[name]
            if f"{owner}.{name}" in self.variables:
                return self.variables[f"{owner}.{name}"]
            if owner in self.variables:
                return self._field(self.variables[owner], name)
            return ("col", parts)
        name = parts[0]
        if name == "found" and self.routine.language == "plpgsql":
            return self.found
        if self.routine.is_trigger and name == "tg_op":
            return ("col", ("tg_op",))
        column = self._in_scope(name, scopes)
        if column is not None:
            return column
        if name in self.variables:
            return self.variables[name]
        return ("col", parts)

    def _of_alias(self, owner: str, name: str, scopes: list[Scope]) -> Tree | None:
        for scope in reversed(scopes):
            if owner == "excluded" and scope.excluded:
                return scope.excluded.get(name, ("default",))
            for one in scope.tables:
                if one[-1] == owner:
                    return self._from(one, name)
            if scope.target is not None and owner in (scope.target_alias, scope.target.name):
                return ("c", scope.target.full, name)
        return None

    def _in_scope(self, name: str, scopes: list[Scope]) -> Tree | None:
        for scope in reversed(scopes):
            if scope.target is not None and name in scope.target.columns:
                return ("c", scope.target.full, name)
            for one in scope.tables:
                if one[0] == "table":
                    relation = self.catalog.relation(one[1])
                    if relation is not None and name in relation.columns:
                        return ("c", relation.full, name)
                    if relation is None and name not in self.variables:
                        return ("c", one[1], name)
                elif one[0] == "inner" and one[1][0] == "select" and any(t[0] == name for t in one[1][1]):
                    return self._from(one, name)
        return None

    def _from(self, one: Tree, name: str) -> Tree:
        if one[0] == "table":
            return ("c", one[1], name)
        if one[0] == "inner" and one[1][0] == "select":
            return self._field(("record", one[1]), name)
        return ("col", (one[-1], name))

    def _field(self, record: Tree, name: str) -> Tree:
        """A field of a record that a select or a RETURNING has filled."""
        if record[0] == "either":
            return either(*(self._field(one, name) for one in record[1:]))
        if record[0] != "record":
            return NOTHING if record == ("const", None) else ("field", record, (name,))
        source = record[1]
        if source[0] == "returned":
            return ("returned", source[1], source[2], ((name, ("c", source[2], name)),))
        for target in source[1]:
            if target[0] == name and target[1] != ("col", ("*",)):
                value = target[1]
                return ("sub", ("select", ((name, value),), *source[2:])) if source[2] else value
        for one in source[2]:
            if one[0] == "table":
                relation = self.catalog.relation(one[1])
                if relation is None or name in relation.columns:
                    return ("sub", ("select", ((name, ("c", one[1], name)),), *source[2:]))
        return NOTHING

    def add(self, kind: str, conditions: tuple[Tree, ...], **what: Any) -> Event:
        """Notes an event."""
        event = Event(kind, len(self.code.events), conditions, **what)
        self.weight += 1 + len(conditions)
        if self.weight > HEAVIEST:
            raise NotReadable("it does too much")
        self.code.events.append(event)
        return event
