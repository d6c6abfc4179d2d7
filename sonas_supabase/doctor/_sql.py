"""Statements of SQL: which rows they write, with which values, under which conditions."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ._catalog import Relation
from ._event import Event, Scope
from ._expressions import Expressions
from ._tree import (
    NOTHING,
    NotReadable,
    Tree,
    joined,
    replaced,
    select,
    statements,
    table_of,
    targets_of,
    tree,
)


class Statements(Expressions):
    """Reads statements of one function."""

    def statement(self, node: dict[str, Any], conditions: tuple[Tree, ...], yields: bool = True) -> Tree | None:
        """Notes what a statement does; answers what it yields."""
        kind, body = next(iter(node.items()))
        for item in body.get("withClause", {}).get("ctes", []) if isinstance(body, dict) else []:
            inner = item["CommonTableExpr"].get("ctequery", {})
            if next(iter(inner), "") in ("InsertStmt", "UpdateStmt", "DeleteStmt"):
                self.statement(inner, conditions)
        if kind == "SelectStmt":
            return self._select(body, conditions)
        if kind == "UpdateStmt":
            return self._update(body, conditions)
        if kind == "InsertStmt":
            return self._insert(body, conditions)
        if kind == "DeleteStmt":
            return self._delete(body, conditions)
        if kind == "MergeStmt":
            self._merge(body, conditions)
        elif kind == "CallStmt":
            self.value(tree({"FuncCall": body.get("funccall", {})}), conditions)
        elif kind == "LockStmt":
            self.add("lock", conditions, name="table")
        return None

    def _select(self, body: dict[str, Any], conditions: tuple[Tree, ...]) -> Tree:
        value = self.value(select(body), conditions)
        if value[0] != "select":
            return value
        if value[4]:
            self.add("lock", conditions, name="row", value=value)
        if value[2]:
            self.add("read", conditions, value=value)
            self.found = ("exists", value)
        return value

    def _target(self, body: dict[str, Any]) -> tuple[Relation | None, str, str]:
        _, full, alias = table_of(body["relation"])
        relation = self.catalog.relation(full)
        return relation, relation.full if relation else full, alias

    def _write(
        self, relation: Relation | None, full: str, verb: str, sets: Iterable[tuple[str, Tree]],
        where: Tree | None, conditions: tuple[Tree, ...], yields: bool = True,
    ) -> Event:  # fmt: skip
        sets = list(sets)
        if relation is not None and relation.kind == "v":
            base, renames = self.catalog_base(relation)
            if base is not None:
                full = base.full
                sets = [(renames.get(column, column), value) for column, value in sets]

                def to_base(node: Tree) -> Tree | None:
                    if node[0] == "c" and node[1] == relation.full:
                        return ("c", full, renames.get(node[2], node[2]))
                    return None

                sets = [(column, replaced(value, to_base)) for column, value in sets]
                where = replaced(where, to_base) if where is not None else None
        return self.add("write", conditions, table=full, verb=verb, sets=tuple(sets), where=where, yields=yields)

    def catalog_base(self, view: Relation) -> tuple[Relation | None, dict[str, str]]:
        """The table under a view of one table, and what its columns are called there."""
        try:
            found = select(statements(view.definition or "")[0]["SelectStmt"])
        except (NotReadable, KeyError, IndexError, RecursionError):
            return None, {}
        if len(found[2]) != 1 or found[2][0][0] != "table":
            return None, {}
        base = self.catalog.relation(found[2][0][1])
        renames = {name: value[1][-1] for name, value in found[1] if value[0] == "col"}
        return (base, renames) if base is not None and base.is_table else (None, {})

    def _update(self, body: dict[str, Any], conditions: tuple[Tree, ...]) -> Tree:
        relation, full, alias = self._target(body)
        scope = Scope(target=relation, target_alias=alias)
        scope.tables = self._froms(body.get("fromClause", []), conditions)
        sets = self._sets(body.get("targetList", []), scope, conditions)
        where = self._where(body, scope, conditions)
        event = self._write(relation, full, "update", sets, where, conditions)
        return self._returned(event, body, scope, conditions)

    def _froms(self, items: list[dict[str, Any]], conditions: tuple[Tree, ...]) -> list[Tree]:
        if not items:
            return []
        made = select({"fromClause": items, "targetList": []})
        return list(self.value(made, conditions)[2])

    def _sets(self, items: list[dict[str, Any]], scope: Scope, conditions: tuple[Tree, ...]) -> list[tuple[str, Tree]]:
        sets = []
        for item in items:
            target = item["ResTarget"]
            value = target.get("val", {})
            if "MultiAssignRef" in value:
                nth = int(value["MultiAssignRef"].get("colno", 1)) - 1
                made = tree(value["MultiAssignRef"].get("source", {}))
                if made[0] == "row" and nth < len(made) - 1:
                    made = made[nth + 1]
                elif made[0] == "sub" and nth < len(made[1][1]):
                    made = ("sub", ("select", (made[1][1][nth],), *made[1][2:]))
            else:
                made = tree(value)
            sets.append((target.get("name", ""), self.value(made, conditions, scope)))
        return sets

    def _where(self, body: dict[str, Any], scope: Scope, conditions: tuple[Tree, ...]) -> Tree | None:
        return self.value(tree(body["whereClause"]), conditions, scope) if "whereClause" in body else None

    def _returned(self, event: Event, body: dict[str, Any], scope: Scope, conditions: tuple[Tree, ...]) -> Tree:
        self.found = ("took", event.nth, event.table, event.verb)
        targets = tuple(
            (name, self.value(value, conditions, scope) if value[0] != "col" or value[1][-1] != "*" else value)
            for name, value in targets_of(body.get("returningList") or body.get("returningClause", {}).get("exprs", []))
        )
        return ("returned", event.nth, event.table, targets)

    def _insert(self, body: dict[str, Any], conditions: tuple[Tree, ...]) -> Tree:
        relation, full, alias = self._target(body)
        columns = [item["ResTarget"].get("name", "") for item in body.get("cols", [])]
        if not columns and relation is not None:
            columns = list(relation.columns)
        source = body.get("selectStmt", {}).get("SelectStmt", {})
        event = None
        conflict = body.get("onConflictClause")
        rows = source.get("valuesLists") or []
        made: list[tuple[tuple[Tree, ...], Tree | None]] = []
        for row in rows:
            values = tuple(self.value(tree(item), conditions) for item in row.get("List", {}).get("items", []))
            made.append((values, None))
        if source and not rows:
            value = self.value(select(source), conditions)
            if value[0] == "select":
                inner = ("exists", value) if value[2] else None
                targets = tuple(
                    ("sub", ("select", (target,), *value[2:])) if value[2] else target[1] for target in value[1]
                )
                made.append((targets, inner))
                if value[4]:
                    self.add("lock", conditions, name="row", value=value)
        for values, extra in made or [((), None)]:
            sets = list(zip(columns, values, strict=False))
            here = (*conditions, extra) if extra is not None else conditions
            event = self._write(relation, full, "insert", sets, None, here, yields=conflict is None)
            if conflict and str(conflict.get("action")) == "ONCONFLICT_UPDATE":
                scope = Scope(target=relation, target_alias=alias, excluded=dict(sets))
                changed = self._sets(conflict.get("targetList", []), scope, conditions)
                where = self._where(conflict, scope, conditions)
                key = {
                    item["IndexElem"].get("name", "")
                    for item in conflict.get("infer", {})
                    .get("InferClause", conflict.get("infer", {}))
                    .get("indexElems", [])
                    if "IndexElem" in item
                }
                key = key or (
                    {name for name, column in relation.columns.items() if column.in_key} if relation else set()
                )
                found = [("op", "=", ("c", full, name), value) for name, value in sets if name in key]
                where = joined([*found, *([where] if where is not None else [])])
                self._write(relation, full, "update", changed, where, here)
        scope = Scope(target=relation, target_alias=alias)
        return NOTHING if event is None else self._returned(event, body, scope, conditions)

    def _delete(self, body: dict[str, Any], conditions: tuple[Tree, ...]) -> Tree:
        relation, full, alias = self._target(body)
        scope = Scope(target=relation, target_alias=alias)
        scope.tables = self._froms(body.get("usingClause", []), conditions)
        event = self._write(relation, full, "delete", (), self._where(body, scope, conditions), conditions)
        return self._returned(event, body, scope, conditions)

    def _merge(self, body: dict[str, Any], conditions: tuple[Tree, ...]) -> None:
        relation, full, alias = self._target(body)
        scope = Scope(target=relation, target_alias=alias)
        if "sourceRelation" in body:
            scope.tables = self._froms([body["sourceRelation"]], conditions)
        match = self.value(tree(body.get("joinCondition")), conditions, scope)
        for item in body.get("mergeWhenClauses", []):
            when = item["MergeWhenClause"]
            extra = [self.value(tree(when["condition"]), conditions, scope)] if "condition" in when else []
            if str(when.get("commandType")) == "CMD_UPDATE":
                sets = self._sets(when.get("targetList", []), scope, conditions)
                self._write(relation, full, "update", sets, joined([match, *extra]), conditions)
            elif str(when.get("commandType")) == "CMD_INSERT":
                columns = [target["ResTarget"].get("name", "") for target in when.get("targetList", [])]
                values = [self.value(tree(one), conditions, scope) for one in when.get("values", [])]
                self._write(relation, full, "insert", zip(columns, values, strict=False), None, (*conditions, *extra))

    def dynamic(self, query: Tree, params: list[Any], conditions: tuple[Tree, ...]) -> Tree | None:
        """A statement that is put together when it runs: read as far as its text is known."""
        self.add("dynamic", conditions, value=query)
        holes: list[Tree] = []
        text = _text_of(query, holes)
        if text is None:
            return None
        before = dict(self.variables)
        for nth, param in enumerate(params, 1):
            self.variables[f"${nth}"] = self.text(param, conditions)
        for nth, hole in enumerate(holes):
            self.variables[f"${900 + nth}"] = hole
        value = None
        try:
            for one in statements(text):
                value = self.statement(one, conditions)
        except NotReadable:
            value = None
        self.variables = before
        return value


_FORMAT = re.compile(r"%(?:(\d+)\$)?-?\d*([sIL%])")


def _text_of(query: Tree, holes: list[Tree]) -> str | None:
    """The text of a statement that is put together, with numbered holes where values go in."""

    def hole(value: Tree) -> str:
        holes.append(value)
        return f"${900 + len(holes) - 1}"

    if query[0] == "const":
        return str(query[1])
    if query[0] == "op" and query[1] == "||":
        left, right = _text_of(query[2], holes), _text_of(query[3], holes)
        return None if left is None or right is None else left + right
    if query[0] == "call" and query[1] == "format" and query[2] and query[2][0][0] == "const":
        given = query[2][1:]
        counter = iter(range(len(given)))

        def put(found: re.Match[str]) -> str:
            if found[2] == "%":
                return "%"
            nth = int(found[1]) - 1 if found[1] else next(counter, 0)
            value = given[nth] if nth < len(given) else NOTHING
            if value[0] == "const":
                return f"'{value[1]}'" if found[2] == "L" else str(value[1])
            return "a_name" if found[2] == "I" else hole(value)

        return _FORMAT.sub(put, str(query[2][0][1]))
    if query[0] == "call" and query[1] in ("quote_ident",):
        return "a_name"
    if query[0] == "either":
        return None
    return hole(query)
