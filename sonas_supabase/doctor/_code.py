"""A function as what it does, in order: each write, call and read with the conditions that hold when it is reached.

Variables are replaced by what they stand for as the body is walked, so that `v_new := v_old - p_amount` and
`set credits = v_new` say the same as one statement. Where two branches meet, a variable is `either` of two.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import pgparse

from ._catalog import Catalog, Relation, Routine
from ._tree import (
    NOTHING,
    NotReadable,
    Tree,
    expression,
    is_bigger,
    joined,
    negated,
    parts_of,
    plain,
    replaced,
    select,
    statements,
    table_of,
    targets_of,
    tree,
)

_ASSIGNMENT = re.compile(r"\s*([\w\".$]+(?:\[.*?\])?)\s*:?=\s*(.*)$", re.DOTALL)

TOO_BIG = 600
"""A tree with more nodes says nothing that could be told to anybody."""

LONGEST_BODY = 200_000
"""Characters of a body of plpgsql."""

MOST_CONDITIONS = 300
"""Conditions that are known at one place."""

HEAVIEST = 20_000
"""Conditions of all events of a body together: what code that people write never comes near to."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a function does: `write`, `call`, `read`, `lock`, `dynamic` or `result`."""

    kind: str
    nth: int
    conditions: tuple[Tree, ...]
    table: str = ""
    verb: str = ""
    sets: tuple[tuple[str, Tree], ...] = ()
    where: Tree | None = None
    name: str = ""
    arguments: tuple[Tree, ...] = ()
    value: Tree = NOTHING
    yields: bool = True
    path: tuple[str, ...] = ()

    def holds(self) -> list[Tree]:
        """The conditions, and what its own WHERE asks."""
        return [*self.conditions, *parts_of(self.where)]


@dataclass(slots=True)
class Code:
    """What a function does, what holds when it has ended well, and what it answers."""

    events: list[Event] = field(default_factory=list)
    end: tuple[Tree, ...] = ()
    results: list[Tree] = field(default_factory=list)
    new: list[tuple[tuple[Tree, ...], str, Tree]] = field(default_factory=list)
    stops: list[tuple[Tree, ...]] = field(default_factory=list)
    readable: bool = True


@dataclass(slots=True)
class _Scope:
    """Names that a statement can see."""

    tables: list[Tree] = field(default_factory=list)
    target: Relation | None = None
    target_alias: str = ""
    excluded: dict[str, Tree] = field(default_factory=dict)


def read_code(routine: Routine, catalog: Catalog, known: Callable[[Routine], Code | None]) -> Code:
    """What this function does. `known` answers the same of a function that it calls."""
    reader = _Reader(routine, catalog, known)
    try:
        reader.run()
    except (NotReadable, pgparse.PGQueryError, ValueError, RecursionError, KeyError, IndexError):
        reader.code.readable = False
    return reader.code


