"""Statements of plpgsql: what holds after them, and which of them never come to an end."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import pgparse

from ._calls import either, filled
from ._event import Event
from ._sql import Statements
from ._tree import (
    NOTHING,
    NotReadable,
    Tree,
    expression,
    joined,
    negated,
    parts_of,
    replaced,
    statements,
)

_ASSIGNMENT = re.compile(r"\s*([\w\".$]+(?:\[.*?\])?)\s*:?=\s*(.*)$", re.DOTALL)


LONGEST_BODY = 200_000
"""Characters of a body of plpgsql."""


MOST_CONDITIONS = 300
"""Conditions that are known at one place."""


class Plpgsql(Statements):
    """Reads a body of plpgsql."""

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
