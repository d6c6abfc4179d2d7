"""Who may import whom, and where SQL and HTTP statuses may stand."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import sonas_supabase

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "sonas_supabase"
LAYERS = (
    *("testing", "fastapi", "flask", "django", "web", "billing", "notify", "local", "metrics", "doctor"),
    *("prices", "mcp"),
)
LAYERS_ABOVE = [
    layer
    for layer in ("fastapi", "flask", "django", "web", "billing", "prices", "mcp")
    if any((PACKAGE / layer).glob("*.py"))
]
SQL = re.compile(r"\s*(select|insert into|update \S+ set|delete from|create (table|function)|call) ", re.I)


def core() -> list[Path]:
    return [path for path in PACKAGE.rglob("*.py") if path.relative_to(PACKAGE).parts[0] not in LAYERS]


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """Module and name of everything that a file imports from outside its package; no name for a whole module."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, ""
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                yield node.module or "", alias.name


def test_the_core_imports_no_layer_above_it() -> None:
    above = (*(f"sonas_supabase.{layer}" for layer in LAYERS), "cli", "sonas_cli", "fastapi", "typer", "rich")
    for path in core():
        for module, name in imports(path):
            assert not f"{module}.{name}".startswith(above), f"{path.relative_to(ROOT)} imports {module}.{name}"


@pytest.mark.parametrize("layer", [f"sonas_supabase/{layer}" for layer in LAYERS_ABOVE] + ["cli"])
def test_a_layer_uses_public_names_only(layer: str) -> None:
    own = layer.replace("/", ".")
    for path in (ROOT / layer).rglob("*.py"):
        for module, name in imports(path):
            if not module.startswith("sonas_supabase") or module.startswith(own):
                continue
            where = f"{path.relative_to(ROOT)}: {module} {name}"
            assert not any(part.startswith("_") for part in [*module.split("."), name]), where
            if module == "sonas_supabase" and name:
                public = (
                    name in sonas_supabase.__all__ or (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").exists()
                )
                assert public, where


def test_sql_stands_in_one_place_of_the_core() -> None:
    found = {path.name for path in core() for text in strings(path) if SQL.match(text)}
    # migrations/_history.py reads what is applied before there is any function to call.
    # migrations/_removal.py goes on when there is none any more.
    # One statement for psycopg, and the same with types for drivers that ask for them.
    assert found - {"_history.py", "_removal.py"} == {"_statement.py", "_typed.py"}


def test_http_statuses_stand_in_errors_alone() -> None:
    for path in core():
        if path.name in ("errors.py", "_failures.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and type(node.value) is int:
                assert not (400 <= node.value < 600), f"{path.relative_to(ROOT)}:{node.lineno}"


def strings(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text())
    documentation = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node.value
