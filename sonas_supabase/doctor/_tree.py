"""SQL as a small tree of tuples: what the checks compare, with casts, aliases and spelling gone.

libpg_query reads the text; this keeps of its tree what says who, which row, which value and under what condition.
Tuples are equal when what they say is equal, and can be substituted into each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, TypeAlias

import pgparse

Tree: TypeAlias = tuple[Any, ...]

NOTHING: Tree = ("unknown",)
TRUE: Tree = ("const", True)
FALSE: Tree = ("const", False)

NULL_SAFE = "null safe"
"""Marks `is distinct from`, whose opposite is sure that both sides are the same."""
OR_NULL = "or null"
"""Marks what is left when `a <> b` did not hold: the same, or one of them is null."""

COMPARISONS = {"=", "<>", "<", ">", "<=", ">="}
OPPOSITE = {"=": "<>", "<>": "=", "<": ">=", ">": "<=", "<=": ">", ">=": "<"}
MIRRORED = {"=": "=", "<>": "<>", "<": ">", ">": "<", "<=": ">=", ">=": "<="}


LONGEST = 50_000
"""Characters of a statement. libpg_query goes down as deep as a text is nested, and past the end of its stack: `1+1+…`
needs two characters a level, and 130,000 of them end the process."""

DEEPEST = 100
"""Levels of an expression that is looked at: what goes over trees here calls itself, once or twice a level."""


class NotReadable(Exception):
    """The text is not SQL that libpg_query reads, or more of it than anybody writes by hand."""


def statements(text: str) -> list[dict[str, Any]]:
    """The statements of a text as libpg_query has them."""
    if len(text) > LONGEST:
        raise NotReadable(f"it has more than {LONGEST} characters")
    try:
        return [one["stmt"] for one in pgparse.parse(text) if "stmt" in one]
    except (pgparse.PGQueryError, ValueError, RecursionError) as error:
        raise NotReadable(str(error)) from None


@lru_cache(maxsize=4096)
def expression(text: str) -> Tree:
    """One expression; `unknown` where it cannot be read."""
    try:
        found = statements(f"select {text}")
        targets = found[0].get("SelectStmt", {}).get("targetList", []) if found else []
        made = tree(targets[0]["ResTarget"].get("val", {})) if targets else NOTHING
    except (NotReadable, RecursionError):
        return NOTHING
    return NOTHING if is_deeper(made) else made


def names(items: list[dict[str, Any]] | None) -> tuple[str, ...]:
    """The parts of a dotted name; `*` for a star."""
    return tuple(str(item["String"].get("sval", "")) if "String" in item else "*" for item in items or [])


def tree(node: Any) -> Tree:
    """An expression, or a select, of libpg_query as a tuple."""
    if not isinstance(node, dict) or not node:
        return NOTHING
    kind, body = next(iter(node.items()))
    make = _MAKERS.get(kind)
    return make(body) if make else ("other", kind, *(tree(child) for child in _children(body)))


def _children(body: Any) -> Iterator[Any]:
    if isinstance(body, dict):
        for value in body.values():
            if isinstance(value, dict) and len(value) == 1 and next(iter(value))[:1].isupper():
                yield value
            elif isinstance(value, list):
                yield from (item for item in value if isinstance(item, dict))


def _const(body: dict[str, Any]) -> Tree:
    if body.get("isnull"):
        return ("const", None)
    for kind, key in (("ival", "ival"), ("sval", "sval"), ("boolval", "boolval"), ("fval", "fval")):
        if kind in body:
            value = body[kind].get(key, {"ival": 0, "sval": "", "boolval": False, "fval": "0"}[kind])
            return ("const", float(value) if kind == "fval" else value)
    return ("const", None)


def _operator(body: dict[str, Any]) -> Tree:
    kind = str(body.get("kind"))
    name = names(body.get("name"))[-1] if body.get("name") else "="
    name = "<>" if name == "!=" else name
    left = tree(body["lexpr"]) if "lexpr" in body else None
    right_body = body.get("rexpr", {})
    if kind in ("AEXPR_IN", "AEXPR_BETWEEN", "AEXPR_NOT_BETWEEN"):
        items = tuple(tree(item) for item in right_body.get("List", {}).get("items", []))
        if kind == "AEXPR_IN":
            found: Tree = ("in", left, items)
            return ("not", found) if name == "<>" else found
        low, high = items[0], items[-1]
        between = ("and", ("op", ">=", left, low), ("op", "<=", left, high))
        return ("not", between) if kind == "AEXPR_NOT_BETWEEN" else between
    right = tree(right_body)
    if kind == "AEXPR_DISTINCT":
        return ("op", "<>", left, right, NULL_SAFE)
    if kind == "AEXPR_NOT_DISTINCT":
        return ("op", "=", left, right)
    if kind in ("AEXPR_OP_ANY", "AEXPR_OP_ALL"):
        items = right[1:] if right[0] == "array" else (right,)
        if kind == "AEXPR_OP_ANY" and name == "=":
            return ("in", left, items)
        if kind == "AEXPR_OP_ALL" and name == "<>":
            return ("not", ("in", left, items))
        return ("op", f"{name} any", left, right)
    if kind == "AEXPR_NULLIF":
        return ("call", "nullif", (left, right))
    if left is None:
        if name == "-" and right[0] == "const" and isinstance(right[1], int | float):
            return ("const", -right[1])
        return ("negative", right) if name == "-" else ("op1", name, right)
    return ("op", name, left, right)


def _boolean(body: dict[str, Any]) -> Tree:
    arguments = tuple(tree(item) for item in body.get("args", []))
    if body.get("boolop") == "NOT_EXPR":
        return ("not", arguments[0])
    return ("and" if body.get("boolop") == "AND_EXPR" else "or", *arguments)


def _boolean_test(body: dict[str, Any]) -> Tree:
    argument = tree(body.get("arg"))
    kind = str(body.get("booltesttype"))
    if kind == "IS_NOT_TRUE":
        return _untrue(argument)
    return ("not", argument) if kind == "IS_FALSE" else argument


def _untrue(condition: Tree) -> Tree:
    """That it is false or null, whose opposite is sure."""
    if condition[0] in ("and", "or"):
        return ("or" if condition[0] == "and" else "and", *(_untrue(part) for part in condition[1:]))
    if condition[0] == "op" and condition[1] == "=":
        return ("op", "<>", condition[2], condition[3], NULL_SAFE)
    return ("not", condition)


def _null_test(body: dict[str, Any]) -> Tree:
    found = ("null", tree(body.get("arg")))
    return ("not", found) if body.get("nulltesttype") == "IS_NOT_NULL" else found


def _call(body: dict[str, Any]) -> Tree:
    name = tuple(part for part in names(body.get("funcname")) if part != "pg_catalog")
    arguments = tuple(tree(item) for item in body.get("args", []))
    return ("call", ".".join(name), arguments)


def _sublink(body: dict[str, Any]) -> Tree:
    inner = tree(body.get("subselect"))
    kind = str(body.get("subLinkType"))
    if kind == "EXISTS_SUBLINK":
        return ("exists", inner)
    if kind == "ANY_SUBLINK":
        test = tree(body.get("testexpr"))
        return ("in", test, (("sub", inner),))
    # What a policy wraps in a select to have it worked out once is the thing itself.
    if inner[0] == "select" and not inner[2] and len(inner[1]) == 1:
        return tree_of_target(inner[1][0])
    return ("sub", inner)


def tree_of_target(target: Tree) -> Tree:
    """The expression of (name, expression)."""
    found: Tree = target[1]
    return found


def _case(body: dict[str, Any]) -> Tree:
    subject = tree(body["arg"]) if "arg" in body else None
    whens = []
    for item in body.get("args", []):
        when = item["CaseWhen"]
        condition = tree(when.get("expr"))
        whens.append((("op", "=", subject, condition) if subject else condition, tree(when.get("result"))))
    return ("case", tuple(whens), tree(body["defresult"]) if "defresult" in body else ("const", None))


def table_of(body: dict[str, Any]) -> Tree:
    """('table', name with schema or without, alias)."""
    name = body.get("relname", "")
    full = f"{body['schemaname']}.{name}" if body.get("schemaname") else name
    return ("table", full, body.get("alias", {}).get("aliasname", name))


def _from(node: dict[str, Any], into: list[Tree], conditions: list[Tree]) -> None:
    kind, body = next(iter(node.items()))
    if kind == "RangeVar":
        into.append(table_of(body))
    elif kind == "JoinExpr":
        for side in ("larg", "rarg"):
            if side in body:
                _from(body[side], into, conditions)
        if "quals" in body:
            conditions.append(tree(body["quals"]))
    elif kind == "RangeSubselect":
        into.append(("inner", tree(body.get("subquery")), body.get("alias", {}).get("aliasname", "")))
    elif kind == "RangeFunction":
        calls = [tree(item) for part in body.get("functions", []) for item in part.get("List", {}).get("items", [])]
        into.append(("function", tuple(calls), body.get("alias", {}).get("aliasname", "")))


def targets_of(items: list[dict[str, Any]] | None) -> tuple[Tree, ...]:
    """(name, expression) of each column of a select list."""
    made = []
    for item in items or []:
        target = item.get("ResTarget", {})
        value = tree(target.get("val", {}))
        name = target.get("name") or (value[1][-1] if value[0] == "col" else "")
        made.append((name, value))
    return tuple(made)


def joined(conditions: list[Tree]) -> Tree | None:
    """All of these at once."""
    return ("and", *conditions) if len(conditions) > 1 else conditions[0] if conditions else None


def select(body: dict[str, Any]) -> Tree:
    """('select', targets, froms, where, is locked, is an aggregate)."""
    if "larg" in body:
        left, right = select(body["larg"]), select(body["rarg"])
        return ("select", left[1], (*left[2], *right[2]), None, left[4], left[5])
    froms: list[Tree] = []
    conditions: list[Tree] = []
    for item in body.get("fromClause", []):
        _from(item, froms, conditions)
    for item in body.get("withClause", {}).get("ctes", []):
        query = item["CommonTableExpr"].get("ctequery", {})
        if "SelectStmt" in query:
            froms.append(("inner", tree(query), item["CommonTableExpr"].get("ctename", "")))
    if "whereClause" in body:
        conditions.append(tree(body["whereClause"]))
    for item in body.get("valuesLists", []):
        rows = [tree(value) for value in item.get("List", {}).get("items", [])]
        return ("select", tuple(("", value) for value in rows), (), None, False, False)
    targets = targets_of(body.get("targetList"))
    return ("select", targets, tuple(froms), joined(conditions), "lockingClause" in body, bool(body.get("groupClause")))


def _cast(body: dict[str, Any]) -> Tree:
    inner = tree(body.get("arg"))
    kind = names(body.get("typeName", {}).get("names"))
    if inner[0] == "const" and isinstance(inner[1], str):
        if kind and kind[-1] == "bool":
            return ("const", inner[1].lower() in ("t", "true"))
        # What pg_get_expr writes: '0'::numeric.
        if kind and kind[-1] in ("int4", "int8", "int2", "numeric", "float8", "float4"):
            try:
                return ("const", float(inner[1]))
            except ValueError:
                return inner
    return inner


def _field(body: dict[str, Any]) -> Tree:
    parts = names(body.get("indirection"))
    inner = tree(body.get("arg"))
    if parts and parts != ("*",) and inner[0] == "sub":
        return inner
    return ("field", inner, parts)


_MAKERS: dict[str, Callable[[Any], Tree]] = {
    "A_Const": _const,
    "A_Expr": _operator,
    "BoolExpr": _boolean,
    "BooleanTest": _boolean_test,
    "NullTest": _null_test,
    "FuncCall": _call,
    "SubLink": _sublink,
    "CaseExpr": _case,
    "SelectStmt": select,
    "ColumnRef": lambda body: ("col", names(body["fields"])),
    "ParamRef": lambda body: ("col", (f"${body.get('number', 0)}",)),
    "TypeCast": _cast,
    "CollateClause": lambda body: tree(body.get("arg")),
    "NamedArgExpr": lambda body: ("named", body.get("name"), tree(body.get("arg"))),
    "CoalesceExpr": lambda body: ("coalesce", *(tree(item) for item in body.get("args", []))),
    "MinMaxExpr": lambda body: (
        "greatest" if body.get("op") == "IS_GREATEST" else "least",
        *(tree(item) for item in body.get("args", [])),
    ),
    "A_ArrayExpr": lambda body: ("array", *(tree(item) for item in body.get("elements", []))),
    "RowExpr": lambda body: ("row", *(tree(item) for item in body.get("args", []))),
    "SQLValueFunction": lambda body: ("call", str(body.get("op", "")).removeprefix("SVFOP_").lower(), ()),
    "A_Indirection": _field,
    "SetToDefault": lambda body: ("default",),
    "List": lambda body: ("row", *(tree(item) for item in body.get("items", []))),
}


def walk(node: Any) -> Iterator[Tree]:
    """The node and all below it."""
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if one and isinstance(one[0], str):
            yield one
        waiting += [child for child in reversed(one) if isinstance(child, tuple)]


def is_bigger(node: Any, limit: int) -> bool:
    """Whether a tree has more nodes than this, or more levels than are looked at."""
    level, count, depth = [node], 0, 0
    while level:
        count += len(level)
        depth += 1
        if count > limit or depth > 2 * DEEPEST:
            return True
        level = [child for one in level for child in one if isinstance(child, tuple)]
    return False


def is_deeper(node: Any) -> bool:
    """Whether a tree that has just been read has more levels than are looked at."""
    level, depth = [node], 0
    while level and depth <= 2 * DEEPEST:
        depth += 1
        level = [child for one in level for child in one if isinstance(child, tuple)]
    return bool(level)


def replaced(node: Any, change: Callable[[Tree], Tree | None]) -> Any:
    """The tree with what `change` answers in place of the nodes for which it answers something."""
    if not isinstance(node, tuple):
        return node
    if node and isinstance(node[0], str):
        new = change(node)
        if new is not None:
            return new
    return tuple(replaced(child, change) if isinstance(child, tuple) else child for child in node)


def negated(condition: Tree) -> Tree:
    """What holds where a condition did not: `a <> b` is passed by null as well, and says so."""
    return _opposite(condition, passes_null=True)


def _opposite(condition: Tree, *, passes_null: bool) -> Tree:
    """The opposite, with `not` pushed down to the comparisons."""
    kind = condition[0]
    if kind == "not":
        return plain(condition[1])
    if kind == "and":
        return ("or", *(_opposite(part, passes_null=passes_null) for part in condition[1:]))
    if kind == "or":
        return ("and", *(_opposite(part, passes_null=passes_null) for part in condition[1:]))
    if kind == "op" and condition[1] == "<>" and condition[4:] != (NULL_SAFE,):
        found: Tree = ("op", "=", condition[2], condition[3])
        return (*found, OR_NULL) if passes_null else found
    if kind == "op" and condition[1] in OPPOSITE:
        return ("op", OPPOSITE[condition[1]], condition[2], condition[3])
    if kind == "const" and isinstance(condition[1], bool):
        return ("const", not condition[1])
    if kind == "coalesce" and len(condition) == 3:
        return _opposite(condition[1], passes_null=passes_null and condition[2] != TRUE)
    return ("not", condition)


def plain(condition: Tree) -> Tree:
    """The condition with `not` pushed down to the comparisons."""
    kind = condition[0]
    if kind == "not":
        if condition[1][0] in ("and", "or", "op", "not", "const"):
            return _opposite(condition[1], passes_null=False)
        return condition
    if kind in ("and", "or"):
        return (kind, *(plain(part) for part in condition[1:]))
    return condition


def parts_of(condition: Tree | None) -> list[Tree]:
    """What holds when the condition holds: the parts of its `and`s."""
    if condition is None:
        return []
    condition = plain(condition)
    if condition[0] == "and":
        return [part for inner in condition[1:] for part in parts_of(inner)]
    return [condition]