class _Reader:
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

    def run(self) -> None:
        if self.routine.language == "plpgsql":
            self._run_plpgsql()
            return
        text = self.routine.text.strip()
        if self.routine.is_standard:
            text = re.sub(r"^BEGIN ATOMIC\s+(.*?)\s*END$", r"\1", text, flags=re.DOTALL | re.IGNORECASE)
            text = re.sub(r"^RETURN\s+", "select ", text, flags=re.IGNORECASE)
        body = statements(text)
        for nth, one in enumerate(body):
            value = self.statement(one, ())
            if nth == len(body) - 1 and value is not None:
                self.code.results.append(value)

    def _run_plpgsql(self) -> None:
        parsed = _parsed(self.routine.text)
        function = parsed[0]["PLpgSQL_function"]
        for nth, datum in enumerate(function.get("datums", [])):
            kind, body = next(iter(datum.items()))
            if kind == "PLpgSQL_recfield":
                self.names[nth] = f"{self.names.get(body.get('recparentno', -1), 'new')}.{body.get('fieldname', '')}"
                continue
            name = str(body.get("refname", ""))
            self.names[nth] = name
            if name in self.variables or not name:
                continue
            if "default_val" in body:
                self.variables[name] = self.value(expression(body["default_val"]["PLpgSQL_expr"]["query"]), ())
            elif kind in ("PLpgSQL_var", "PLpgSQL_rec"):
                self.variables[name] = ("const", None)
        for name in ("found", "new", "old"):
            self.variables.pop(name, None)
        conditions, ends = self.block([function["action"]], ())
        if not ends:
            self.exits.append(conditions)
        alternatives = [joined(list(one)) for one in self.exits]
        if len(self.exits) == 1:
            self.code.end = self.exits[0]
        elif 1 < len(alternatives) < 5 and all(alternatives):
            self.code.end = (("or", *(one for one in alternatives if one is not None)),)

    # Statements of plpgsql

    def block(self, body: Iterable[dict[str, Any]], conditions: tuple[Tree, ...]) -> tuple[tuple[Tree, ...], bool]:
        """What holds after these statements, and whether they never come to an end."""
        for one in body or ():
            if len(conditions) > MOST_CONDITIONS:
                raise NotReadable("it asks too much")
            kind, inner = next(iter(one.items()))
            step = getattr(self, f"on_{kind.removeprefix('PLpgSQL_stmt_')}", None)
            if step is None:
                continue
            conditions, ends = step(inner, conditions)
            if ends:
                return conditions, True
        return conditions, False

    def on_block(self, body: dict[str, Any], conditions: tuple[Tree, ...]) -> tuple[tuple[Tree, ...], bool]:
        after, ends = self.block(body.get("body", []), conditions)
        if "exceptions" not in body:
            return after, ends
        for item in body["exceptions"].get("PLpgSQL_exception_block", {}).get("exc_list", []):
            _, handled = self.block(item["PLpgSQL_exception"].get("action", []), conditions)
            if not handled:
                # What was refused inside has been let pass.
                after, ends = conditions, False
        return after, ends

    def on_if(self, body: dict[str, Any], conditions: tuple[Tree, ...]) -> tuple[tuple[Tree, ...], bool]:
        branches = [(body.get("cond"), body.get("then_body", []))]
        branches += [
            (item["PLpgSQL_if_elsif"].get("cond"), item["PLpgSQL_if_elsif"].get("stmts", []))
            for item in body.get("elsif_list", [])
        ]
        return self._branches(
            [(self.condition(condition, conditions), inner) for condition, inner in branches],
            body.get("else_body", []),
            conditions,
        )

    def on_case(self, body: dict[str, Any], conditions: tuple[Tree, ...]) -> tuple[tuple[Tree, ...], bool]:
        subject = self.text(body["t_expr"], conditions) if "t_expr" in body else None
        branches = []
        for item in body.get("case_when_list", []):
            when = item["PLpgSQL_case_when"]
            text = when.get("expr", {}).get("PLpgSQL_expr", {}).get("query", "")
            # libpg_query writes the subject as a variable of its own.
            text = re.sub(r'"?__Case__Variable_\d+__"?', "$0", text)
            condition = expression(text)
            if subject is not None:
                condition = replaced(condition, lambda node: subject if node == ("col", ("$0",)) else None)
            branches.append((self.value(condition, conditions), when.get("stmts", [])))
        return self._branches(branches, body.get("else_stmts", []), conditions, covers=not body.get("have_else"))

    def _branches(
        self,
        branches: list[tuple[Tree, list[Any]]],
        otherwise: list[Any],
        conditions: tuple[Tree, ...],
        covers: bool = False,
    ) -> tuple[tuple[Tree, ...], bool]:
        before = dict(self.variables)
        left: list[Tree] = []
        outcomes: list[tuple[dict[str, Tree], tuple[Tree, ...]]] = []
        for condition, inner in branches:
            self.variables = dict(before)
            here = (*conditions, *left, *parts_of(condition))
            after, ends = self.block(inner, here)
            if not ends:
                outcomes.append((self.variables, after[len(conditions) :]))
            left += parts_of(negated(condition))
        self.variables = dict(before)
        if not covers:
            after, ends = self.block(otherwise, (*conditions, *left))
            if not ends:
                outcomes.append((self.variables, after[len(conditions) :]))
        if not outcomes:
            return conditions, True
        merged = dict(outcomes[0][0])
        for variables, _ in outcomes[1:]:
            for name, value in variables.items():
                if merged.get(name, value) != value:
                    merged[name] = either(merged[name], value)
        self.variables = merged
        if len(outcomes) == 1:
            return (*conditions, *outcomes[0][1]), False
        alternatives = [joined(list(extra)) for _, extra in outcomes]
        if any(alternative is None for alternative in alternatives):
            return conditions, False
        return (*conditions, ("or", *(one for one in alternatives if one is not None))), False

    def on_loop(self, body: dict[str, Any], conditions: tuple[Tree, ...]) -> tuple[tuple[Tree, ...], bool]:
        self.block(body.get("body", []), conditions)
        return conditions, False

    def on_while(self, body: dict[str, Any], conditions: tuple[Tree, ...]) -> tuple[tuple[Tree, ...], bool]:
        self.block(body.get("body", []), (*conditions, *parts_of(self.condition(body.get("cond"), conditions))))
        return conditions, False

    def on_fori(self, body: dict[str, Any], conditions: tuple[Tree, ...]) -> tuple[tuple[Tree, ...], bool]:
        for variable in (body.get("var") or {}).values():
            upper = self.text(body["upper"], conditions) if "upper" in body else NOTHING
            self.variables[str(variable.get("refname", ""))] = ("other", "counter", upper)
        return self.on_loop(body, conditions)

    def on_fors(self, body: dict[str, Any], conditions: tuple[Tree, ...]) -> tuple[tuple[Tree, ...], bool]:
        query = body.get("query", {}).get("PLpgSQL_expr", {}).get("query", "")
        value = None
        for one in statements(query):
            value = self.statement(one, conditions)
        self.into(body.get("var"), value)
        return self.on_loop(body, conditions)

    def on_foreach_a(self, body: dict[str, Any], conditions: tuple[Tree, ...]) -> tuple[tuple[Tree, ...], bool]:
        name = self.names.get(body.get("varno", -1), "")
        self.variables[name] = ("element", self.text(body["expr"], conditions))
        return self.on_loop(body, conditions)

    def on_assign(self, body: dict[str, Any], conditions: tuple[Tree, ...]) -> tuple[tuple[Tree, ...], bool]:
        query = body["expr"]["PLpgSQL_expr"]["query"]
        found = _ASSIGNMENT.match(query)
        if found is None:
            return conditions, False
        target, text = found[1], found[2]
        name = target.strip().replace('"', "")
        value = self.value(expression(text), conditions)
        if self.routine.is_trigger and name.lower().startswith("new."):
            column = name[4:].strip('"')
            self.code.new.append((conditions, column, value))
            self.variables[f"new.{column}"] = value
        else:
            known = self.variables.get(name.partition("[")[0])
            self.variables[name.partition("[")[0]] = either(known, value) if "[" in name and known else value
        return conditions, False

    def on_raise(self, body: dict[str, Any], conditions: tuple[Tree, ...]) -> tuple[tuple[Tree, ...], bool]:
        stops = int(body.get("elog_level", 21)) >= 21
        if stops:
            self.code.stops.append(conditions)
        return conditions, stops

    def on_assert(self, body: dict[str, Any], conditions: tuple[Tree, ...]) -> tuple[tuple[Tree, ...], bool]:
        return (*conditions, *parts_of(self.condition(body.get("cond"), conditions))), False

    def on_return(self, body: dict[str, Any], conditions: tuple[Tree, ...]) -> tuple[tuple[Tree, ...], bool]:
        self.exits.append(conditions)
        if "expr" in body:
            text = body["expr"]["PLpgSQL_expr"]["query"]
            if self.routine.is_trigger:
                if text.strip().lower() in ("null", "old"):
                    self.code.stops.append(conditions)
            else:
                value = self.text(body["expr"], conditions)
                self.code.results.append(value)
                self.add("result", conditions, value=value)
        return conditions, True

    def on_return_query(self, body: dict[str, Any], conditions: tuple[Tree, ...]) -> tuple[tuple[Tree, ...], bool]:
        if "dynquery" in body:
            self.dynamic(self.text(body["dynquery"], conditions), body.get("params", []), conditions)
        elif "query" in body:
            for one in statements(body["query"]["PLpgSQL_expr"]["query"]):
                self.statement(one, conditions)
        return conditions, False

    def on_return_next(self, body: dict[str, Any], conditions: tuple[Tree, ...]) -> tuple[tuple[Tree, ...], bool]:
        if "expr" in body:
            self.text(body["expr"], conditions)
        return conditions, False

    def on_perform(self, body: dict[str, Any], conditions: tuple[Tree, ...]) -> tuple[tuple[Tree, ...], bool]:
        text = body["expr"]["PLpgSQL_expr"]["query"]
        found = statements(re.sub(r"^\s*perform\b", "select", text, flags=re.IGNORECASE))
        return self._run_all(found, None, conditions)

    def on_call(self, body: dict[str, Any], conditions: tuple[Tree, ...]) -> tuple[tuple[Tree, ...], bool]:
        return self._run_all(statements(body["expr"]["PLpgSQL_expr"]["query"]), None, conditions)

    def on_execsql(self, body: dict[str, Any], conditions: tuple[Tree, ...]) -> tuple[tuple[Tree, ...], bool]:
        found = statements(body["sqlstmt"]["PLpgSQL_expr"]["query"])
        after, ends = self._run_all(found, body.get("target") if body.get("into") else None, conditions)
        if body.get("strict") and self.found is not NOTHING:
            after = (*after, self.found)
        return after, ends

    def _run_all(
        self, found: list[dict[str, Any]], target: Any, conditions: tuple[Tree, ...]
    ) -> tuple[tuple[Tree, ...], bool]:
        for one in found:
            before = len(self.code.events)
            value = self.statement(one, conditions)
            for event in self.code.events[before:]:
                conditions = (*conditions, *(held for held in self.held_after(event) if held not in conditions))
            if target is not None:
                self.into(target, value)
        return conditions, False

    def held_after(self, event: Event) -> tuple[Tree, ...]:
        """What a function that was called has made sure of."""
        if event.kind != "call":
            return ()
        callee = self.catalog.called(event.name, len(event.arguments))
        code = self.known(callee) if callee else None
        if callee is None or code is None:
            return ()
        return tuple(filled(condition, event.arguments, callee) for condition in code.end)

    def on_dynexecute(self, body: dict[str, Any], conditions: tuple[Tree, ...]) -> tuple[tuple[Tree, ...], bool]:
        value = self.dynamic(self.text(body["query"], conditions), body.get("params", []), conditions)
        if body.get("into"):
            self.into(body.get("target"), value)
        return conditions, False

    def on_dynfors(self, body: dict[str, Any], conditions: tuple[Tree, ...]) -> tuple[tuple[Tree, ...], bool]:
        self.into(
            body.get("var"), self.dynamic(self.text(body["query"], conditions), body.get("params", []), conditions)
        )
        return self.on_loop(body, conditions)

    def on_getdiag(self, body: dict[str, Any], conditions: tuple[Tree, ...]) -> tuple[tuple[Tree, ...], bool]:
        for item in body.get("diag_items", []):
            inner = item.get("PLpgSQL_diag_item", {})
            if str(inner.get("kind")) in ("ROW_COUNT", "1"):
                self.variables[self.names.get(inner.get("target", -1), "")] = ("rows", self.found)
        return conditions, False

    def into(self, target: Any, value: Tree | None) -> None:
        """Gives the variables of INTO what a statement answers."""
        if not isinstance(target, dict):
            return
        for kind, body in target.items():
            fields = [str(one.get("name", "")) for one in body.get("fields", [])] if kind == "PLpgSQL_row" else []
            fields = fields or [str(body.get("refname", ""))]
            # What was assigned to a part of a record is gone with the record.
            for name in fields:
                for part in [key for key in self.variables if key.startswith(f"{name}.")]:
                    del self.variables[part]
            if value is None:
                for name in fields:
                    self.variables[name] = NOTHING
            elif value[0] == "select":
                targets = value[1]
                single = len(fields) == 1 and (
                    len(targets) != 1 or (targets[0][1][0] == "col" and targets[0][1][1][-1] == "*")
                )
                for nth, name in enumerate(fields):
                    if single:
                        self.variables[name] = ("record", value)
                    elif nth < len(targets):
                        self.variables[name] = ("sub", ("select", (targets[nth],), *value[2:]))
            elif value[0] == "returned":
                for nth, name in enumerate(fields):
                    targets = value[3]
                    star = len(fields) == 1 and len(targets) == 1 and targets[0][1][0] == "col"
                    if star:
                        self.variables[name] = ("record", value)
                    elif nth < len(targets):
                        self.variables[name] = ("returned", value[1], value[2], (targets[nth],))
            else:
                for name in fields:
                    self.variables[name] = value

    # Statements of SQL

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
        scope = _Scope(target=relation, target_alias=alias)
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

    def _sets(self, items: list[dict[str, Any]], scope: _Scope, conditions: tuple[Tree, ...]) -> list[tuple[str, Tree]]:
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

    def _where(self, body: dict[str, Any], scope: _Scope, conditions: tuple[Tree, ...]) -> Tree | None:
        return self.value(tree(body["whereClause"]), conditions, scope) if "whereClause" in body else None

    def _returned(self, event: Event, body: dict[str, Any], scope: _Scope, conditions: tuple[Tree, ...]) -> Tree:
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
                scope = _Scope(target=relation, target_alias=alias, excluded=dict(sets))
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
        scope = _Scope(target=relation, target_alias=alias)
        return NOTHING if event is None else self._returned(event, body, scope, conditions)

    def _delete(self, body: dict[str, Any], conditions: tuple[Tree, ...]) -> Tree:
        relation, full, alias = self._target(body)
        scope = _Scope(target=relation, target_alias=alias)
        scope.tables = self._froms(body.get("usingClause", []), conditions)
        event = self._write(relation, full, "delete", (), self._where(body, scope, conditions), conditions)
        return self._returned(event, body, scope, conditions)

    def _merge(self, body: dict[str, Any], conditions: tuple[Tree, ...]) -> None:
        relation, full, alias = self._target(body)
        scope = _Scope(target=relation, target_alias=alias)
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

    # Expressions

    def text(self, node: dict[str, Any], conditions: tuple[Tree, ...]) -> Tree:
        """The value of an expression of plpgsql."""
        return self.value(expression(node["PLpgSQL_expr"]["query"]), conditions)

    def condition(self, node: dict[str, Any] | None, conditions: tuple[Tree, ...]) -> Tree:
        """A condition, with FOUND as what it stands for."""
        return plain(self.text(node, conditions)) if node else NOTHING

    def value(self, node: Tree, conditions: tuple[Tree, ...], scope: _Scope | None = None) -> Tree:
        """The expression with variables, columns and small functions replaced by what they stand for."""
        made = self._resolved(node, [scope] if scope else [], conditions)
        if is_bigger(made, TOO_BIG):
            return NOTHING
        found: Tree = made
        return found

    def _resolved(self, node: Any, scopes: list[_Scope], conditions: tuple[Tree, ...]) -> Any:
        if not isinstance(node, tuple) or not node:
            return node
        if not isinstance(node[0], str):
            return tuple(self._resolved(child, scopes, conditions) for child in node)
        kind = node[0]
        if kind == "col":
            return self._column(node[1], scopes)
        if kind == "select":
            froms = tuple(self._resolved(one, scopes, conditions) for one in node[2])
            inner = [*scopes, _Scope(tables=list(froms))]
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

    def _arguments(self, call: Tree, scopes: list[_Scope], conditions: tuple[Tree, ...]) -> Tree:
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

    def _column(self, parts: tuple[str, ...], scopes: list[_Scope]) -> Tree:
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

    def _of_alias(self, owner: str, name: str, scopes: list[_Scope]) -> Tree | None:
        for scope in reversed(scopes):
            if owner == "excluded" and scope.excluded:
                return scope.excluded.get(name, ("default",))
            for one in scope.tables:
                if one[-1] == owner:
                    return self._from(one, name)
            if scope.target is not None and owner in (scope.target_alias, scope.target.name):
                return ("c", scope.target.full, name)
        return None

    def _in_scope(self, name: str, scopes: list[_Scope]) -> Tree | None:
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


