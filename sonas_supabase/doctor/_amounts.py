"""What a write does to a figure: takes, gives or sets, how much, and from which reading of the old value."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ._guards import bare, is_floored
from ._tree import Tree, parts_of, walk

_NUMERIC = {"floor", "ceil", "ceiling", "round", "trunc", "to_jsonb", "to_json", "numeric", "int4", "int8", "float8"}
_COUNTS = {
    "length",
    "char_length",
    "count",
    "cardinality",
    "array_length",
    "jsonb_array_length",
    "octet_length",
    "abs",
    "extract",
}


@dataclass(frozen=True, slots=True)
class Form:
    """One way in which a value may come about: `old` is `none`, `live` (of this row now) or `stale` (read before)."""

    old: str
    terms: tuple[tuple[int, Tree], ...]
    conditions: tuple[Tree, ...] = ()
    floored: bool = False
    source: Tree | None = None

    def plus(self) -> list[Tree]:
        """What is added."""
        return [atom for sign, atom in self.terms if sign > 0 and not _is_zero(atom)]

    def minus(self) -> list[Tree]:
        """What is taken off."""
        return [atom for sign, atom in self.terms if sign < 0 and not _is_zero(atom)]

    def takes_part(self) -> bool:
        """Whether anything but a fixed value is written."""
        return bool(self.plus() or self.minus())


def _is_zero(atom: Tree) -> bool:
    return atom[0] == "const" and atom[1] in (0, None, False, 0.0)


def reads(node: Tree, table: str, column: str) -> bool:
    """Whether a value is this column, read before or now."""
    return any(one == ("c", table, column) for one in walk(node))


def forms(value: Tree, table: str, column: str) -> list[Form]:
    """The ways in which the new value of a column may come about."""
    return _forms(value, table, column)[:16]


def _forms(value: Tree, table: str, column: str) -> list[Form]:
    kind = value[0]
    if value == ("c", table, column):
        return [Form("live", ())]
    if kind in ("sub", "returned") and _is_old(value, table, column):
        return [Form("live" if kind == "returned" else "stale", (), source=value)]
    if kind == "op" and value[1] in ("+", "-"):
        left, right = _forms(value[2], table, column), _forms(value[3], table, column)
        sign = 1 if value[1] == "+" else -1
        return [_both(a, b, sign) for a in left for b in right][:16]
    if kind == "const" and isinstance(value[1], int | float) and value[1] < 0:
        return [Form("none", ((-1, ("const", -value[1])),))]
    if kind == "negative":
        return [_both(Form("none", ()), one, -1) for one in _forms(value[1], table, column)]
    if kind in ("coalesce", "named"):
        return _forms(value[2] if kind == "named" else value[1], table, column)
    if kind in ("greatest", "least"):
        return _extreme(value, table, column)
    if kind == "case":
        made = []
        seen: list[Tree] = []
        for test, result in value[1]:
            made += [
                replace(one, conditions=(*one.conditions, *parts_of(test))) for one in _forms(result, table, column)
            ]
            seen += parts_of(("not", test))
        made += [replace(one, conditions=(*one.conditions, *seen)) for one in _forms(value[2], table, column)]
        return made
    if kind == "either":
        return [one for choice in value[1:] for one in _forms(choice, table, column)]
    if kind == "op" and value[1] in ("->", "->>") and reads(value, table, column):
        return [Form("live" if not _is_read_before(value) else "stale", (), source=value)]
    if kind == "op" and value[1] == "||" and reads(value[2], table, column):
        return _forms(value[3], table, column)
    if kind == "call":
        return _call(value, table, column)
    if kind == "sub" and len(value[1][1]) == 1 and not value[1][2]:
        return _forms(value[1][1][0][1], table, column)
    return [Form("none", ((1, value),))]


def _is_read_before(value: Tree) -> bool:
    return any(one[0] == "sub" for one in walk(value))


def _is_old(value: Tree, table: str, column: str) -> bool:
    targets = value[1][1] if value[0] == "sub" else value[3]
    if len(targets) != 1:
        return False
    target = targets[0][1]
    while target[0] == "coalesce" or (target[0] == "call" and target[1] in ("sum", "max") and target[2]):
        target = target[1] if target[0] == "coalesce" else target[2][0]
    return bool(target == ("c", table, column)) or (
        target[0] == "op" and target[1] in ("->", "->>") and reads(target, table, column)
    )


def _both(left: Form, right: Form, sign: int) -> Form:
    terms = (*left.terms, *((term_sign * sign, atom) for term_sign, atom in right.terms))
    old = left.old
    if right.old != "none":
        # What there was, less what there was, is nothing.
        old = "none" if left.old != "none" and sign < 0 else right.old
        if old == "none":
            terms = (*terms, (-1, ("const", 0)))
    return Form(
        old, terms, (*left.conditions, *right.conditions), left.floored or right.floored, left.source or right.source
    )


def _extreme(value: Tree, table: str, column: str) -> list[Form]:
    branches = [_forms(one, table, column) for one in value[1:]]
    constants = [one for one in value[1:] if one[0] == "const"]
    with_old = [form for branch in branches for form in branch if form.old != "none"]
    if value[0] == "greatest":
        if with_old:
            others = [form for branch in branches for form in branch if form.old == "none" and form.plus()]
            return [replace(one, floored=True) for one in with_old] + [
                form for form in others if any(atom[0] != "const" for atom in form.plus())
            ]
        return [Form("none", ((1, value),))]
    if with_old:
        return [form for branch in branches for form in branch if form.old != "none" or not _only_constants(form)]
    if constants and len(branches) > 1:
        return [form for branch in branches for form in branch if not _only_constants(form)] or branches[0]
    return [form for branch in branches for form in branch]


def _only_constants(form: Form) -> bool:
    return all(atom[0] == "const" for _, atom in form.terms)


def _call(value: Tree, table: str, column: str) -> list[Form]:
    name = value[1].rpartition(".")[2]
    given = value[2]
    if name in _NUMERIC and given:
        return _forms(given[0], table, column)
    if name in ("jsonb_set", "json_set") and len(given) > 2:
        return _forms(given[2], table, column)
    if name in ("jsonb_build_object", "json_build_object") and len(given) > 1:
        return _forms(given[1], table, column)
    return [Form("none", ((1, value),))]


def leaves(atom: Tree, *, in_queries: bool = False) -> list[Tree]:
    """What of an amount the caller chooses; `in_queries` also as a factor in a query that looks the rest up."""
    found: list[Tree] = []

    def look(node: Tree) -> None:
        if node[0] in ("argument", "new"):
            found.append(node)
        elif node[0] == "sub":
            # A figure that is looked up is the project's own; a product with what the caller says is not.
            for _, target in node[1][1] if in_queries else ():
                found.extend(one for one in leaves(target) if not is_floored(one, parts_of(node[1][3])))
        elif node[0] == "call" and node[1].rpartition(".")[2] in _COUNTS:
            return
        elif (
            node[0] == "op"
            and str(node[1]) in ("->", "->>", "#>>")
            and any(one[0] in ("argument", "new") for one in walk(node))
        ):
            found.append(node)
        elif node[0] == "greatest" and any(
            one[0] == "const" and isinstance(one[1], int | float) and one[1] >= 0 for one in node[1:]
        ):
            return
        else:
            for child in node[1:]:
                if isinstance(child, tuple):
                    if child and isinstance(child[0], str):
                        look(child)
                    else:
                        for inner in child:
                            if isinstance(inner, tuple) and inner and isinstance(inner[0], str):
                                look(inner)

    look(atom)
    return found


def may_be_negative(atom: Tree, conditions: Iterable[Tree]) -> Tree | None:
    """The part of an amount that a caller can make negative; None when there is none."""
    conditions = list(conditions)
    if is_floored(atom, conditions):
        return None
    for leaf in leaves(atom, in_queries=True):
        if not is_floored(leaf, conditions):
            return leaf
    return None


def same_amount(one: Tree, other: Tree) -> bool:
    """Whether two amounts are the same figure, or two columns of the same row (a price and what it buys)."""
    one, other = bare(one), bare(other)
    if one == other:
        return True
    return one[0] == "sub" and other[0] == "sub" and one[1][2:4] == other[1][2:4] and bool(one[1][2])
