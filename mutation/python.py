"""Faults in the Python core."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from mutation.mutant import Mutant, told_apart

ROOT = Path(__file__).resolve().parents[1]
CORE = (
    "_arguments.py",
    "_call.py",
    "_parse.py",
    "_failures.py",
    "_statement.py",
    "_sync/hold.py",
    "_sync/transport.py",
    "_sync/postgres.py",
)

_FLIPPED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip


def mutants() -> Iterator[Mutant]:
    return told_apart(_found())


def _found() -> Iterator[Mutant]:
    for name in CORE:
        file = f"sonas_supabase/{name}"
        text = (ROOT / file).read_text()
        for nth, _ in enumerate(ast.walk(ast.parse(text))):
            tree = ast.parse(text)
            node = list(ast.walk(tree))[nth]
            kind = _change(node)
            if kind:
                was = ast.get_source_segment(text, node) or ""
                now = ast.unparse(node)
                yield Mutant(kind, file, file, node.lineno, _short(was), _short(now), ast.unparse(tree))  # type: ignore[attr-defined]


def _change(node: ast.AST) -> str:
    """Puts a fault into the node and says of which kind; empty when there is none to put in."""
    if isinstance(node, ast.Compare) and type(node.ops[0]) in _FLIPPED:
        node.ops[0] = _FLIPPED[type(node.ops[0])]()
        return "flip a comparison"
    if isinstance(node, ast.BoolOp):
        node.op = ast.And() if isinstance(node.op, ast.Or) else ast.Or()
        return "swap and and or"
    if isinstance(node, ast.If | ast.IfExp) and not isinstance(node.test, ast.Compare | ast.BoolOp):
        node.test = ast.UnaryOp(ast.Not(), node.test)
        return "negate an if"
    if isinstance(node, ast.Raise) and node.exc is not None:
        node.exc, node.cause = ast.Call(ast.Name("RuntimeError"), [], []), None
        return "raise something else"
    return ""


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 80 else f"{line[:77]}…"