def _parsed(text: str) -> Any:
    """The body as libpg_query reads it, which knows no table: a variable of a row type is a record to it."""
    if len(text) > LONGEST_BODY:
        raise NotReadable(f"it has more than {LONGEST_BODY} characters")
    text = re.sub(r'[\w."]+\s*%\s*rowtype', "record", text, flags=re.IGNORECASE)
    for _ in range(40):
        try:
            return pgparse.parse_pgsql(text)
        except pgparse.PGQueryError as error:
            named = re.search(r'"(\w+)\.\w+" is not a known variable', str(error))
            declared = rf'\b({named[1]}\s+)[\w."]+(?=\s*(?:;|:=|=|default\b))' if named else ""
            made = re.sub(declared, r"\1record", text, count=1, flags=re.IGNORECASE) if named else text
            if made == text:
                raise
            text = made
    raise NotReadable("it has too many records")


def either(*values: Tree | None) -> Tree:
    """One of these values."""
    flat: list[Tree] = []
    for value in values:
        for one in value[1:] if value is not None and value[0] == "either" else (value,):
            if one is not None and one not in flat:
                flat.append(one)
    if len(flat) > 6:
        return NOTHING
    return ("either", *flat) if len(flat) > 1 else flat[0] if flat else NOTHING


def in_order(given: tuple[Tree, ...], callee: Routine) -> tuple[Tree, ...]:
    """The arguments of a call in the order of the function's own, named ones too."""
    places = {one.name: one.nth - 1 for one in callee.arguments}
    ordered: list[Tree] = [("default",)] * len(callee.arguments)
    for nth, one in enumerate(given):
        if one[0] == "named":
            if one[1] in places:
                ordered[places[one[1]]] = one[2]
        elif nth < len(ordered):
            ordered[nth] = one
    return tuple(ordered)


def filled(node: Any, given: tuple[Tree, ...], callee: Routine) -> Any:
    """A tree of the called function with what the caller passes in place of its arguments."""

    def change(one: Tree) -> Tree | None:
        if one[0] == "argument":
            nth = one[1] - 1
            if nth < len(given):
                value = given[nth]
                if callee.arguments[nth].is_positive:
                    return ("greatest", value, ("const", 1))
                return value
            return ("default",)
        return None

    return replaced(node, change)


def within(event: Event, call: Event, callee: Routine, offset: int) -> Event:
    """An event of a called function, as the caller's own."""
    given = call.arguments

    def change(node: Any) -> Any:
        found = filled(node, given, callee)

        def shifted(one: Tree) -> Tree | None:
            if one[0] in ("took", "returned") and isinstance(one[1], int):
                return (one[0], one[1] + offset, *one[2:])
            return None

        return replaced(found, shifted) if given or offset else found

    return replace(
        event,
        nth=event.nth + offset,
        conditions=(*call.conditions, *(change(one) for one in event.conditions)),
        sets=tuple((column, change(value)) for column, value in event.sets),
        where=change(event.where) if event.where is not None else None,
        arguments=tuple(change(one) for one in event.arguments),
        value=change(event.value),
        path=(callee.name, *event.path),
    )


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
